"""Segment everything: ask at a grid of points, keep what is good, once.

Segment Anything, appendix B, with the rules of Meta's ``automatic_mask_generator.py``. Who asks
the network is handed in; everything here is (row, column).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from napari_sam2.model.mask_decoder import stability
from napari_sam2.model.sam2 import LOGIT_LIMIT
from napari_sam2.predictors.regions import (
    Crop,
    RunLengths,
    bounding_boxes,
    crops_of,
    may_be_cut,
    without_duplicates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_sam2.predictors.windows import Window

PIXELS_AT_ONCE = 2**24  #: of masks at the image's resolution


class Asker(Protocol):
    """Asks the network about an image."""

    def look(self, window: Window) -> None:
        """Choose the part of the image that is asked next."""

    def ask(
        self, points: Tensor, earlier: Tensor | None, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Segment an object at each of N points, with M candidates each (1 or 3).

        Parameters
        ----------
        points : Tensor, shape (N, 2), float32
            (row, column) in the window.
        earlier : Tensor, shape (N, 1, h, w), optional
            Logits at low resolution that are to be improved.
        multimask : bool
            Whether to give three candidates.

        Returns
        -------
        logits : Tensor, shape (N, M, h, w)
            At low resolution.
        ious : Tensor, shape (N, M)
            Predicted.
        """

    def enlarge(self, logits: Tensor) -> Tensor:
        """Bring logits to the window: (N, h, w) to (N, H, W)."""


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What is looked for, and what is kept."""

    points_at_once: int = 64
    multimask: bool = True  #: three candidates a point
    refine: bool = False  #: ask again with each candidate as the earlier mask
    min_iou: float = 0.8  #: predicted; 0 keeps all
    min_stability: float = 0.95  #: 0 keeps all
    stability_offset: float = 1.0  #: logits
    threshold: float = 0.0  #: logits above it are object
    max_overlap: float = 0.7  #: of boxes within a crop, intersection over union
    max_overlap_across: float = 0.7  #: of boxes from different crops
    crop_layers: int = 0
    crop_overlap: float = 512 / 1500  #: see `crops_of`


@dataclass(frozen=True, slots=True)
class Region:
    """Something that was found."""

    runs: RunLengths  #: the mask, in the image
    box: tuple[int, int, int, int]  #: row0, column0, row1, column1 of its outermost pixels
    iou: float  #: predicted
    stability: float  #: see `stability`
    point: tuple[float, float]  #: (row, column) in the image at which it was asked for
    crop: Crop  #: in which


def look_everywhere(
    asker: Asker, shape: tuple[int, int], grids: Sequence[np.ndarray], options: GridOptions
) -> Iterator[list[Region]]:
    """Ask at every point of every crop; what is found may be found again.

    Parameters
    ----------
    asker : Asker
    shape : tuple of int
        (H, W) of the image.
    grids : sequence of np.ndarray, shape (N, 2)
        One for each layer of crops: points, (row, column) as parts of a crop's height and width.
    options : GridOptions

    Yields
    ------
    list of Region
        After each batch of points. `distinct` makes the result of them all.
    """
    for crop in crops_of(shape, options.crop_layers, options.crop_overlap):
        asker.look(crop.window)
        points = torch.from_numpy(grids[crop.layer] * np.array(crop.window.shape)).float()
        for some in points.split(options.points_at_once):
            yield _look_at(asker, some, crop, shape, options)


def distinct(regions: Sequence[Region], options: GridOptions) -> list[Region]:
    """Keep each region once: the best in each crop, then those from the smallest crops.

    Parameters
    ----------
    regions : sequence of Region
        All that `look_everywhere` found, in that order.
    options : GridOptions
    """
    kept: list[Region] = []
    for _, of_crop in groupby(regions, key=lambda region: region.crop.number):
        found = list(of_crop)
        kept += _distinct(found, [region.iou for region in found], options.max_overlap)
    if options.crop_layers:
        areas = np.array([np.prod(region.crop.window.shape) for region in kept])
        kept = _distinct(kept, 1 / areas.astype(np.float32), options.max_overlap_across)
    return kept


def _distinct(
    regions: Sequence[Region], scores: Sequence[float] | np.ndarray, max_overlap: float
) -> list[Region]:
    boxes = np.array([region.box for region in regions]).reshape(-1, 4)
    return [regions[i] for i in without_duplicates(boxes, np.asarray(scores), max_overlap)]


def _look_at(
    asker: Asker, points: Tensor, crop: Crop, shape: tuple[int, int], options: GridOptions
) -> list[Region]:
    """Ask at some points of a crop."""
    logits, ious = asker.ask(points, None, multimask=options.multimask)
    points = points.repeat_interleave(logits.shape[1], dim=0)
    logits, ious = logits.flatten(0, 1), ious.flatten(0, 1)
    if options.refine:
        logits, ious = _refine(asker, points, logits, options.points_at_once)
    if options.min_iou > 0:
        good = ious > options.min_iou
        points, logits, ious = points[good.cpu()], logits[good], ious[good]
    at_once = max(1, PIXELS_AT_ONCE // (crop.window.height * crop.window.width))
    parts = (x.split(at_once) for x in (points, logits, ious))
    return [
        region
        for some in zip(*parts, strict=True)
        for region in _keep_good(asker, some, crop, shape, options)
    ]


def _refine(
    asker: Asker, points: Tensor, logits: Tensor, at_once: int
) -> tuple[Tensor, Tensor]:  # (N, 2), (N, h, w) -> (N, h, w), (N,)
    earlier = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)[:, None]
    again = [
        asker.ask(some, masks, multimask=False)
        for some, masks in zip(points.split(at_once), earlier.split(at_once), strict=True)
    ]
    refined, ious = (torch.cat(parts)[:, 0] for parts in zip(*again, strict=True))
    return refined, ious


def _keep_good(
    asker: Asker,
    found: tuple[Tensor, ...],
    crop: Crop,
    shape: tuple[int, int],
    options: GridOptions,
) -> Iterator[Region]:
    """Bring masks to the image, and keep those that are stable and whole."""
    points, low, ious = found
    logits = asker.enlarge(low)
    stabilities = stability(logits, options.stability_offset, options.threshold)
    masks = logits > options.threshold
    window = crop.window
    offset = masks.new_tensor((window.row, window.column) * 2, dtype=torch.long)
    boxes = bounding_boxes(masks) + offset
    good = ~may_be_cut(boxes, window, shape)
    if options.min_stability > 0:
        good &= stabilities >= options.min_stability
    places = (points + offset[:2].to(points.device)).tolist()
    for i in good.nonzero()[:, 0].tolist():
        mask = np.zeros(shape, dtype=bool)
        mask[window.region] = masks[i].cpu().numpy()
        row0, column0, row1, column1 = boxes[i].tolist()
        yield Region(
            RunLengths.of(mask),
            (row0, column0, row1, column1),
            float(ious[i]),
            float(stabilities[i]),
            (places[i][0], places[i][1]),
            crop,
        )
