"""Training samples out of annotated stacks: what the predictors would see, around an object."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.predictors.windows import CLOSEST
from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.datasets import Sample
from napari_sam2.training.draws import below, chance, uniform

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sam2.predictors.frames import Region
    from napari_sam2.training.annotated import Outline, Part

#: Views are this many times as long as the object in their middle: from where a click is first
#: looked at, too close, to far away.
LEAST_ROOM, MOST_ROOM = 1.1, 6.0
SPARE = 1.1  #: so much more is cut out, for a view that is stretched
MOST_GAP = 3  #: annotated frames from one frame of a sequence to the next, at most
DRIFT = 0.08  #: of a view's edge, by which a single image drifts from frame to frame, at most


class ViewDrawer:
    """Draws views, the same for the same seed.

    Parameters
    ----------
    parts : sequence of Part
        Each with an object on every frame.
    size : int
        Edge of the views, in pixels: the model's input.
    linked : collection of int
        Which of the parts have ids that stay the same from frame to frame.
    """

    def __init__(self, parts: Sequence[Part], size: int, linked: Collection[int] = ()) -> None:
        self._size = size
        self._parts, self._linked = parts, linked
        self._places = [(i, at) for i, part in enumerate(parts) for at in range(len(part.frames))]

    def draw(self, seed: int, n_frames: int = 1) -> Sample:
        """Draw one view of an image, or of a sequence.

        A sequence is of annotated frames of a stack, or of one image that drifts through the
        view: so an object is followed, too, where there are only images.

        Returns
        -------
        Sample
            Images (T, 3, S, S) uint8, labels (T, S, S) int32 as `AnnotatedStack.codes`.
        """
        generator = torch.Generator().manual_seed(seed)
        number, at = self._places[below(len(self._places), generator)]
        part = self._parts[number]
        outlines = list(part.objects(part.frames[at]).values())
        outline = outlines[below(len(outlines), generator)]
        zoom = self._zoom(outline, part.stack.source.shape, generator)
        plays = number in self._linked and len(part.frames) > 1 and chance(0.8, generator)
        walk = _walk(at, len(part.frames), n_frames, generator) if plays else [at] * n_frames
        # Off the middle by up to a quarter: windows lie on a grid, and objects at their edge.
        edge = round(SPARE * self._size / zoom)
        drift = [0 if plays else uniform(-DRIFT, DRIFT, generator) * edge for _ in range(2)]
        off = [uniform(-0.25, 0.25, generator) * edge for _ in range(2)]
        images, labels = [], []
        for passed, index in enumerate(walk):
            middle = [
                c + o + passed * d for c, o, d in zip(outline.centre, off, drift, strict=True)
            ]
            region = _cut(middle, edge, part.stack.source.shape)
            images.append(part.stack.source.read(part.frames[index], region))
            labels.append(part.codes(part.frames[index], region))
        viewed, codes = random_view(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
            torch.from_numpy(np.stack(labels)),
            self._size,
            (zoom, zoom),
            generator,
        )
        lit = random_light(viewed, generator)
        return Sample((lit * 255).round().to(torch.uint8), codes)

    def _zoom(self, outline: Outline, shape: tuple[int, int], generator: torch.Generator) -> float:
        """Choose how much larger than in the image things are; never more than all is shown."""
        whole = self._size / max(shape)
        if chance(0.2, generator):
            return whole
        nearest = min(CLOSEST, self._size / (LEAST_ROOM * outline.longest))
        farthest = max(whole, self._size / (MOST_ROOM * outline.longest))
        low, high = sorted((min(farthest, CLOSEST), max(nearest, whole)))
        return math.exp(uniform(math.log(low), math.log(high), generator))


def collate(samples: Sequence[Sample]) -> Sample:
    """Make a batch: images (B, T, 3, S, S) and labels (B, T, S, S)."""
    images, labels = zip(*samples, strict=True)
    return Sample(torch.stack(images), torch.stack(labels))


def _cut(middle: Sequence[float], edge: int, shape: tuple[int, int]) -> Region:
    """Cut a square out of an image, as far as the image goes."""
    slices = []
    for centre, length in zip(middle, shape, strict=True):
        start = min(max(round(centre - edge / 2), 0), max(length - edge, 0))
        slices.append(slice(start, min(start + edge, length)))
    return slices[0], slices[1]


def _walk(at: int, length: int, n_frames: int, generator: torch.Generator) -> list[int]:
    """Choose the frames of a sequence that begins at one, either way; it may wait at the ends."""
    step = 1 + below(MOST_GAP, generator)
    direction = 1 if chance(0.5, generator) else -1
    if not 0 <= at + direction < length:
        direction = -direction
    return [min(max(at + direction * step * i, 0), length - 1) for i in range(n_frames)]
