"""How well a mask fits another: by its region (J) and by its contour (F).

After the DAVIS benchmark (Perazzi et al. 2016, section 4).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

TOLERANCE = 0.008  #: of the image's diagonal: how far contours may lie apart


def jaccard(found: np.ndarray, truth: np.ndarray) -> float:
    """Give the intersection over the union, J; 1 where both masks are empty.

    Parameters
    ----------
    found, truth : np.ndarray, shape (H, W), bool
    """
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def boundary_f(found: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """Compare contours: the harmonic mean of their precision and recall, F.

    Parameters
    ----------
    found, truth : np.ndarray, shape (H, W), bool
    tolerance : float
        How far contours may lie apart, in parts of the image's diagonal.
    """
    reach = math.ceil(tolerance * math.hypot(*truth.shape))
    mine, other = contour(found), contour(truth)
    precision, recall = _share_near(mine, other, reach), _share_near(other, mine, reach)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def contour(mask: np.ndarray) -> np.ndarray:
    """Mark the pixels of a mask (H, W) that differ from the one below, right or across.

    Contours are a pixel wide, and half a pixel off towards the origin, as in the benchmark.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return np.asarray((mask ^ right) | (mask ^ below) | (mask ^ across))


def _share_near(these: np.ndarray, those: np.ndarray, reach: int) -> float:
    """Give the share of one contour within reach of another; 1 of nothing, 0 of no other."""
    count = int(these.sum())
    if not count:
        return 1.0
    if not those.any():
        return 0.0
    distance = ndimage.distance_transform_edt(~those)
    return int((these & (distance <= reach)).sum()) / count
