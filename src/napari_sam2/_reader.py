"""Session files dropped into napari: their labels, and the image if it is where it was."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npe2 import io_utils

from napari_sam2._label_layers import label_colors
from napari_sam2.results.labels import Planes
from napari_sam2.results.stack_files import read_stack
from napari_sam2.session_files.session_file import SUFFIX, Origin, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam2.session_files.session_file import SavedSession

_LOGGER = logging.getLogger(__name__)

SESSION = "napari-sam2 session"  #: in the metadata of labels: the path of their session
PLACED = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Give the reader of a path, or None if it is not a session file; called by napari."""
    paths = [path] if isinstance(path, str) else path
    if not paths or any(Path(one).suffix.lower() != SUFFIX for one in paths):
        return None
    return read


def read(path: str | list[str]) -> list[LayerData]:
    """Read session files as layers: images that are where they were, and labels.

    The SAM 2 dock, if it is open or opened later, goes on with the session.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in _read_one(Path(one))]


def read_image(origin: Origin) -> Iterator[Any]:
    """Give the data of images in the file that a session was made from, if it is there."""
    for data, _, _ in _image_layers(origin):
        yield data


def _read_one(path: Path) -> list[LayerData]:
    with open_session(path) as saved:
        images = list(_images_of(saved))
        labels = _labels(saved)
    placed = {key: value for _, o, _ in images for key, value in o.items() if key in PLACED}
    options = {
        "name": "SAM 2 labels",
        "opacity": 0.5,
        "colormap": label_colors(),
        "metadata": {SESSION: str(path.absolute())},
    }
    return [*images, (labels, {**options, **placed}, "labels")]


def _images_of(saved: SavedSession) -> Iterator[LayerData]:
    """Give the image of a session, or the layers that were its channels, as far as they are there.

    Of several layers each is known by its shape alone, as a session knows the pixels of all.
    """
    shape = saved.about["stack"]["shape"]
    for name, path in saved.origin.layers:
        for data, options, kind in _image_layers(Origin(name, path)):
            full = data[0] if options.get("multiscale") else data
            if list(full.shape) == shape[1:]:
                yield data, {**options, "name": name, "blending": "additive"}, kind
                break
    for data, options, kind in () if saved.origin.layers else _image_layers(saved.origin):
        try:
            saved.view_of(data[0] if options.get("multiscale") else data)
        except ValueError:
            continue
        yield data, {"name": saved.origin.name, **options}, kind
        break


def _labels(saved: SavedSession) -> Any:
    array = saved.open_labels(large_on_disk=True)
    if saved.label_place is None:
        index = Planes(saved.shape, saved.seen).index
        for plane, pixels in saved.planes():
            array[index(plane)] = pixels
    return array


def _image_layers(origin: Origin) -> Iterator[LayerData]:
    if origin.path is None or not Path(origin.path).exists():
        return
    if Path(origin.path).suffix.lower() == SUFFIX:
        return
    try:
        layers: list[Any] = io_utils.read([origin.path], stack=False)
    # Readers are other plugins' code, and may raise anything; ours is tried next.
    except Exception:
        _LOGGER.debug("No plugin reads %s", origin.path, exc_info=True)
        try:
            layers = [(read_stack(Path(origin.path)),)]
        except ValueError:  # the user may know how to open it
            return
    for layer in layers:
        data, options, kind = (*layer, {}, "image")[:3] if len(layer) < 3 else layer
        if kind == "image":
            yield data, dict(options), kind
