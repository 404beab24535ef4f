"""Small holes and specks in masks, without a CUDA extension."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

_TOUCHING = np.ones((3, 3))  #: pixels touch at edges and corners

FILLED = 0.1  #: logit that a filled hole gets in a video
CLEANED = 10.0  #: logits above or below the threshold that what is small gets on an image


def small_components(masks: np.ndarray, max_area: float) -> np.ndarray:
    """Mark the 8-connected components of up to `max_area` pixels.

    Parameters
    ----------
    masks : np.ndarray, shape (N, H, W), bool
    max_area : float
        In pixels.

    Returns
    -------
    np.ndarray, shape (N, H, W), bool
    """
    small = np.zeros_like(masks)
    for mask, small_ones in zip(masks, small, strict=True):
        components, _ = ndimage.label(mask, structure=_TOUCHING)
        is_small = np.bincount(components.ravel()) <= max_area
        is_small[:1] = False  # what is not in the mask
        if is_small.any():
            small_ones[:] = is_small[components]
    return small


def fill_holes(logits: Tensor, max_area: int) -> Tensor:
    """Make background components of up to `max_area` pixels part of the object.

    Meta's ``fill_holes_in_mask_scores``.

    Parameters
    ----------
    logits : Tensor, shape (N, 1, H, W)
        At low resolution.
    max_area : int
        In pixels of `logits`; 0 changes nothing.
    """
    if not max_area:
        return logits
    holes = small_components((logits[:, 0] <= 0).cpu().numpy(), max_area)
    if not holes.any():
        return logits
    return torch.where(torch.from_numpy(holes)[:, None].to(logits.device), FILLED, logits)


def clean(
    logits: Tensor, threshold: float, *, max_hole_area: float, max_sprinkle_area: float
) -> Tensor:
    """Fill small holes and remove small specks.

    Meta's ``SAM2Transforms.postprocess_masks``. Both are looked for in the masks as they are:
    a speck with a hole in it becomes background, its hole object.

    Parameters
    ----------
    logits : Tensor, shape (B, M, H, W)
        At low resolution.
    threshold : float
        What is above it is object.
    max_hole_area, max_sprinkle_area : float
        In pixels of `logits`; 0 leaves them.
    """
    cleaned = logits
    found = logits.flatten(0, 1) > threshold
    for inside, max_area, step in (
        (~found, max_hole_area, CLEANED),
        (found, max_sprinkle_area, -CLEANED),
    ):
        if max_area > 0:
            small = torch.from_numpy(small_components(inside.cpu().numpy(), max_area))
            small = small.to(logits.device).view_as(logits)
            cleaned = torch.where(small, threshold + step, cleaned)
    return cleaned


def without_overlap(masks: Tensor) -> Tensor:
    """Leave each pixel to the object with the highest logit.

    Meta's ``SAM2Base._apply_non_overlapping_constraints``.

    Parameters
    ----------
    masks : Tensor, shape (N, 1, H, W)
        Logits of N objects on one frame.
    """
    if len(masks) == 1:
        return masks
    winner = masks.argmax(dim=0, keepdim=True)
    number = torch.arange(len(masks), device=masks.device).view(-1, 1, 1, 1)
    return torch.where(winner == number, masks, masks.clamp(max=-10.0))
