"""Which annotations are learnt from, and which only measured on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from napari_sam2.training.annotated import AnnotatedStack, AnnotationError, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

By = Literal["auto", "frames", "objects"]


class Split(NamedTuple):
    """Two sets of annotations that share no object on any frame."""

    training: tuple[Part, ...]
    held_out: tuple[Part, ...]  #: those of training where nothing is held out

    @property
    def is_honest(self) -> bool:
        """Whether what is measured on is not learnt from."""
        return self.training is not self.held_out


def hold_out(
    stacks: Sequence[AnnotatedStack], share: float, by: By = "auto", seed: int = 0
) -> Split:
    """Set aside a share of the annotations.

    Of a stack these are its last annotated frames, as neighbours look alike; of several images
    some at random; of a single frame some of its objects.

    Parameters
    ----------
    stacks : sequence of AnnotatedStack
    share : float
        From 0 (nothing) up to but not including 1; at least one frame or object is held out,
        and one is left.
    by : {"auto", "frames", "objects"}
        "auto" takes frames if there are two or more.
    seed : int

    Raises
    ------
    AnnotationError
        If there is too little to hold anything out.
    """
    if not 0 <= share < 1:
        raise AnnotationError(f"The share to hold out is from 0 to below 1, got {share}.")
    everything = tuple(Part(stack, stack.frames) for stack in stacks)
    n_frames = sum(len(part.frames) for part in everything)
    if share == 0:
        return Split(everything, everything)
    if by == "objects" or (by == "auto" and n_frames == 1):
        return _by_objects(stacks, share, seed)
    if n_frames == 1:
        raise AnnotationError(
            "There is one annotated frame, and frames were to be held out: annotate another, or "
            "hold out objects."
        )
    if len(stacks) == 1:
        frames = stacks[0].frames
        count = _count(len(frames), share)
        return Split((Part(stacks[0], frames[:-count]),), (Part(stacks[0], frames[-count:]),))
    return _by_images(everything, n_frames, share, seed)


def _by_images(everything: tuple[Part, ...], n_frames: int, share: float, seed: int) -> Split:
    """Hold out whole stacks, at random, until they have enough frames."""
    wanted, order = _count(n_frames, share), _shuffled(len(everything), seed)
    held: list[int] = []
    for index in order[:-1]:  # one is left to learn from
        if sum(len(everything[i].frames) for i in held) < wanted:
            held.append(index)
    training = tuple(part for i, part in enumerate(everything) if i not in held)
    return Split(training, tuple(everything[i] for i in sorted(held)))


def _by_objects(stacks: Sequence[AnnotatedStack], share: float, seed: int) -> Split:
    """Hold out ids; in a stack of linked frames they are the same objects on all of them."""
    training, held = [], []
    for number, stack in enumerate(stacks):
        ids = sorted({i for on_frame in stack.objects.values() for i in on_frame})
        if len(ids) < 2:
            training.append(Part(stack, stack.frames))
            continue
        chosen = _shuffled(len(ids), seed + number)[: _count(len(ids), share)]
        kept = frozenset(ids[i] for i in chosen)
        held.append(_with_objects(stack, kept))
        training.append(_with_objects(stack, frozenset(ids) - kept))
    if not held:
        raise AnnotationError(
            "There is one annotated object: none can be held out to measure on. Annotate two or "
            "more, or hold out nothing (a share of 0)."
        )
    return Split(tuple(training), tuple(held))


def _with_objects(stack: AnnotatedStack, ids: frozenset[int]) -> Part:
    frames = tuple(frame for frame, objects in stack.objects.items() if ids & set(objects))
    return Part(stack, frames, ids)


def _count(n: int, share: float) -> int:
    return min(max(math.ceil(n * share - 1e-9), 1), n - 1)


def _shuffled(n: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
