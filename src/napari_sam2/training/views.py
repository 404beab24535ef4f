"""Training samples out of annotated stacks: what the predictors would see, around an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.datasets import Sample
from napari_sam2.training.draws import below, chance, uniform
from napari_sam2.training.framing import OFF, SPARE, cut, draw_zoom

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sam2.training.annotated import Part

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
        zoom = draw_zoom(outline.longest, part.stack.source.shape, self._size, generator)
        plays = number in self._linked and len(part.frames) > 1 and chance(0.8, generator)
        walk = _walk(at, len(part.frames), n_frames, generator) if plays else [at] * n_frames
        edge = round(SPARE * self._size / zoom)
        drift = [0 if plays else uniform(-DRIFT, DRIFT, generator) * edge for _ in range(2)]
        off = [uniform(-OFF, OFF, generator) * edge for _ in range(2)]
        images, labels = [], []
        for passed, index in enumerate(walk):
            middle = [
                c + o + passed * d for c, o, d in zip(outline.centre, off, drift, strict=True)
            ]
            region = cut(middle, edge, part.stack.source.shape)
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


def collate(samples: Sequence[Sample]) -> Sample:
    """Make a batch: images (B, T, 3, S, S) and labels (B, T, S, S)."""
    images, labels = zip(*samples, strict=True)
    return Sample(torch.stack(images), torch.stack(labels))


def _walk(at: int, length: int, n_frames: int, generator: torch.Generator) -> list[int]:
    """Choose the frames of a sequence that begins at one, either way; it may wait at the ends."""
    step = 1 + below(MOST_GAP, generator)
    direction = 1 if chance(0.5, generator) else -1
    if not 0 <= at + direction < length:
        direction = -direction
    return [min(max(at + direction * step * i, 0), length - 1) for i in range(n_frames)]
