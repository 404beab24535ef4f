"""What a session holds, in a file: written so that nothing is lost, read so that all is equal.

The file is a `RecordFile`, an SQLite database, which says why. Its records are JSON, but for
the quality table and the labels, which are little-endian numbers:

``about``
    ``session``: the stack, how it was looked at, the model, the settings, the numbers used, the
    labels' type and place. ``saved``: when.
``object``
    By number: name, parent, end; runs of frames found, locked, and followed.
``prompts``
    By object/frame.
``quality``
    By object/page of the quality table.
``labels``
    By number of the plane, of all that are not empty, whatever position the session holds.

Of sessions at other places in the same data, with the same labels, there are ``object/1``,
``prompts/1`` and ``quality/1``, and so on; how they look at the stack is in the list ``places``
of ``about``.

Nothing in it is code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.levels import choose_level
from napari_sam2.results.label_arrays import is_large, open_reference, scratch_labels
from napari_sam2.results.labels import Planes
from napari_sam2.results.quality import KEPT, PAGE
from napari_sam2.session_files.codec import decode_object, decode_prompts
from napari_sam2.session_files.records import RecordFile, SessionFileError
from napari_sam2.session_files.stack_record import decode_view, digest_frame, type_name
from napari_sam2.session_files.writer import ABOUT, SAVED, SessionWriter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from os import PathLike

    from napari_sam2.predictors.frames import ArrayLike, View
    from napari_sam2.prompts import Prompt
    from napari_sam2.workspace.workspace import Workspace

SUFFIX = ".sam2"


@dataclass(frozen=True)
class Origin:
    """Where the data came from, so that they can be opened with the session."""

    name: str = "image"  #: shown to the user
    path: str | None = None  #: of its file
    #: Names and paths of layers that are its channels, where those are not on an axis of theirs.
    layers: tuple[tuple[str, str | None], ...] = ()


class SavedSession:
    """A session as it is in a file; what is large is read when it is asked for.

    Parameters
    ----------
    file : RecordFile
    """

    def __init__(self, file: RecordFile) -> None:
        self.file = file
        about, saved = file.read(*ABOUT), file.read(*SAVED)
        if about is None or saved is None:
            raise SessionFileError(f"{file.path} was begun, and nothing was saved in it.")
        self.about: dict[str, Any] = json.loads(about)
        self.time = datetime.fromisoformat(json.loads(saved))
        self.labels: Any = None  #: what holds and shows them already, if anything does

    @property
    def origin(self) -> Origin:
        """Where the data came from."""
        record = self.about["origin"]
        layers = tuple((name, path) for name, path in record.get("layers", ()))
        return Origin(record["name"], record["path"], layers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels: of the stack, without colour."""
        return tuple(self.about["labels"]["shape"])

    @property
    def dtype(self) -> np.dtype:
        """Type of the labels."""
        dtype: np.dtype = np.dtype(self.about["labels"]["dtype"])
        return dtype

    @property
    def seen(self) -> tuple[int, int]:
        """The axes of rows and columns."""
        rows, columns = self.about["labels"]["seen"]
        return rows, columns

    @property
    def label_place(self) -> dict[str, Any] | None:
        """Where the labels are kept, if it is not in the file."""
        place: dict[str, Any] | None = self.about["labels"]["place"]
        return place

    @property
    def are_labels_elsewhere(self) -> bool:
        """Whether the labels need not be written into what `open_labels` gives."""
        return self.labels is not None or self.label_place is not None

    def view_of(self, data: ArrayLike | Sequence[ArrayLike], *, same_pixels: bool = True) -> View:
        """Check that data are those of the session, and say how they are looked at.

        Parameters
        ----------
        data : array-like, or sequence of array-like
        same_pixels : bool
            Whether the pixels are to be the same, too: a few frames are compared.

        Raises
        ------
        SessionFileError
            If they are others.
        """
        view = decode_view(self.about["view"])
        wanted = self.about["stack"]
        if view.level and tuple(getattr(data, "shape", ())) == tuple(wanted["shape"]):
            view = replace(view, level=0)  # the level itself
        chosen = choose_level(data, view.level)
        expected = f"{wanted['dtype']} of shape {tuple(wanted['shape'])}"
        if list(chosen.shape) != wanted["shape"] or type_name(chosen.dtype) != wanted["dtype"]:
            raise SessionFileError(
                f"{self.file.path} is a session of another stack: expected {expected}, got "
                f"{type_name(chosen.dtype)} of shape {tuple(chosen.shape)}. Open the one that it "
                f"was made from{self._where()}."
            )
        source = FrameSource(data, view)
        for frame, digest in wanted["frames"].items() if same_pixels else ():
            if digest is not None and digest_frame(source, int(frame)) != digest:
                raise SessionFileError(
                    f"{self.file.path} is a session of another stack: it has the same shape, but "
                    f"other pixels on frame {frame}. Open the one that it was made from"
                    f"{self._where()}, or, if it is the same after filtering, load it with "
                    "same_pixels=False."
                )
        return view

    def open_labels(self, *, large_on_disk: bool = False) -> Any:
        """Give where the labels are kept, as they are there, or an array of background for them.

        Parameters
        ----------
        large_on_disk : bool
            Whether large ones are put into a file that goes when the program ends, rather than
            into memory.

        Raises
        ------
        ValueError
            If they are not where the file refers to.
        """
        if self.labels is not None:
            return self.labels
        if self.label_place is not None:
            return open_reference(self.label_place, self.file.path, self.shape, self.dtype)
        if large_on_disk and is_large(self.shape, self.dtype):
            return scratch_labels(self.shape, self.dtype, self.seen)
        return np.zeros(self.shape, self.dtype)

    def other_views(self) -> list[View]:
        """Give how sessions at other places look at the stack."""
        return [decode_view(record["view"]) for record in self.about.get("places", ())]

    def restore(self, work: Workspace, *, labels: bool = True, place: int = 0) -> None:
        """Put all into a workspace that is empty.

        Parameters
        ----------
        work : Workspace
        labels : bool
            Whether to write the labels, too.
        place : int
            Of which session: 0, or from 1 on one at another place, as in `other_views`.
        """
        record, at = self.about, ""
        if place:
            record, at = self.about["places"][place - 1], f"/{place}"
        with work.apart():
            if labels:
                self._restore_labels(work)
            prompts: dict[int, dict[int, tuple[Prompt, ...]]] = defaultdict(dict)
            for key, content in self.file.read_all(f"prompts{at}"):
                object_id, frame = map(int, key.split("/"))
                prompts[object_id][frame] = decode_prompts(content, frame)
            followed, objects = {}, {}
            for key, content in self.file.read_all(f"object{at}"):
                object_id = int(key)
                objects[object_id], followed[object_id] = decode_object(content, prompts[object_id])
            order = record["order"]
            work.restore({i: objects[i] for i in order}, followed, record["numbers"])
            for key, content in self.file.read_all(f"quality{at}"):
                object_id, page = map(int, key.split("/"))
                kept = np.frombuffer(content, KEPT.newbyteorder("<"), PAGE)
                work.quality.restore(object_id, page, kept)

    def planes(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give number and pixels of every plane of labels that is not empty.

        Raises
        ------
        ValueError
            If they are not in the file, and not where it refers to.
        """
        if self.label_place is not None:
            kept = self.open_labels()
            planes = Planes(self.shape, self.seen)
            for plane in range(len(planes)):
                if np.any(pixels := np.asarray(kept[planes.index(plane)])):
                    yield plane, pixels
            return
        dtype, (height, width) = self.dtype.newbyteorder("<"), (self.shape[i] for i in self.seen)
        for key, content in self.file.read_all("labels"):
            yield int(key), np.frombuffer(content, dtype).reshape(height, width)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def _restore_labels(self, work: Workspace) -> None:
        array, index, saved = work.labels.array, work.labels.planes.index, set()
        for plane, pixels in self.planes():
            if plane >= len(work.labels.planes):
                raise SessionFileError(
                    f"{self.file.path} is damaged: it has labels of plane {plane}, where the stack "
                    f"has {len(work.labels.planes)}. Open an earlier copy of it."
                )
            array[index(plane)] = pixels
            saved.add(plane)
        for plane in range(len(work.labels.planes)):
            if plane not in saved and np.any(array[index(plane)]):
                array[index(plane)] = 0

    def _where(self) -> str:
        return f", {self.origin.path}" if self.origin.path else ""


@contextmanager
def open_session(path: str | PathLike[str]) -> Iterator[SavedSession]:
    """Open a session file to read it.

    Raises
    ------
    SessionFileError
        If it cannot be read; the message says why, and what to do.
    """
    with closing(RecordFile.open(Path(path))) as file:
        yield SavedSession(file)


def save_steps(
    path: Path,
    work: Workspace,
    about: Mapping[str, Any],
    *,
    labels: Mapping[str, Any] | None,
    others: Sequence[Workspace] = (),
) -> Generator[bool, None, None]:
    """Save a session: where a session file is already, what differs; else beside, and renamed.

    Raises
    ------
    SessionFileError
        If it cannot be written; what was there before is there still.
    """
    if path.exists():
        with closing(RecordFile.open(path, write=True)) as file:
            yield from SessionWriter(file).steps(work, about, labels=labels, others=others)
        return
    beside = path.with_name(f".{path.stem}-{uuid4().hex[:8]}.partial{SUFFIX}")
    try:
        with closing(RecordFile.create(beside)) as file:
            yield from SessionWriter(file).steps(work, about, labels=labels, others=others)
        beside.replace(path)
    finally:
        for left in (beside, beside.with_name(f"{beside.name}-journal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)
