"""Objects found without prompts: how many of those that there are, and how exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.automatic import Looker, Selection
from napari_sam2.predictors.frames import FrameSource

if TYPE_CHECKING:
    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.predictors.image import ImagePredictor

THRESHOLDS = np.linspace(0.5, 0.95, 10)  #: of IoU, from where on an object counts as found


def score_everything(predictor: ImagePredictor, frame: AnnotatedFrame) -> float:
    """Segment everything on an image with the model's own thresholds, and compare.

    Returns
    -------
    float
        The mean segmentation accuracy, see `segmentation_accuracy`.
    """
    source = FrameSource(frame.image, frame.view)
    looker = Looker(predictor.model, source, predictor.precision.frames)
    *_, last = looker.look([0])
    found = last.found.labels(Selection.suited(predictor.model.config))
    return segmentation_accuracy(found, frame.labels)


def segmentation_accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    """Compare labels: mSA, as the 2018 Data Science Bowl ranked (Caicedo et al. 2019).

    Of all objects, found or there, the share that is both, where an object is found if its IoU
    is beyond a threshold; the mean over thresholds of 0.5 to 0.95.

    Parameters
    ----------
    found, truth : np.ndarray, shape (H, W), integers
        0 is background.

    Returns
    -------
    float
        In [0, 1]; 1 where there is nothing, and nothing was found.
    """
    ious = _ious(found, truth)
    if sum(ious.shape) == 0:
        return 1.0
    # Beyond 0.5 no object can be matched twice.
    matched = np.array([(ious > threshold).sum() for threshold in THRESHOLDS])
    return float(np.mean(matched / (sum(ious.shape) - matched)))


def _ious(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compare every object of either, (N, M)."""
    (_, mine), (_, theirs) = (np.unique(x, return_inverse=True) for x in (found, truth))
    shape = (int(mine.max()) + 1, int(theirs.max()) + 1)
    pairs = np.ravel_multi_index((mine.ravel(), theirs.ravel()), shape)
    shared = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    ious: np.ndarray = shared / union
    # Background is first, where there is any.
    return ious[int(found.min() == 0) :, int(truth.min() == 0) :]
