"""A session file opened in a worker: its image found, its model loaded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from napari_sam2._reader import read_image
from napari_sam2.predictors.channels import Blank, SideBySide
from napari_sam2.session import Session
from napari_sam2.session_files.records import SessionFileError
from napari_sam2.session_files.session_file import Origin, open_session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.session_files.session_file import SavedSession


MOST_TRIED = 64  #: choices of layers as channels, until it is given up to find those of a session


@dataclass(frozen=True, eq=False)
class Opened:
    """A session that was opened."""

    session: Session
    others: tuple[Session, ...]  #: at other places in the same data
    name: str  #: of the image
    remark: str = ""  #: for the user
    advice: str = ""  #: what is not there, and what to do
    #: The names and the data of layers that were its channels, where any is not there.
    parts: tuple[tuple[str, Any], ...] = ()


def open_steps(
    path: Path,
    shown: Mapping[str, Any],
    chosen: str | SAM2,
    labels: Any = None,
) -> Generator[Opened, None, None]:
    """Open a session with the image that it was made from: one that is shown, or its file.

    Parameters
    ----------
    path : Path
    shown : mapping
        The data of each image layer, by its name.
    chosen : str or SAM2
        The model to use where the session's is not to be had.
    labels : array-like, optional
        What shows them already, and is changed no more.

    Raises
    ------
    SessionFileError
        If it cannot be read, or there is no image that fits.
    """
    with open_session(path) as saved:
        data = _find_data(saved, shown)
        parts = _parts_of(saved, data)
        missing = [name for name, part in parts if isinstance(part, Blank)]
        saved.labels = labels
        own = None if saved.are_labels_elsewhere else saved.open_labels(large_on_disk=True)
        session = Session.resume(saved, data, [None, chosen], labels=own, same_pixels=not missing)
        others = tuple(session.restore_others(saved))
        shown_as = saved.origin.name, session.remark
        yield Opened(session, others, *shown_as, _tell_missing(missing), parts if missing else ())


def _find_data(saved: SavedSession, shown: Mapping[str, Any]) -> Any:
    """Give the data of a session: of those that are shown, by name, or from their file."""
    reasons = []
    for data in (*shown.values(), *_beside_each_other(saved, shown)):
        try:
            saved.view_of(data)
        except ValueError as error:
            reasons.append(error)
        else:
            return data
    if (partial := _some_of(saved, shown)) is not None:
        return partial
    for data in read_image(saved.origin):
        saved.view_of(data)  # says what is wrong with the file that it was made from
        return data
    if len(reasons) == 1:
        raise reasons[0]
    stack, origin = saved.about["stack"], saved.origin
    names = " and ".join(name for name, _ in origin.layers)
    raise SessionFileError(
        f"The image of {saved.file.path.name} is not open: expected {stack['dtype']} of shape "
        f"{tuple(stack['shape'])}, {names or origin.path or origin.name}. Open it first, then "
        "try again."
    )


def _beside_each_other(saved: SavedSession, shown: Mapping[str, Any]) -> Iterator[SideBySide]:
    """Put layers, or the images in their files, beside each other as channels may have been.

    Those of the same names come first, then what else is open, then files.
    """
    count, *shape = saved.about["stack"]["shape"]
    if saved.about["view"]["channel_axis"] != 0:
        return
    fitting = {name: data for name, data in shown.items() if list(data.shape) == shape}
    known = saved.origin.layers or (("", None),) * count  # files of before do not say
    open_ones = [_named_first(fitting, name) for name, _ in known]
    yield from _choices(open_ones)
    if saved.origin.layers:
        files = [_in_file(Origin(*one), tuple(shape)) for one in known]
        yield from _choices([[*here, *there] for here, there in zip(open_ones, files, strict=True)])


def _some_of(saved: SavedSession, shown: Mapping[str, Any]) -> SideBySide | None:
    """Put those layers beside each other that are there, by name, and black for the others.

    Without all of them, nobody can say whether their pixels are the same.
    """
    known, stack = saved.origin.layers, saved.about["stack"]
    count, *shape = stack["shape"]
    if saved.about["view"]["channel_axis"] != 0 or len(known) != count:
        return None
    parts: list[Any] = []
    for name, path in known:
        data = shown.get(name)
        if data is None or list(data.shape) != shape:
            data = next(iter(_in_file(Origin(name, path), tuple(shape))), None)
        parts.append(Blank(shape, stack["dtype"]) if data is None else data)
    return None if all(isinstance(one, Blank) for one in parts) else SideBySide(parts)


def _parts_of(saved: SavedSession, data: Any) -> tuple[tuple[str, Any], ...]:
    """Give layers that are seen as channels, by name."""
    parts = data.parts if isinstance(data, SideBySide) else ()
    names = (name for name, _ in saved.origin.layers)
    return tuple(zip(names, parts, strict=False))


def _tell_missing(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    names = " and ".join(missing)
    return (
        f"{names} {'is' if len(missing) == 1 else 'are'} not there, and the model sees the other "
        f"channels alone. Open {names} under the same name, and it is a channel again."
    )


def _named_first(images: Mapping[str, Any], name: str) -> list[Any]:
    ordered = sorted(images.items(), key=lambda one: one[0] != name)
    return [data for _, data in ordered]


def _in_file(origin: Origin, shape: tuple[int, ...]) -> list[Any]:
    """Give the images of a shape in a file; of pyramids, the full resolution."""
    found = [one[0] if isinstance(one, (list, tuple)) else one for one in read_image(origin)]
    return [one for one in found if tuple(one.shape) == shape]


def _choices(channels: Sequence[Sequence[Any]]) -> Iterator[SideBySide]:
    yield from map(SideBySide, islice(product(*channels), MOST_TRIED))
