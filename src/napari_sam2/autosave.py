"""Work that was not saved: kept in files of its own, a file an image, and found again."""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import platformdirs

from napari_sam2.results.label_arrays import new_label_file, refer_to
from napari_sam2.session_files.records import BusyFileError, RecordFile, SessionFileError
from napari_sam2.session_files.session_file import SUFFIX, SavedSession
from napari_sam2.session_files.writer import CLEAN, SessionWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np

    from napari_sam2.session import Session

_KEPT: list[Autosave] = []  #: held open, lest others take away what is shown


def autosave_folder() -> Path:
    """Give the folder of what was not saved: ``NAPARI_SAM2_AUTOSAVE``, else one of the user's."""
    chosen = os.environ.get("NAPARI_SAM2_AUTOSAVE")
    return Path(chosen) if chosen else platformdirs.user_data_path("napari-sam2") / "autosave"


class Autosave:
    """The file of the work on one image. No one else opens it, until this program ends.

    Parameters
    ----------
    folder : Path, optional
        Where to begin it; see `autosave_folder`.
    path : Path, optional
        The one to go on with instead.

    Raises
    ------
    SessionFileError
        If it cannot be written, or another program goes on with it.
    """

    def __init__(self, folder: Path | None = None, *, path: Path | None = None) -> None:
        if path is None:
            folder = autosave_folder() if folder is None else folder
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / f"{uuid4().hex}{SUFFIX}"
            self._file = RecordFile.create(self.path, alone=True)
        else:
            self.path = path
            self._file = RecordFile.open(path, alone=True)
        self._writer = SessionWriter(self._file)

    def new_labels(self, shape: Sequence[int], dtype: np.dtype, seen: tuple[int, int]) -> Any:
        """Make labels that are kept beside the file, as long as it is."""
        return new_label_file(_labels_of(self.path), shape, dtype, seen)

    def save(self, session: Session, others: Sequence[Session] = ()) -> bool:
        """Write what has changed; say whether anything has. No one may change it meanwhile.

        Parameters
        ----------
        session : Session
        others : sequence of Session
            At other places in the same data; see `Session.save`.
        """
        place, changed = None, False
        with suppress(ValueError):
            place = refer_to(session.labels, self.path)
        if place is not None and Path(place["path"]) != _labels_of(self.path).absolute():
            place = None  # what the user keeps elsewhere may change, or go
        works = [other._work for other in others]
        steps = self._writer.steps(session._work, session.about(), labels=place, others=works)
        for step in steps:
            changed = step
        return changed

    def mark_clean(self) -> None:
        """Say that all is saved elsewhere, too: there is nothing to offer, until it changes."""
        self._writer.mark_clean()

    def close(self) -> None:
        """Let go of the file, and take it away if it is clean.

        Labels beside it may still be shown: both are kept then until this program ends, and
        taken away when another one looks for unsaved work.
        """
        clean = self._file.read(*CLEAN) is not None
        if clean and _labels_of(self.path).exists():
            _KEPT.append(self)
            return
        self._file.close()
        if clean:
            discard(self.path)

    def remove(self) -> None:
        """Let go of the file, and take it away."""
        self._file.close()
        discard(self.path)


@dataclass(frozen=True)
class Unsaved:
    """Work that was not saved when a program ended."""

    path: Path
    name: str  #: of the image
    image_path: str | None
    time: datetime  #: of the last change, UTC


def find_unsaved(folder: Path | None = None) -> list[Unsaved]:
    """Find what was not saved, the latest first; what others work on is left out.

    Files that hold nothing, or what is saved elsewhere, are taken away.
    """
    folder = autosave_folder() if folder is None else folder
    found = [one for path in folder.glob(f"*{SUFFIX}") if (one := _look(path)) is not None]
    return sorted(found, key=lambda one: one.time, reverse=True)


def discard(path: Path) -> None:
    """Take unsaved work away for good, and the labels that were kept beside it."""
    for file in (path, path.with_name(f"{path.name}-journal")):
        with suppress(OSError):
            file.unlink(missing_ok=True)
    shutil.rmtree(_labels_of(path), ignore_errors=True)


def _look(path: Path) -> Unsaved | None:
    try:
        with closing(RecordFile.open(path, alone=True)) as file:
            worthless = not file.digests() or file.read(*CLEAN) is not None
            saved = None if worthless else SavedSession(file)
    except BusyFileError:
        return None
    except SessionFileError:
        return None  # of a newer version, or damaged: not ours to throw away
    if saved is None:
        discard(path)
        return None
    return Unsaved(path, saved.origin.name, saved.origin.path, saved.time)


def _labels_of(path: Path) -> Path:
    return path.with_suffix(".zarr")
