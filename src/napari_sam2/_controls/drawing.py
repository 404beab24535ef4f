"""Prompts as they are drawn on layers, and those that are drawn beside the image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes

from napari_sam2._reading import NO_CANDIDATE, Reading
from napari_sam2.predictors.objects import check_prompt
from napari_sam2.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Prompt


@dataclass(frozen=True, eq=False)
class Drawing:
    """One point or box."""

    kind: str  #: point or rectangle
    vertices: np.ndarray  #: (N, axes of the image), in its pixels
    object_id: int
    positive: bool
    candidate: int = NO_CANDIDATE  #: of a point; see `PointPrompt`


def draw(stack: Stack, prompts: Mapping[int, Mapping[int, Sequence[Prompt]]]) -> Iterator[Drawing]:
    """Draw points and boxes so that they are read as they were, given by object and frame."""
    for object_id, by_frame in prompts.items():
        for frame, on_frame in by_frame.items():
            for prompt in on_frame:
                for kind, pixels, positive in _outlines(prompt):
                    vertices = _lift(stack, frame, np.asarray(pixels, dtype=float))
                    yield Drawing(kind, vertices, object_id, positive, _candidate(prompt))


def by_layer(drawings: Iterable[Drawing]) -> dict[type, list[Drawing]]:
    """Tell points from shapes."""
    parted = defaultdict(list)
    for drawing in drawings:
        parted[Points if drawing.kind == "point" else Shapes].append(drawing)
    return parted


def leave_out_strays(stack: Stack, reading: Reading) -> Reading:
    """Leave out prompts that lie beside the image, and say so: the others count."""
    kept: dict[int, dict[int, tuple[Prompt, ...]]] = {}
    shape, n_frames, n_strays = stack.shape, stack.n_frames, 0  # worked out once, for all prompts
    for object_id, by_frame in reading.prompts.items():
        for frame, prompts in by_frame.items():
            inside = tuple(p for p in prompts if _is_inside(p, shape, n_frames))
            n_strays += len(prompts) - len(inside)
            if inside:
                kept.setdefault(object_id, {})[frame] = inside
    if not n_strays:
        return reading
    return Reading(kept, (*reading.notices, f"{n_strays} ignored: prompts outside the image"))


def _is_inside(prompt: Prompt, shape: tuple[int, int], n_frames: int) -> bool:
    try:
        check_prompt(prompt, prompt.frame, shape)
    except ValueError:
        return False
    return 0 <= prompt.frame < n_frames


def _outlines(prompt: Prompt) -> Iterator[tuple[str, object, bool]]:
    """Give kind, (row, column) of the vertices, and sign."""
    if isinstance(prompt, PointPrompt):
        yield "point", [(prompt.row, prompt.column)], prompt.positive
    if isinstance(prompt, BoxPrompt):
        (top, left), (bottom, right) = (prompt.row0, prompt.column0), (prompt.row1, prompt.column1)
        yield "rectangle", [(top, left), (top, right), (bottom, right), (bottom, left)], True


def _candidate(prompt: Prompt) -> int:
    if isinstance(prompt, PointPrompt) and prompt.candidate is not None:
        return prompt.candidate
    return NO_CANDIDATE


def _lift(stack: Stack, frame: int, pixels: np.ndarray) -> np.ndarray:
    """Give the place in the whole image of (row, column) on a frame."""
    lifted = np.zeros((len(pixels), stack.image.ndim))
    for axis, position in stack.held.items():
        lifted[:, axis] = position
    if stack.axis is not None:
        lifted[:, stack.axis] = frame
    lifted[:, stack.seen] = pixels
    return lifted
