"""Which frames to visit, in which order, and for which objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

Direction = Literal["forward", "backward", "both"]


@dataclass(frozen=True, slots=True)
class Pass:
    """A run through frames in one direction."""

    frames: range
    begins: Mapping[int, int]  #: the frame from which each object is looked for

    @property
    def reverse(self) -> bool:
        """Whether time runs backwards."""
        return self.frames.step < 0

    def visits(self) -> Iterator[tuple[int, list[int]]]:
        """Give each frame with the objects to look for on it."""
        for frame in self.frames:
            yield frame, [i for i in self.begins if self.reaches(i, frame)]

    def reaches(self, object_id: int, frame: int) -> bool:
        """Whether a frame is one from which an object is looked for, or lies behind it."""
        begin = self.begins[object_id]
        return frame <= begin if self.reverse else frame >= begin


@dataclass(frozen=True, slots=True)
class Answering:
    """Prompts that are answered before objects are followed, a step a frame."""

    objects: Mapping[int, Sequence[int]]  #: those prompted on each frame
    written: range  #: frames whose masks are results, too

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames, in order."""
        return tuple(sorted(self.objects))


Plan = tuple[Answering | Pass, ...]


def plan_passes(
    prompted: Mapping[int, Sequence[int]], direction: Direction, start: int, stop: int
) -> tuple[Pass, ...]:
    """Plan how objects are followed from where they are prompted.

    Parameters
    ----------
    prompted : mapping of int to sequence of int
        The prompted frames of each object, at least one.
    direction : {"forward", "backward", "both"}
        Forward follows each object from its first prompted frame to the end, backward from
        its last to the beginning; both goes from its first either way.
    start, stop : int
        Frames from `start` up to but not including `stop`.
    """
    if direction not in get_args(Direction):
        raise ValueError(f"There is no direction {direction!r}: forward, backward or both.")
    first = {i: min(frames) for i, frames in prompted.items()}
    last = {i: max(frames) for i, frames in prompted.items()}
    passes = []
    if direction != "backward":
        passes.append(Pass(range(max(start, min(first.values())), stop), first))
    if direction != "forward":
        end = last if direction == "backward" else {i: f - 1 for i, f in first.items()}
        passes.append(Pass(range(min(stop - 1, max(end.values())), start - 1, -1), end))
    return tuple(passes)


def plan_correction(
    object_id: int, frame: int, locked: Collection[int], n_frames: int
) -> tuple[Pass, ...]:
    """Plan how an object is followed from a corrected frame, either way up to a locked one.

    Parameters
    ----------
    object_id, frame : int
    locked : collection of int
        Frames to stop before; not the corrected one.
    n_frames : int
    """
    stop = min((f for f in locked if f > frame), default=n_frames)
    start = max((f for f in locked if f < frame), default=-1)
    onward = Pass(range(frame, stop), {object_id: frame})
    back = Pass(range(frame - 1, start, -1), {object_id: frame - 1})
    return tuple(one for one in (onward, back) if one.frames)


def plan_answers(
    prompted: Mapping[int, Collection[int]], passes: Sequence[Pass], written: range
) -> tuple[Answering, ...]:
    """Plan which prompts are answered first: none where nothing is.

    An object attends to all its prompted frames, wherever they lie: it is not followed before
    they are answered. One that is prompted only where a pass begins with it is answered there.

    Parameters
    ----------
    prompted : mapping of int to collection of int
        Frames of each object with prompts, as far as they have no answer yet.
    passes : sequence of Pass
        What comes after.
    written : range
        Frames whose masks are results, too.
    """
    objects: dict[int, list[int]] = {}
    for object_id, frames in prompted.items():
        begin = passes[0].begins[object_id]
        if set(frames) == {begin} and begin in passes[0].frames:
            continue
        for frame in frames:
            objects.setdefault(frame, []).append(object_id)
    return (Answering(objects, written),) if objects else ()
