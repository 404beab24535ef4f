"""Writes a session to its file, of which only what changed is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.session_files.codec import encode_object, encode_prompts, to_json
from napari_sam2.session_files.records import digest_of
from napari_sam2.session_files.stack_record import (
    describe,
    describe_labels,
    describe_stack,
    little_endian,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.results.changes import Changes
    from napari_sam2.session_files.records import Name, RecordFile
    from napari_sam2.workspace.workspace import Workspace

ABOUT, SAVED = ("about", "session"), ("about", "saved")
CLEAN = ("about", "clean")  #: in files whose content is saved elsewhere, too


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
        self._of: Changes[int] | None = None  #: of which labels the next two are
        self._changes: int | None = None  #: of the labels, that are in the file; None: unknown
        self._measured: int | None = None  #: changes of the quality table, likewise
        self._seen: dict[int, bytes] = {}  #: digests of planes that are not in the file
        self._prompts: dict[Name, tuple[Prompt, ...]] = {}  #: known to be in the file
        self._others: dict[str, tuple[Any, ...]] = {}  #: what is in the file of other places
        self._is_behind = False  #: whether labels were written by the session of another place
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
        self._follow(work, others)
        stack = self._stack = self._stack or describe_stack(work.source)
        draft = _Draft(self.file, self._digests, self._seen)
        changes = work.labels.changes
        begun = changes.count
        with self.file.transaction():
            see, planes = self._unsaved_planes(work, draft, is_kept_here=labels is None)
            for plane in planes:
                with work.lock:
                    see(work, plane)
                yield False
            with work.lock:
                upto = changes.count  # a hand may paint without the lock
                for plane in changes.since(begun):
                    see(work, plane)
                prompts = draft.put_objects(work, self._prompts)
                measured = work.quality.changes.count
                draft.put_quality(work, self._measured)
                record = {**about, **describe(work), "stack": stack}
                record["labels"] = describe_labels(work, labels)
            elsewhere, states = self._put_others(draft, others)
            places = [describe(other) for other in others]
            draft.put(ABOUT, to_json({**record, **({"places": places} if places else {})}))
            if changed := draft.has_changed:
                draft.put(SAVED, to_json(datetime.now(UTC).isoformat(timespec="seconds")))
        self._digests, self._changes, self._measured = draft.digests, upto, measured
        self._prompts, self._others, self._seen = prompts | elsewhere, states, draft.seen
        yield changed

    def _follow(self, work: Workspace, others: Sequence[Workspace]) -> None:
        """Know nothing of labels that another session, or one of another place, has written."""
        if work.labels.changes is not self._of:  # another session took the place of the last one
            self._of, self._stack = work.labels.changes, None
            self._changes = self._measured = None
            self._seen = {}
        seen = {id(changes): was for _, changes, was, *_ in self._others.values()}
        known = [changes for _, changes, *_ in self._others.values()]
        known += [other.labels.changes for other in others]
        self._is_behind = any(seen.get(id(changes), 0) != changes.count for changes in known)
        if self._is_behind:
            self._changes = None

    def _unsaved_planes(
        self, work: Workspace, draft: _Draft, *, is_kept_here: bool
    ) -> tuple[Callable[[Workspace, int], None], Iterable[int]]:
        """Give what is done with a plane of labels, and the planes to do it with."""
        since = self._changes
        if is_kept_here:
            if since is not None:
                return draft.put_plane, work.labels.changes.since(since)
            every = range(len(work.labels.planes))
            draft.keep_only("labels", {str(plane) for plane in every})  # another stack's were more
            return draft.put_plane, every
        draft.keep_only("labels", set())  # they would be older than those referred to
        if since is not None:
            return draft.look_at_plane, work.labels.changes.since(since)
        # As many as there are: not read again.
        if work.labels.changes.count or self._is_behind:
            draft.note_change()
        return draft.look_at_plane, ()

    def _put_others(
        self, draft: _Draft, others: Sequence[Workspace]
    ) -> tuple[dict[Name, tuple[Prompt, ...]], dict[str, tuple[Any, ...]]]:
        """Put what is known at other places, unless it is there; give prompts and states."""
        prompts: dict[Name, tuple[Prompt, ...]] = {}
        states: dict[str, tuple[Any, ...]] = {}
        for number, other in enumerate(others, start=1):
            place = f"/{number}"
            with other.lock:
                states[place] = _state(other)
                if self._others.get(place) == states[place]:
                    kind = f"prompts{place}"
                    prompts |= {n: p for n, p in self._prompts.items() if n[0] == kind}
                else:
                    draft.put_quality(other, None, place)
                    prompts |= draft.put_objects(other, self._prompts, place)
        draft.keep_places(states)
        return prompts, states

    def mark_clean(self) -> None:
        """Say that all of it is saved elsewhere, too; the next change takes this back."""
        draft = _Draft(self.file, self._digests, self._seen)
        with self.file.transaction():
            draft.put(CLEAN, b"true")
        self._digests = draft.digests


class _Draft:
    """What a transaction writes, and what the file will hold after it."""

    def __init__(
        self, file: RecordFile, digests: Mapping[Name, bytes], seen: Mapping[int, bytes]
    ) -> None:
        self._file = file
        self.digests, self.seen = dict(digests), dict(seen)
        self.has_changed = False

    def put(self, name: Name, content: bytes) -> None:
        digest = digest_of(content)
        if self.digests.get(name) != digest:
            self.note_change()
            self._file.put(name, content, digest)
            self.digests[name] = digest

    def note_change(self) -> None:
        """Say that the session is not what it was, in the file or where its labels are kept."""
        if not self.has_changed:
            self.has_changed = True
            # Here and not later: who is killed in between would leave work that counts as saved.
            self.drop(CLEAN)

    def keep_only(self, kind: str, keys: set[str]) -> None:
        """Drop all other records of a kind."""
        for name in [n for n in self.digests if n[0] == kind and n[1] not in keys]:
            self.drop(name)

    def drop(self, name: Name) -> None:
        if self.digests.pop(name, None) is not None:
            self.note_change()
            self._file.drop(name)

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

    def look_at_plane(self, work: Workspace, plane: int) -> None:
        """Note whether a plane that is kept elsewhere is another than it was."""
        pixels = np.asarray(work.labels.array[work.labels.planes.index(plane)])
        digest = digest_of(np.ascontiguousarray(pixels).tobytes())
        if self.seen.get(plane) != digest:
            self.seen[plane] = digest
            self.note_change()

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

    def put_quality(self, work: Workspace, since: int | None, place: str = "") -> None:
        """Put pages of the quality table: those written after so many changes, or all."""
        keys, new = set(), set(work.quality.changes.since(since or 0))
        for object_id, number, page in work.quality.pages():
            keys.add(f"{object_id}/{number}")
            if since is None or (object_id, number) in new:
                name = f"quality{place}", f"{object_id}/{number}"
                self.put(name, little_endian(page).tobytes())
        self.keep_only(f"quality{place}", keys)


def _state(work: Workspace) -> tuple[Any, ...]:
    """Give what differs as soon as anything was changed; objects are never changed themselves."""
    changes, objects = work.labels.changes, tuple(work.objects.items())
    return work, changes, changes.count, work.quality.changes.count, work.history.rewinds, objects
