"""A session file opened in a worker: its image found, its model loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam2._reader import read_image
from napari_sam2.session import Session
from napari_sam2.session_files.records import SessionFileError
from napari_sam2.session_files.session_file import open_session

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from napari.layers import Image

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.session_files.session_file import SavedSession


@dataclass(frozen=True, eq=False)
class Opened:
    """A session that was opened."""

    session: Session
    others: tuple[Session, ...]  #: at other places in the same data
    layer: Image | None  #: that shows its data; None if there is none yet
    name: str  #: of the image
    remark: str = ""  #: for the user


def open_steps(
    path: Path,
    shown: Mapping[Image, Any],
    chosen: str | SAM2,
    labels: Any = None,
) -> Generator[Opened, None, None]:
    """Open a session with the image that it was made from: one that is shown, or its file.

    Parameters
    ----------
    path : Path
    shown : mapping
        The data of each image layer.
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
        layer, data = _find_data(saved, shown)
        saved.labels = labels
        own = None if saved.are_labels_elsewhere else saved.open_labels(large_on_disk=True)
        session = Session.resume(saved, data, [None, chosen], labels=own)
        others = tuple(session.restore_others(saved))
        yield Opened(session, others, layer, saved.origin.name, session.remark)


def _find_data(saved: SavedSession, shown: Mapping[Image, Any]) -> tuple[Image | None, Any]:
    reasons = []
    for layer, data in shown.items():
        try:
            saved.view_of(data)
        except ValueError as error:
            reasons.append(error)
        else:
            return layer, data
    for data in read_image(saved.origin):
        saved.view_of(data)  # says what is wrong with the file that it was made from
        return None, data
    if len(reasons) == 1:
        raise reasons[0]
    stack, origin = saved.about["stack"], saved.origin
    raise SessionFileError(
        f"The image of {saved.file.path.name} is not open: expected {stack['dtype']} of shape "
        f"{tuple(stack['shape'])}, {origin.path or origin.name}. Open it first, then try again."
    )
