"""What the tracker knows of one object, and the order in which its prompts count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.model.sam2 import TRACKED_MEMORIES
from napari_sam2.predictors.memory import ObjectMemory
from napari_sam2.predictors.windows import extent_of_logits, move_logits
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from napari_sam2.model.sam2 import ObjectOutput
    from napari_sam2.predictors.following import Followed
    from napari_sam2.predictors.memory import Note
    from napari_sam2.predictors.windows import Extent, Window


class Sighting(NamedTuple):
    """Where one object was seen on a frame."""

    window: Window
    logits: Tensor  #: (1, 1, H / 4, W / 4)
    object_score: Tensor  #: (1, 1)
    unfilled: Tensor | None = None  #: logits before holes were filled, if any were

    @property
    def nbytes(self) -> int:
        """How much memory this takes."""
        return self.logits.nbytes + (0 if self.unfilled is None else self.unfilled.nbytes)

    @property
    def extent(self) -> Extent | None:
        """The mask's extent in the frame; None where there is none."""
        return extent_of_logits(self.logits[0, 0], self.window)

    def through(self, window: Window) -> Tensor:
        """Give the logits as another window would have them."""
        return move_logits(self.logits, self.window, window)

    def as_remembered(self, window: Window) -> Tensor:
        """Do as `through`, with the holes that memories have."""
        logits = self.logits if self.unfilled is None else self.unfilled
        return move_logits(logits, self.window, window)


@dataclass(frozen=True, slots=True)
class PromptedFrame:
    """A frame with prompts: what was asked, from where it set out, and the answer."""

    prompts: tuple[Prompt, ...]  #: in the order they were decoded
    corrects: bool  #: whether a tracked mask is corrected
    start: Sighting | None  #: before the first prompt
    window: Window  #: what the model saw
    output: ObjectOutput  #: of one object

    @property
    def candidate(self) -> int | None:
        """The number of the candidate that was asked for; None where there is no choice."""
        first = self.prompts[0] if self.prompts else None
        if isinstance(first, PointPrompt) and self.output.candidates.shape[1] > 1:
            return first.candidate
        return None

    @property
    def sighting(self) -> Sighting:
        """The answer, as a start for others."""
        return Sighting(self.window, self.output.logits, self.output.object_score)

    def is_answer_to(self, prompts: Sequence[Prompt]) -> bool:
        """Whether it is these prompts that were answered, in whatever order they came."""
        as_many = len(self.prompts) == len(prompts)
        return as_many and self.prompts == order_prompts(prompts, corrects=self.corrects)

    def answers(self, prompts: Sequence[Prompt]) -> int:
        """Count how many of the given prompts are answered already: all of mine, or none."""
        mine = len(self.prompts)
        return mine if self.prompts == tuple(prompts[:mine]) else 0


@dataclass(frozen=True)
class Remembered:
    """What is worth keeping of an object for later: the rest is made anew when it is needed."""

    source: object  #: the frames that were asked about; of others this says less
    prompted: Mapping[int, PromptedFrame]
    tracked: frozenset[int]
    followed: frozenset[int]  #: those of the tracked frames whose mask comes from following

    @classmethod
    def of(cls, known: TrackedObject, source: object) -> Remembered:
        """Keep what is known of an object in a source of frames."""
        tracked, followed = frozenset(known.tracked), frozenset(known.followed)
        return cls(source, dict(known.prompted), tracked, followed)

    @property
    def nbytes(self) -> int:
        """How much memory the answers take."""
        return sum(t.nbytes for one in self.prompted.values() for t in one.output)


