"""Which frames to visit, in which order, and for which objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
            yield frame, [i for i, begin in self.begins.items() if self._reached(begin, frame)]

    def _reached(self, begin: int, frame: int) -> bool:
        return frame <= begin if self.reverse else frame >= begin


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
