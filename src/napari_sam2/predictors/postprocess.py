"""Small holes and specks in masks, without a CUDA extension."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

#: Pixels of one mask touch at edges and corners; those of different masks never do.
_WITHIN_EACH = np.stack((np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))))

FILLED = 0.1  #: logit that a filled hole gets in a video


def small_components(masks: np.ndarray, max_area: int) -> np.ndarray:
    """Mark the 8-connected components of up to `max_area` pixels.

    Parameters
    ----------
    masks : np.ndarray, shape (N, H, W), bool
    max_area : int
        In pixels.

    Returns
    -------
    np.ndarray, shape (N, H, W), bool
    """
    components, _ = ndimage.label(masks, structure=_WITHIN_EACH)
    areas = np.bincount(components.ravel())
    areas[0] = max_area + 1  # what is not in the masks
    return np.asarray((areas <= max_area)[components])


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