@dataclass(slots=True)
class TrackedObject:
    """What is known of one object."""

    memory: ObjectMemory = field(default_factory=ObjectMemory)
    prompted: dict[int, PromptedFrame] = field(default_factory=dict)
    sightings: dict[int, Sighting] = field(default_factory=dict)  #: tracked frames in reach
    window: Window | None = None  #: what all its memories are of
    tracked: set[int] = field(default_factory=set)  #: every frame it was followed over
    reverse: bool = False  #: which way it was followed last
    last: int | None = None  #: the frame visited last
    #: Other accounts of what happened since the last prompt, where a strategy keeps them.
    rivals: list[TrackedObject] = field(default_factory=list)

    chosen: tuple[int, ...] = ()  #: tracked frames that a strategy attends to from afar
    #: Gives its mask on a frame where it was found earlier, (H, W); None where there is none.
    found: Callable[[int], np.ndarray | None] | None = None

    @property
    def accounts(self) -> tuple[TrackedObject, ...]:
        """All accounts of what happened; the one in the lead, which is shown, first."""
        return self, *self.rivals

    @property
    def followed(self) -> set[int]:
        """Frames whose mask comes from following, corrected or not; not those it began on."""
        began = {frame for frame, one in self.prompted.items() if not one.corrects}
        return self.tracked - began

    def nearest_sighting(self, frame: int, *, reverse: bool) -> Sighting | None:
        """Give what is known of the frame nearest to one: of two, the earlier.

        Of tracked frames those count that were just passed; what is known of others comes from
        an earlier run, which a correction may have overtaken.
        """
        direction = -1 if reverse else 1
        passed = {f: s for f, s in self.sightings.items() if (frame - f) * direction > 0}
        known = passed | {f: one.sighting for f, one in self.prompted.items()}
        return known[min(known, key=lambda other: (abs(other - frame), other))] if known else None

    def seen_on(self, frame: int) -> Sighting | None:
        """Give what is known of the object on a frame: prompted, or tracked and in reach."""
        prompted = self.prompted.get(frame)
        return prompted.sighting if prompted else self.sightings.get(frame)

    def note(self, frame: int) -> Note | None:
        """Give what a strategy wrote down about a frame; nothing about prompted ones."""
        tracked = self.memory.tracked.get(frame)
        return tracked.note if tracked and frame not in self.prompted else None

    def keep_rivals(self, before: int, *, reverse: bool) -> None:
        """Let rivals go, unless it was they that went up to the frame before the one to come."""
        goes_on = self.last == before and self.reverse == reverse
        if before in self.prompted or before not in self.memory.tracked or not goes_on:
            self.rivals = []

    def go_on(self, frame: int, window: Window, followed: Sequence[Followed]) -> None:
        """Remember what was found on a frame, as the accounts that are from now on."""
        accounts = self.accounts
        # Before the lead changes: they set out from what was.
        self.rivals = [accounts[one.account]._fork() for one in followed[1:]]
        if lead := followed[0].account:
            other = accounts[lead]._fork()
            self.memory.tracked, self.sightings = other.memory.tracked, other.sightings
        for account, one in zip(self.accounts, followed, strict=True):
            account.memory.tracked[frame] = one.memory
            account.sightings[frame] = one.sighting(window)

    def _fork(self) -> TrackedObject:
        """Give an account that begins like this one; prompts are the same, also later ones."""
        memory = ObjectMemory(self.memory.prompted, dict(self.memory.tracked))
        return TrackedObject(memory, self.prompted, dict(self.sightings), self.window)

    def forget_around(self, frame: int) -> None:
        """Forget the tracked frames near one, which may show the object as it was before."""
        self.memory.forget_around(frame)
        left = self.memory.tracked
        self.sightings = {f: seen for f, seen in self.sightings.items() if f in left}

    def keep_near(self, frame: int, chosen: Sequence[int] = ()) -> None:
        """Forget what neither this frame nor a prompted one can reach, unless it is chosen."""
        near, self.chosen = (frame, *self.prompted), tuple(chosen)
        self.memory.keep_near(near, chosen)
        self.sightings = {
            f: self.sightings[f]
            for f, one in self.memory.tracked.items()
            if f in self.sightings
            and (one.features is not None or min(abs(f - n) for n in near) <= TRACKED_MEMORIES + 1)
        }


def order_prompts(prompts: Sequence[Prompt], *, corrects: bool) -> tuple[Prompt, ...]:
    """Put one object's prompts on one frame into the order they are decoded in.

    A box goes first, then the points as they came; but an object is not begun with a
    point beside it, so that the first positive one goes before.

    Parameters
    ----------
    prompts : sequence of Prompt
    corrects : bool
        Whether there is a mask to correct; then negative points alone say something.

    Raises
    ------
    ValueError
        If the prompts contradict each other or say nothing.
    """
    boxes = [p for p in prompts if isinstance(p, BoxPrompt)]
    masks = [p for p in prompts if isinstance(p, MaskPrompt)]
    points = [p for p in prompts if isinstance(p, PointPrompt)]
    if not prompts:
        raise ValueError("Nothing to segment: give a point, a box or a mask.")
    if masks and len(prompts) > 1:
        raise ValueError(
            f"A mask is taken as it is; it cannot stand with {len(prompts) - 1} other prompts on "
            "the same frame. Clear the frame's prompts first."
        )
    if len(boxes) > 1:
        raise ValueError(
            f"An object has one box a frame, got {len(boxes)}. Make an object for each box."
        )
    positive = [p for p in points if p.positive]
    if not (boxes or masks or positive or corrects):
        raise ValueError(
            "Negative points alone do not say what to segment. Click the object itself first."
        )
    if positive and not boxes and not corrects:
        points.remove(positive[0])
        points.insert(0, positive[0])
    return (*masks, *boxes, *points)


def check_prompt(prompt: Prompt, frame: int, shape: tuple[int, int]) -> None:
    """Refuse a prompt that does not lie on a frame.

    Parameters
    ----------
    prompt : Prompt
    frame : int
        The frame it is meant for.
    shape : tuple of int
        (H, W) of the frame.

    Raises
    ------
    TypeError
        If it is no prompt.
    ValueError
        If it belongs to another frame, or lies outside.
    """
    if not isinstance(prompt, PointPrompt | BoxPrompt | MaskPrompt):
        raise TypeError(
            f"A prompt is a PointPrompt, a BoxPrompt or a MaskPrompt; got {prompt!r}. Positions "
            "are given to `add_points` and `add_box`."
        )
    height, width = shape
    if prompt.frame != frame:
        raise ValueError(f"A prompt for frame {prompt.frame} was given for frame {frame}.")
    if isinstance(prompt, MaskPrompt):
        if prompt.shape != shape:
            raise ValueError(f"The mask has shape {prompt.shape}, but a frame has {shape}.")
        return
    if isinstance(prompt, PointPrompt):
        inside = _within(prompt.row, height) and _within(prompt.column, width)
    else:
        # A box may reach over the edge, but not lie beyond it.
        rows = prompt.row0 < height - 0.5 and prompt.row1 > -0.5
        inside = rows and prompt.column0 < width - 0.5 and prompt.column1 > -0.5
    if not inside:
        raise ValueError(f"{prompt} lies outside the image of {height} x {width} pixels.")


def _within(position: float, length: int) -> bool:
    return -0.5 <= position <= length - 0.5
