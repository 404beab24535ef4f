"""What has been seen of an object, and which of it a frame attends to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_sam2.model.sam2 import MAX_POINTERS, TRACKED_MEMORIES, Memories

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Note:
    """What a strategy wrote down about a tracked frame."""

    sure: bool  #: whether later frames may attend to it


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """One frame as later frames attend to it; B is 1, or the objects of a training batch."""

    features: Tensor | None  #: (B, memory_dim, H / 16, W / 16); None once out of reach
    pointer: Tensor  #: (B, C)
    note: Note | None = None


class Attended(NamedTuple):
    """The memories that one frame attends to, with their distance from it in frames."""

    spatial: list[tuple[int, Tensor]]  #: (B, memory_dim, H / 16, W / 16); 0: a prompted frame
    pointers: list[tuple[int, Tensor]]  #: (B, C)
    weights: tuple[float, ...] = ()  #: of the keys of each, if they are not all to count alike

    @property
    def shape(self) -> tuple[tuple[int, ...], int]:
        """What must agree for several to be attended to as one batch."""
        return tuple(age for age, _ in self.spatial), len(self.pointers)


@dataclass(slots=True)
class ObjectMemory:
    """Memories of one object, by frame index."""

    prompted: dict[int, FrameMemory] = field(default_factory=dict)
    tracked: dict[int, FrameMemory] = field(default_factory=dict)
    #: Tracked frames that were forgotten to make room, and may be remembered again.
    dropped: set[int] = field(default_factory=set)

    def attended(self, frame: int, *, reverse: bool = False, n_frames: int) -> Attended:
        """Choose what `frame` attends to: SAM 2's rule (``SAM2Base``, memory conditioning).

        Spatial memories: every prompted frame, wherever it lies, and the 6 tracked frames
        before this one. Pointers: the prompted frames that are not ahead, and the 15
        tracked frames before this one.

        Parameters
        ----------
        frame : int
        reverse : bool
            Whether time runs backwards; "before" then means later frames.
        n_frames : int
            Length of the sequence; short ones have fewer pointers.
        """
        direction = -1 if reverse else 1
        before = {d: self.tracked.get(frame - d * direction) for d in range(1, MAX_POINTERS)}
        near = [(d, before[d]) for d in range(TRACKED_MEMORIES, 0, -1)]
        pointers = [(d, m) for d, m in before.items() if m and d < pointer_span(n_frames)]
        prompts = self.attended_prompts(frame, reverse=reverse)
        return Attended(
            prompts.spatial + [(d, m.features) for d, m in near if m and m.features is not None],
            prompts.pointers + [(d, m.pointer) for d, m in pointers],
        )

    def attended_prompts(self, frame: int, *, reverse: bool = False) -> Attended:
        """Give the part of what `frame` attends to that is prompted; see `attended`."""
        direction = -1 if reverse else 1
        prompted = {f: m for f, m in self.prompted.items() if f != frame}
        ahead = [((frame - f) * direction, memory) for f, memory in prompted.items()]
        return Attended(
            [(0, m.features) for m in prompted.values() if m.features is not None],
            [(d, m.pointer) for d, m in ahead if d > 0],
        )

    def keep_near(self, frames: Iterable[int], chosen: Sequence[int] = ()) -> None:
        """Forget tracked frames that no frame next to the given ones can attend to.

        Prompted frames stay: every frame attends to them.

        Parameters
        ----------
        frames : iterable of int
        chosen : sequence of int
            What is kept wherever it lies: the latest first, of which 6 are kept whole.
        """
        frames, whole = tuple(frames), chosen[:TRACKED_MEMORIES]
        for frame, memory in list(self.tracked.items()):
            distance = min(abs(frame - f) for f in frames)
            if distance > TRACKED_MEMORIES + 1 and frame not in whole:
                self.dropped.add(frame)
            if distance > MAX_POINTERS and frame not in chosen:
                del self.tracked[frame]
            elif distance > TRACKED_MEMORIES + 1 and frame not in whole:
                self.tracked[frame] = replace(memory, features=None)

    def forget_around(self, frame: int) -> None:
        """Forget tracked frames that may show the object as it was before a correction."""
        reach = TRACKED_MEMORIES + 1
        for near in range(frame - reach, frame + reach + 1):
            self.tracked.pop(near, None)
            self.dropped.discard(near)


def pointer_span(n_frames: int) -> int:
    """Give the number of frames over which pointers are attended to."""
    return min(n_frames, MAX_POINTERS)


def group(keys: Sequence[Hashable]) -> list[list[int]]:
    """Give the indices of equal keys together, in the order of their first."""
    groups = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return list(groups.values())


def collate(
    attended: Sequence[Attended], n_frames: int, width: int, device: torch.device
) -> Memories:
    """Batch the memories of several objects, or take those of one training batch.

    Parameters
    ----------
    attended : sequence of Attended
        One an object; all with the same spatial distances and number of pointers.
    n_frames : int
        Length of the sequence.
    width : int
        C, the channels of a pointer.
    device : torch.device
        Where the result goes.
    """
    # One frame alone has no distances: 0 / 0 in Meta's formula, which would spoil all.
    longest = max(pointer_span(n_frames) - 1, 1)
    ages = [
        torch.tensor([age for age, _ in one.pointers], dtype=torch.float32) / longest
        for one in attended
    ]
    weights = [one.weights for one in attended]
    spatial = torch.cat([torch.stack([m for _, m in one.spatial], dim=1) for one in attended])
    pointers = torch.cat([_stack_pointers(one, width) for one in attended])
    return Memories(
        spatial.to(device),
        tuple(age for age, _ in attended[0].spatial),
        pointers.to(device),
        torch.stack(ages).expand(len(pointers), -1).to(device),
        torch.tensor(weights, device=device) if any(weights) else None,
    )


def _stack_pointers(one: Attended, width: int) -> Tensor:  # (B, P, C)
    if one.pointers:
        return torch.stack([pointer for _, pointer in one.pointers], dim=1)
    # Every prompted frame lies ahead.
    batch = one.spatial[0][1]
    return batch.new_empty(len(batch), 0, width, dtype=torch.float32)
