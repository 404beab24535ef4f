"""What a session holds: objects, their prompts, what was found of them; and what changes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING

from napari_sam2.predictors.objects import check_prompt
from napari_sam2.quality import QualityTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

    from napari_sam2.labels import StackLabels
    from napari_sam2.predictors.frames import FrameSource
    from napari_sam2.predictors.tracker import Tracker
    from napari_sam2.prompts import FrameMasks, MaskPrompt, Prompt


@dataclass(slots=True)
class SessionObject:
    """One object to find: a name, its prompts on each frame, and what is known of it."""

    name: str
    prompts: dict[int, tuple[Prompt, ...]] = field(default_factory=dict)
    frames: set[int] = field(default_factory=set)  #: frames with a result in the labels
    locked: set[int] = field(default_factory=set)  #: frames whose result was accepted for good
    parent: int | None = None  #: the object that divided into this one and others
    end: int | None = None  #: the frame from which its daughters are there instead

    def is_open(self, frame: int) -> bool:
        """Whether propagation may write it on a frame."""
        return frame not in self.locked and (self.end is None or frame < self.end)


@dataclass(slots=True)
class Numbers:
    """The highest number that an object ever had, in all sessions that share labels."""

    highest: int = 0


class Workspace:
    """The objects of a session. Each method is a step that others see as a whole.

    Parameters
    ----------
    source : FrameSource
    labels : StackLabels
    tracker : Tracker
    is_empty : bool
        Whether there is nothing in the labels yet.
    """

    def __init__(
        self, source: FrameSource, labels: StackLabels, tracker: Tracker, *, is_empty: bool
    ) -> None:
        self.source = source
        self.labels = labels
        self.tracker = tracker
        # A preview may be wanted while frames are being tracked in another thread.
        self.lock = RLock()
        self.objects: dict[int, SessionObject] = {}
        self.quality = QualityTable(self.is_accepted)
        # Ids are never used again, lest an answer meant for one object goes to another.
        self.numbers = Numbers()
        self._numbered = is_empty  # whether what is in the labels is below the highest number

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
            if object_id in self.objects:
                raise ValueError(f"There is an object {object_id} already.")
            self.check_room(object_id)
            self.numbers.highest = max(self.numbers.highest, object_id)
            self.objects[object_id] = SessionObject(name or f"object {object_id}")
            return object_id

    def check_room(self, object_id: int) -> None:
        """Refuse a number that the labels cannot hold."""
        if not 0 < object_id <= self.labels.largest_id:
            raise ValueError(
                f"Labels of type {self.labels.array.dtype} have no room for {object_id}."
            )

    def remove(self, object_id: int) -> None:
        """Forget an object, and take it out of the labels."""
        with self.lock:
            known = self.known(object_id)
            self.tracker.remove(object_id)
            for frame in list(known.frames):
                self.erase(frame, [object_id])
            self.quality.forget(object_id)
            del self.objects[object_id]
            if known.parent in self.objects and not self._daughters(known.parent):
                self.objects[known.parent].end = None  # it has not divided after all
            for other in self.objects.values():
                if other.parent == object_id:
                    other.parent = None

    def take_over(self, earlier: Workspace) -> None:
        """Go on with what another one of the same data holds."""
        with earlier.lock, self.lock:
            for object_id, known in earlier.objects.items():
                self.add(known.name, object_id)
                self.objects[object_id] = replace(
                    known, prompts={}, frames=set(known.frames), locked=set(known.locked)
                )
                self.tracker.mark_tracked(object_id, earlier.tracker.followed_frames(object_id))
                for frame, prompts in known.prompts.items():
                    self.set_prompts(object_id, frame, prompts)
            self.quality.take_over(earlier.quality)
            self.numbers.highest = max(self.numbers.highest, earlier.numbers.highest)
            self._numbered |= earlier._numbered

    def number_state(self) -> list[int | bool]:
        """Give what is known of the numbers used, to be saved."""
        return [self.numbers.highest, self._numbered]

    def restore(
        self,
        objects: Mapping[int, SessionObject],
        followed: Mapping[int, Iterable[int]],
        numbers: Sequence[int | bool],
    ) -> None:
        """Put back objects, the frames they were followed over, and what `number_state` gave."""
        with self.lock:
            for object_id, known in objects.items():
                for frame, prompts in known.prompts.items():
                    for prompt in prompts:
                        check_prompt(prompt, frame, self.source.shape)
                self.check_room(object_id)
                self.objects[object_id] = known
                self.tracker.mark_tracked(object_id, followed[object_id])
            highest, numbered = numbers
            self.numbers.highest = max(self.numbers.highest, int(highest))
            self._numbered = bool(numbered)

    def set_prompts(self, object_id: int, frame: int, prompts: Sequence[Prompt]) -> bool:
        """Replace an object's prompts on a frame; say whether this changed anything."""
        self.source.index(frame)
        for prompt in prompts:
            check_prompt(prompt, frame, self.source.shape)
        with self.lock:
            known = self.known(object_id)
            if tuple(prompts) == known.prompts.get(frame, ()):
                return False
            if prompts:
                self.check_undivided(object_id, frame)
                known.prompts[frame] = tuple(prompts)
            else:
                known.prompts.pop(frame, None)
                self.tracker.clear(object_id, frame)
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
        """Write objects to the labels, as far as they are still there."""
        ids = set(masks.object_ids) & self.objects.keys()
        if not ids:
            return
        self.labels.write(masks.frame, ids, masks.labels(self.labels.array.dtype))
        self.quality.record(masks, ids)
        for object_id in ids:
            self.objects[object_id].frames.add(masks.frame)

    def erase(self, frame: int, ids: Iterable[int]) -> None:
        """Take objects out of the labels of a frame, where they were found on it."""
        gone = [i for i in ids if frame in self.objects[i].frames]
        if gone:
            self.labels.write(frame, gone, None)
        for object_id in gone:
            self.objects[object_id].frames.discard(frame)
            self.quality.forget(object_id, frame)

    def divide(self, object_id: int, frame: int, masks: Sequence[MaskPrompt]) -> list[int]:
        """Begin the daughters of an object, which ends; give their numbers."""
        with self.lock:
            known = self.known(object_id)
            self.check_undivided(object_id, frame)
            self.check_room(self._next_number() + len(masks) - 1)
            for later in [f for f in known.frames if f >= frame]:
                self.erase(later, [object_id])
            daughters = []
            for count, mask in enumerate(masks, start=1):
                daughter = self.add(f"{known.name}.{count}")
                self.objects[daughter].parent = object_id
                self.set_prompts(daughter, frame, (mask,))
                daughters.append(daughter)
            known.end = frame
            return daughters

    def is_accepted(self, object_id: int, frame: int) -> bool:
        """Whether an object's result on a frame is locked."""
        return object_id in self.objects and frame in self.objects[object_id].locked

    def _daughters(self, object_id: int | None) -> list[int]:
        return [i for i, one in self.objects.items() if one.parent == object_id]

    def _next_number(self) -> int:
        if not self._numbered:
            self.numbers.highest = max(self.numbers.highest, self.labels.highest())
            self._numbered = True
        return self.numbers.highest + 1
