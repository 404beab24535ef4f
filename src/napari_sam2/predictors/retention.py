"""Memories that are let go beyond a budget, and made again when they are attended to.

Of every tracked frame there are three things to remember, each made of the next: the memory
that later frames attend to, the low-resolution mask that was found, and the mask in the labels.
What no frame next to the one visited last attends to may be let go, the memory first.

- A memory made again of its low-resolution mask is the one it was: the same image features, the
  same logits, before their holes were filled. (Up to rounding, where it was made in a batch with
  other objects.)
- A memory made again of the labels is an approximation: of a mask without doubt at its edge, at
  the frame's resolution, without what other objects cover, and with the object pointer that the
  decoder gives for a mask, as of a mask prompt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.model.sam2 import TRACKED_MEMORIES
from napari_sam2.predictors.memory import FrameMemory
from napari_sam2.predictors.objects import Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from napari_sam2.predictors.objects import TrackedObject
    from napari_sam2.predictors.segmenter import Segmenter
    from napari_sam2.predictors.windows import Window


class Kept(NamedTuple):
    """What is known of objects, in bytes."""

    memories: int  #: that frames attend to
    results: int  #: low-resolution masks, of which memories can be made again

    def beyond(self, limit: Kept) -> bool:
        """Whether either is more than it may be."""
        return self.memories > limit.memories or self.results > limit.results


def kept(objects: Iterable[TrackedObject]) -> Kept:
    """Count what is known of objects."""
    memories = results = 0
    for known in objects:
        remembered = (*known.memory.prompted.values(), *known.memory.tracked.values())
        memories += sum(map(_memory_bytes, remembered))
        results += sum(sum(x.nbytes for x in one.output) for one in known.prompted.values())
        results += sum(one.nbytes for one in known.sightings.values())
    return Kept(memories, results)


def let_go(objects: Iterable[TrackedObject], frame: int, limit: Kept) -> None:
    """Let go what is beyond a limit and is not attended to next, the farthest from a frame first.

    Parameters
    ----------
    objects : iterable of TrackedObject
        All that there are.
    frame : int
        Visited last.
    limit : Kept
        What may be kept. Frames next to the last one attend to what they attend to, whatever
        it takes.
    """
    objects = list(objects)
    memories, results = kept(objects)
    if not Kept(memories, results).beyond(limit):
        return
    spare = [
        (abs(frame - seen), known, seen)
        for known in objects
        for seen in known.sightings
        if abs(frame - seen) > TRACKED_MEMORIES + 1 and seen not in known.chosen
    ]
    for _, known, seen in sorted(spare, key=lambda one: one[0], reverse=True):
        if not Kept(memories, results).beyond(limit):
            return
        if one := known.memory.tracked.get(seen):
            known.memory.tracked[seen] = replace(one, features=None)
            known.memory.dropped.add(seen)
            memories -= _memory_bytes(one)
        if results > limit.results:
            results -= known.sightings.pop(seen).nbytes


def wanted_again(known: TrackedObject, frame: int, count: int, *, reverse: bool) -> list[int]:
    """Give the tracked frames whose memories a frame would attend to if they were still there.

    Parameters
    ----------
    known : TrackedObject
    frame : int
    count : int
        How many frames before this one are looked at, up to 6.
    reverse : bool
        Whether time runs backwards; "before" then means later frames.
    """
    direction = -1 if reverse else 1
    before = [frame - distance * direction for distance in range(1, count + 1)]
    return [
        f
        for f in before
        if f in known.memory.dropped
        and f not in known.prompted
        and not ((one := known.memory.tracked.get(f)) and one.features is not None)
    ]


def make_again(segmenter: Segmenter, known: TrackedObject, frame: int, window: Window) -> None:
    """Remember a tracked frame again, out of what is left of it.

    Parameters
    ----------
    segmenter : Segmenter
    known : TrackedObject
    frame : int
    window : Window
        Where the object is looked for.
    """
    left, pointer = known.sightings.get(frame), None
    if one := known.memory.tracked.get(frame):
        pointer = one.pointer
    if left is None or pointer is None:
        mask = known.found(frame) if known.found else None
        if mask is None:
            return
        output = segmenter.accept(frame, window, mask[window.region])
        left = left or Sighting(window, output.logits, output.object_score)
        pointer = output.pointer if pointer is None else pointer
    features = segmenter.encode(
        frame, window, left.as_remembered(window), left.object_score, binarize=False
    )
    known.sightings[frame] = left
    known.memory.tracked[frame] = FrameMemory(features, pointer)


def unfilled(logits: Tensor, filled: Tensor) -> Tensor | None:
    """Give logits as they were before holes were filled, if any were."""
    return None if logits.equal(filled) else logits


def _memory_bytes(one: FrameMemory) -> int:
    return 0 if one.features is None else one.features.nbytes
