"""What a session holds: objects, their prompts, what was found of them; and what changes it."""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

from napari_sam2.predictors.objects import check_prompt
from napari_sam2.prompts import whole_number, whole_numbers
from napari_sam2.workspace.ledger import Keeping, Ledger, SessionObject
from napari_sam2.workspace.merging import merge
from napari_sam2.workspace.numbering import Numbers, check_room
from napari_sam2.workspace.wording import RULES, count, prompting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike

    from napari_sam2.predictors.frames import FrameSource
    from napari_sam2.predictors.tracker import Tracker
    from napari_sam2.prompts import FrameMasks, MaskPrompt, Prompt
    from napari_sam2.results.labels import StackLabels
    from napari_sam2.results.overlaps import Overlap
    from napari_sam2.results.quality import QualityTable
    from napari_sam2.workspace.history import History
    from napari_sam2.workspace.ledger import Step


class Workspace:
    """The objects of a session. Each method is a step that others see, and undo, as a whole.

    Parameters
    ----------
    source : FrameSource
    labels : StackLabels
    tracker : Tracker
    is_empty : bool
        Whether there is nothing in the labels yet.
    keeping : Keeping
    """

    def __init__(
        self,
        source: FrameSource,
        labels: StackLabels,
        tracker: Tracker,
        *,
        is_empty: bool,
        keeping: Keeping,
    ) -> None:
        self.source = source
        # A preview may be wanted while frames are being tracked in another thread.
        self.lock = RLock()
        self._ledger = Ledger(labels, tracker, keeping)
        # Ids are never used again, lest an answer meant for one object goes to another.
        self.numbers = Numbers(is_past_labels=is_empty)

    @property
    def objects(self) -> Mapping[int, SessionObject]:
        """What there is to find, by number; to be looked at."""
        return self._ledger.objects

    @property
    def labels(self) -> StackLabels:
        """Where objects were found; to be looked at."""
        return self._ledger.labels

    @property
    def quality(self) -> QualityTable:
        """How sure each object is on each frame; to be looked at."""
        return self._ledger.quality

    @property
    def history(self) -> History[Ledger]:
        """What can be undone and redone."""
        return self._ledger.history

    @property
    def tracker(self) -> Tracker:
        """What computes."""
        return self._ledger.tracker

    @tracker.setter
    def tracker(self, tracker: Tracker) -> None:
        self._ledger.tracker = tracker

    @contextmanager
    def step(self, text: str, onto: Step | None = None) -> Iterator[Step]:
        """Keep others out, and have what is changed meanwhile undone at once; see `History`."""
        with self.lock, self.history.step(text, onto) as step:
            yield step

    def forget_history(self) -> None:
        """Let go of what can be undone, and of claims that are not in the labels."""
        with self.lock:
            self.history.forget()
            self._ledger.claims.forget()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep others out, and leave what is changed meanwhile to be undone by others."""
        with self.lock, self.history.apart():
            yield

    def known(self, object_id: int) -> SessionObject:
        """Give an object.

        Raises
        ------
        ValueError
            If there is none.
        """
        if object_id not in self.objects:
            raise ValueError(f"There is no object {object_id}; there are {sorted(self.objects)}.")
        return self.objects[object_id]

    def add(self, name: str, object_id: int | None = None) -> int:
        """Begin an object; give its number."""
        with self.lock:
            if object_id is None:
                object_id = self._next_number()
            object_id = whole_number("The number of an object", object_id)
            if object_id in self.objects:
                raise ValueError(f"There is an object {object_id} already.")
            self.check_room(object_id)
            self.numbers.highest = max(self.numbers.highest, object_id)
            name = name or f"object {object_id}"
            with self.step(f"add {name}"):
                self._ledger.begin(object_id, SessionObject(name))
            return object_id

    def add_masks(self, masks: Sequence[MaskPrompt]) -> list[int]:
        """Begin an object for each mask, prompted with it; give their numbers."""
        with self.lock:
            if masks:
                self.check_room(self._next_number() + len(masks) - 1)
            with self.step(f"add {count(len(masks), 'object')}"):
                added = [self.add("") for _ in masks]
                for object_id, mask in zip(added, masks, strict=True):
                    self.set_prompts(object_id, mask.frame, (mask,))
            return added

    def rename(self, object_id: int, name: str) -> None:
        """Give an object another name."""
        with self.lock:
            before = self.known(object_id).name
            if name != before:
                with self.step(f"rename {before} to {name}"):
                    self._ledger.change(object_id, name=name)

    def lock_frames(self, object_id: int, frames: Iterable[int]) -> None:
        """Say which frames of an object are accepted for good: these and no others."""
        wanted = frozenset(frames)
        with self.lock:
            known = self.known(object_id)
            if n := len(known.locked ^ wanted):
                verb = "unlock" if wanted < known.locked else "lock"
                with self.step(f"{verb} {known.name} on {count(n, 'frame')}"):
                    self._ledger.change(object_id, locked=wanted)

    def check_room(self, object_id: int) -> None:
        """Refuse a number that the labels cannot hold."""
        check_room(self.labels, object_id)

    def remove(self, object_id: int) -> None:
        """Forget an object, and take it out of the labels: where it was found, or painted."""
        with self.lock, self.step(f"remove {self.known(object_id).name}"):
            known = self.known(object_id)
            for frame in sorted(known.frames | self.labels.painted_with(object_id)):
                self._ledger.write(frame, [object_id], ())
            self._ledger.end(object_id)
            parent = known.parent
            if parent is not None and parent in self.objects and not self._daughters(parent):
                self._ledger.change(parent, end=None)  # it has not divided after all
            for other in self._daughters(object_id):
                self._ledger.change(other, parent=None)

    def merge(self, into: int, others: Sequence[int]) -> None:
        """Make one object of two, or of several."""
        into = whole_number("The number of an object", into)
        others = list(dict.fromkeys(whole_numbers("The number of an object", others)))
        with self.lock:
            one, rest = self.known(into), [self.known(other).name for other in others]
            if into in others:
                raise ValueError(f"{one.name} is one object already; name another one to merge.")
            what = rest[0] if len(rest) == 1 else count(len(rest), "object")
            with self.step(f"merge {what} into {one.name}"):
                for other in others:
                    merge(self._ledger, into, other)

    @property
    def overlap(self) -> Overlap:
        """Who has pixels that several objects claim."""
        return self._ledger.rule

    def set_overlap(self, rule: Overlap) -> None:
        """Say who has pixels that several objects claim."""
        with self.lock:
            if rule is not self.overlap:
                with self.step(f"have {RULES[rule]} where objects overlap"):
                    self._ledger.settle_anew(rule)

    def take_over(self, earlier: Workspace) -> None:
        """Go on with what another one of the same data holds, and with what it can undo."""
        with earlier.lock, self.lock, self.history.apart():
            for object_id, known in earlier.objects.items():
                self._ledger.begin(object_id, known)
                self.tracker.mark_tracked(object_id, earlier.tracker.followed_frames(object_id))
            self._ledger.rule = earlier.overlap
            self._ledger.claims.take_over(earlier._ledger.claims)
            self.quality.take_over(earlier.quality)
            self.labels.take_over(earlier.labels)
            self.numbers.take_over(earlier.numbers)
        with earlier.lock, self.lock:
            self._ledger.take_history(earlier._ledger)

    def note_edits(self, places: ArrayLike) -> None:
        """Note that a hand has changed pixels of the labels, (N, D)."""
        planes = self.labels.planes.of(places)
        self.numbers.painted.update((self.labels, plane) for plane in planes)
        self.labels.note_painted(planes)

    def number_state(self) -> list[int | bool]:
        """Give what is known of the numbers used, to be saved."""
        return [self.numbers.settled(), self.numbers.is_past_labels]

    def restore(
        self,
        objects: Mapping[int, SessionObject],
        followed: Mapping[int, Iterable[int]],
        numbers: Sequence[int | bool],
    ) -> None:
        """Put back objects, the frames they were followed over, and what `number_state` gave."""
        with self.lock, self.apart():
            for object_id, known in objects.items():
                for frame, prompts in known.prompts.items():
                    for prompt in prompts:
                        check_prompt(prompt, frame, self.source.shape)
                self.check_room(object_id)
                self._ledger.begin(object_id, known)
                self.tracker.mark_tracked(object_id, followed[object_id])
            highest, numbered = numbers
            self.numbers.highest = max(self.numbers.highest, int(highest))
            self.numbers.is_past_labels = bool(numbered)

    def set_prompts(self, object_id: int, frame: int, prompts: Sequence[Prompt]) -> bool:
        """Replace an object's prompts on a frame; say whether this changed anything."""
        frame = whole_number("A frame", frame)
        self.source.index(frame)
        for prompt in prompts:
            check_prompt(prompt, frame, self.source.shape)
        with self.lock:
            known = self.known(object_id)
            before = known.prompts.get(frame, ())
            if tuple(prompts) == before:
                return False
            if prompts:
                self.check_undivided(object_id, frame)
            with self.step(f"{prompting(len(before), len(prompts))} {known.name} on frame {frame}"):
                changed = {**known.prompts, frame: tuple(prompts)}
                if not prompts:
                    self._ledger.save_remembered(object_id)
                    self.tracker.clear(object_id, frame)
                    del changed[frame]
                self._ledger.change(object_id, prompts=changed)
            return True

    def check_undivided(self, object_id: int, frame: int) -> None:
        """Refuse a frame on which an object's daughters are there instead."""
        known = self.known(object_id)
        if known.end is not None and frame >= known.end:
            raise ValueError(
                f"{known.name} divided on frame {known.end} into objects "
                f"{self._daughters(object_id)}: prompt these, or remove them first."
            )

    def answer(self, object_id: int, frame: int) -> None:
        """Have an object's prompts on a frame answered, if there are any."""
        with self.lock:
            # Either may have been taken away since it was asked for.
            known = self.objects.get(object_id)
            if known is not None and (prompts := known.prompts.get(frame)):
                earlier = self.found(object_id, frame)
                self.tracker.answer(object_id, frame, prompts, earlier)

    def found(self, object_id: int, frame: int) -> np.ndarray | None:
        """Give an object's mask in the labels, if it was found on the frame."""
        if frame not in self.known(object_id).frames:
            return None
        return self.labels.mask(frame, object_id)

    def write(self, masks: FrameMasks) -> None:
        """Write objects to the labels, as far as they are still there; part of a step."""
        ids = set(masks.object_ids) & self.objects.keys()
        if not ids:
            return
        found = [one for one in masks.objects if one.object_id in ids]
        self._ledger.write(masks.frame, ids, found)
        self.quality.record(masks, ids)
        for object_id in ids:
            self._mark_found(object_id, masks.frame)

    def erase(self, frame: int, ids: Iterable[int]) -> None:
        """Take objects out of the labels of a frame, where they were found; part of a step."""
        gone = [i for i in ids if frame in self.objects[i].frames]
        if gone:
            self._ledger.write(frame, gone, ())
        for object_id in gone:
            self._ledger.change(object_id, frames=self.objects[object_id].frames - {frame})
            self.quality.forget(object_id, frame)

    def save_remembered(self, ids: Iterable[int]) -> None:
        """Have undone what is about to be remembered of objects, too; part of a step."""
        for object_id in ids:
            self._ledger.save_remembered(object_id)

    def divide(self, object_id: int, frame: int, masks: Sequence[MaskPrompt]) -> list[int]:
        """Begin the daughters of an object, which ends; give their numbers."""
        object_id = whole_number("The number of an object", object_id)
        frame = whole_number("A frame", frame)
        if not masks:
            raise ValueError(
                f"An object divides into others: give the masks of its daughters on frame {frame}."
            )
        with self.lock, self.step(f"divide {self.known(object_id).name} on frame {frame}"):
            known = self.known(object_id)
            self.check_undivided(object_id, frame)
            self.check_room(self._next_number() + len(masks) - 1)
            for later in sorted(f for f in known.frames if f >= frame):
                self.erase(later, [object_id])
            daughters = []
            for nth, mask in enumerate(masks, start=1):
                daughter = self.add(f"{known.name}.{nth}")
                self._ledger.change(daughter, parent=object_id)
                self.set_prompts(daughter, frame, (mask,))
                daughters.append(daughter)
            self._ledger.change(object_id, end=frame)
            return daughters

    def _daughters(self, object_id: int | None) -> list[int]:
        return [i for i, one in self.objects.items() if one.parent == object_id]

    def _mark_found(self, object_id: int, frame: int) -> None:
        frames = self.objects[object_id].frames
        if frame not in frames:
            self._ledger.change(object_id, frames=frames | {frame})

    def _next_number(self) -> int:
        return self.numbers.next(self.labels)
