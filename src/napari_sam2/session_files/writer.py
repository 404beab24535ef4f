"""Writes a session to its file, of which only what changed is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.results.quality import PAGE
from napari_sam2.session_files.codec import encode_object, encode_prompts, to_json
from napari_sam2.session_files.records import digest_of
from napari_sam2.session_files.stack_record import (
    describe,
    describe_labels,
    describe_stack,
    little_endian,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.results.labels import Changes
    from napari_sam2.session_files.records import Name, RecordFile
    from napari_sam2.workspace.workspace import Workspace

ABOUT, SAVED = ("about", "session"), ("about", "saved")


class SessionWriter:
    """Keeps a file up to date with what a session holds.

    Parameters
    ----------
    file : RecordFile
        New, or one of the same session, of which only what differs is written.
    """

    def __init__(self, file: RecordFile) -> None:
        self.file = file
        self._digests = file.digests()
        self._of: Changes | None = None  #: of which labels the next is
        self._changes: int | None = None  #: of the labels, that are in the file; None: unknown
        self._prompts: dict[Name, tuple[Prompt, ...]] = {}  #: known to be in the file
        self._others: dict[str, tuple[Any, ...]] = {}  #: what is in the file of other places
        self._stack: dict[str, Any] | None = None

    def steps(
        self,
        work: Workspace,
        about: Mapping[str, Any],
        *,
        labels: Mapping[str, Any] | None = None,
        others: Sequence[Workspace] = (),
    ) -> Generator[bool, None, None]:
        """Write what has changed; each step is a plane of labels that was looked at.

        All is in the file after the last step, and nothing before. Others may go on with the
        session between two steps: what is written is how it is at the last one.

        Parameters
        ----------
        work : Workspace
        about : mapping
            Model, settings and origin, as plain data.
        labels : mapping, optional
            Where they are kept, if they are not to be in the file.
        others : sequence of Workspace
            Of other places in the same data, with the same labels.

        Yields
        ------
        bool
            Whether the file has changed: of interest is the last one.
        """
        if work.labels.changes is not self._of:  # another session took the place of the last one
            self._of, self._changes, self._stack = work.labels.changes, None, None
        if any(was != changes.count for _, changes, was, *_ in self._others.values()):
            self._changes = None  # some labels were written by the session of another place
        stack = self._stack = self._stack or describe_stack(work.source)
        changes, since = work.labels.changes.count, self._changes
        planes: Iterable[int] = range(len(work.labels.planes))
        if since is not None:
            planes = work.labels.changes.since(since)
        pages = None if since is None else {_page(work, plane) for plane in planes}
        draft = _Draft(self.file, self._digests)
        with self.file.transaction():
            for plane in planes if labels is None else ():
                with work.lock:
                    draft.put_plane(work, plane)
                yield False
            with work.lock:
                upto = work.labels.changes.count  # a hand may paint without the lock
                for plane in work.labels.changes.since(changes):
                    if labels is None:
                        draft.put_plane(work, plane)
                    if pages is not None:
                        pages.add(_page(work, plane))
                prompts = draft.put_objects(work, self._prompts)
                draft.put_quality(work, pages)
                record = {**about, **describe(work), "stack": stack}
                record["labels"] = describe_labels(work, labels)
            states = {}
            for number, other in enumerate(others, start=1):
                with other.lock:
                    place = f"/{number}"
                    states[place] = _state(other)
                    prompts |= self._put_other(draft, other, place, states[place])
                    record.setdefault("places", []).append(describe(other))
            draft.keep_places(states)
            draft.put(ABOUT, to_json(record))
            if changed := draft.has_changed:
                draft.put(SAVED, to_json(datetime.now(UTC).isoformat(timespec="seconds")))
        self._digests, self._changes, self._prompts = draft.digests, upto, prompts
        self._others = states
        yield changed

    def _put_other(
        self, draft: _Draft, other: Workspace, place: str, state: tuple[Any, ...]
    ) -> dict[Name, tuple[Prompt, ...]]:
        """Put what is known at another place, unless it is there already."""
        if self._others.get(place) == state:
            return {n: p for n, p in self._prompts.items() if n[0] == f"prompts{place}"}
        draft.put_quality(other, None, place)
        return draft.put_objects(other, self._prompts, place)


class _Draft:
    """What a transaction writes, and what the file will hold after it."""

    def __init__(self, file: RecordFile, digests: Mapping[Name, bytes]) -> None:
        self._file = file
        self.digests = dict(digests)
        self.has_changed = False

    def put(self, name: Name, content: bytes) -> None:
        digest = digest_of(content)
        if self.digests.get(name) != digest:
            self._file.put(name, content, digest)
            self.digests[name] = digest
            self.has_changed = True

    def keep_only(self, kind: str, keys: set[str]) -> None:
        """Drop all other records of a kind."""
        for name in [n for n in self.digests if n[0] == kind and n[1] not in keys]:
            self.drop(name)

    def drop(self, name: Name) -> None:
        if self.digests.pop(name, None) is not None:
            self._file.drop(name)
            self.has_changed = True

    def put_plane(self, work: Workspace, plane: int) -> None:
        array, name = work.labels.array, ("labels", str(plane))
        pixels = np.asarray(array[work.labels.planes.index(plane)])
        if pixels.any():
            self.put(name, little_endian(pixels).tobytes())
        else:
            self.drop(name)

    def keep_places(self, places: Collection[str]) -> None:
        """Drop what is said of all other places but the first."""
        gone = [n for n in self.digests if "/" in n[0] and f"/{n[0].split('/')[1]}" not in places]
        for name in gone:
            self.drop(name)

    def put_objects(
        self, work: Workspace, known: Mapping[Name, tuple[Prompt, ...]], place: str = ""
    ) -> dict[Name, tuple[Prompt, ...]]:
        """Put objects and prompts; those that are the very same as the known ones are there."""
        prompts: dict[Name, tuple[Prompt, ...]] = {}
        for object_id, one in work.objects.items():
            followed = work.tracker.followed_frames(object_id)
            self.put((f"object{place}", str(object_id)), encode_object(one, followed))
            on_frames = one.prompts.items()
            prompts |= {(f"prompts{place}", f"{object_id}/{f}"): on for f, on in on_frames}
        for name, on_frame in prompts.items():
            if known.get(name) is not on_frame:
                self.put(name, encode_prompts(on_frame))
        self.keep_only(f"object{place}", {str(i) for i in work.objects})
        self.keep_only(f"prompts{place}", {key for _, key in prompts})
        return prompts

    def put_quality(self, work: Workspace, pages: set[int] | None, place: str = "") -> None:
        """Put pages of the quality table: some, or all."""
        keys = set()
        for object_id, number, page in work.quality.pages():
            keys.add(f"{object_id}/{number}")
            if pages is None or number in pages:
                name = f"quality{place}", f"{object_id}/{number}"
                self.put(name, little_endian(page).tobytes())
        self.keep_only(f"quality{place}", keys)


def _state(work: Workspace) -> tuple[Any, ...]:
    """Give what differs as soon as anything was changed; objects are never changed themselves."""
    changes = work.labels.changes
    return work, changes, changes.count, work.history.rewinds, tuple(work.objects.items())


def _page(work: Workspace, plane: int) -> int:
    """Give the page of the quality table that speaks of a plane of labels."""
    axis, index = work.source.axis, work.labels.planes.index(plane)
    frame = 0 if axis is None else index[axis]
    assert isinstance(frame, int)
    return frame // PAGE
