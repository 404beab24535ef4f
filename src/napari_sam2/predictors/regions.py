"""Regions of an image: where they are looked for, how good they are, and which are the same.

What segmenting everything is made of (Segment Anything, appendix B), in (row, column). Numbers
and order are those of Meta's ``sam2/utils/amg.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_sam2.predictors.windows import Window

CUT_TOLERANCE = 20  #: pixels from the edge of a crop at which a region may have been cut


class Crop(NamedTuple):
    """A part of an image that is looked at on its own."""

    number: int  #: in the order of looking
    layer: int  #: 0 is the whole image, layer n has up to 4**n crops
    window: Window


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as the lengths of its runs, column by column; the first is background."""

    shape: tuple[int, int]  #: (H, W)
    counts: tuple[int, ...]  #: in pixels; the first may be 0, no other is

    @classmethod
    def of(cls, mask: np.ndarray) -> RunLengths:
        """Encode a mask, shape (H, W), bool."""
        pixels = mask.T.ravel()
        starts = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        counts = np.diff(starts, prepend=0, append=pixels.size).tolist()
        height, width = mask.shape
        return cls((height, width), tuple([0, *counts] if pixels[0] else counts))

    @property
    def area(self) -> int:
        """How many pixels are in the mask."""
        return sum(self.counts[1::2])

    def mask(self) -> np.ndarray:
        """Decode, shape (H, W), bool."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.shape[::-1]).T


def point_grid(per_side: int) -> np.ndarray:
    """Spread points evenly, row by row.

    Returns
    -------
    np.ndarray, shape (per_side ** 2, 2)
        (row, column) as parts of the image's height and width, in [0, 1].
    """
    margin = 1 / (2 * per_side)
    along = np.linspace(margin, 1 - margin, per_side)
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)


def crops_of(shape: tuple[int, int], layers: int, overlap: float) -> list[Crop]:
    """Cut an image into crops that overlap.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the image.
    layers : int
        Of crops, besides the whole image; layer n has up to 2**n to a side.
    overlap : float
        Of neighbours in the first layer, as a part of the image's shorter side; it halves from
        layer to layer.
    """
    windows = [(0, Window(0, 0, *shape))]
    for layer in range(1, layers + 1):
        n = 2**layer
        shared = int(overlap * min(shape) * (2 / n))
        height, width = (math.ceil((shared * (n - 1) + length) / n) for length in shape)
        # Columns outside, rows inside: Meta's order.
        for i, j in product(range(n), range(n)):
            row, column = (height - shared) * j, (width - shared) * i
            size = min(height, shape[0] - row), min(width, shape[1] - column)
            if min(size) > 0:  # the last may begin beyond a small image
                windows.append((layer, Window(row, column, *size)))
    return [Crop(number, layer, window) for number, (layer, window) in enumerate(windows)]


def bounding_boxes(masks: Tensor) -> Tensor:
    """Bound masks by the indices of their first and last rows and columns.

    Parameters
    ----------
    masks : Tensor, shape (N, H, W), bool

    Returns
    -------
    Tensor, shape (N, 4), int64
        row0, column0, row1, column1; all 0 for an empty mask.
    """
    starts, ends = [], []
    for across in (2, 1):
        line = masks.any(dim=across).int()  # (N, H), then (N, W)
        starts.append(line.argmax(dim=1))
        ends.append((line.shape[1] - 1 - line.flip(1).argmax(dim=1)) * line.amax(dim=1))
    return torch.stack((*starts, *ends), dim=1)


def may_be_cut(boxes: Tensor, window: Window, shape: tuple[int, int]) -> Tensor:
    """Mark the regions that lie at an edge of a crop, unless it is the image's edge.

    Parameters
    ----------
    boxes : Tensor, shape (N, 4)
        row0, column0, row1, column1 in the image.
    window : Window
        The crop.
    shape : tuple of int
        (H, W) of the image.

    Returns
    -------
    Tensor, shape (N,), bool
    """
    row, column, height, width = window.row, window.column, *window.shape
    crop = boxes.new_tensor((row, column, row + height, column + width))
    image = boxes.new_tensor((0, 0, *shape))
    at_crop = (boxes - crop).abs() <= CUT_TOLERANCE
    at_image = (boxes - image).abs() <= CUT_TOLERANCE
    return (at_crop & ~at_image).any(dim=1)


def without_duplicates(boxes: np.ndarray, scores: np.ndarray, max_overlap: float) -> list[int]:
    """Keep the best of boxes that overlap: non-maximum suppression.

    What is kept, and its order, is torchvision's (``torchvision.ops.nms`` on a CPU; its
    ``batched_nms`` leaves the order of equal scores to chance from 1001 boxes on).

    Parameters
    ----------
    boxes : np.ndarray, shape (N, 4)
        row0, column0, row1, column1.
    scores : np.ndarray, shape (N,)
        Of boxes with the same score the first is kept.
    max_overlap : float
        Intersection over union above which two boxes are the same.

    Returns
    -------
    list of int
        Indices of the boxes that are kept, best first.
    """
    row0, column0, row1, column1 = boxes.astype(np.float32).T
    areas = (row1 - row0) * (column1 - column0)
    suppressed = np.zeros(len(boxes), dtype=bool)
    kept = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if suppressed[i]:
            continue
        kept.append(i)
        heights = np.minimum(row1, row1[i]) - np.maximum(row0, row0[i])
        widths = np.minimum(column1, column1[i]) - np.maximum(column0, column0[i])
        shared = heights.clip(0) * widths.clip(0)
        with np.errstate(invalid="ignore"):  # boxes without an area: overlap nothing
            overlap = shared / (areas[i] + areas - shared)
        # Compared in double precision, as torchvision does.
        suppressed |= overlap.astype(np.float64) > max_overlap
    return kept
