"""What is asked of an automatic mask generator, Meta's or ours, of the embedded model.

With the weights in the package, which find objects: masks of random weights all cover the image,
and one of them would suppress all others.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from napari_sam2 import load_config
from napari_sam2.predictors.regions import point_grid

MODEL = "sam2.1_hiera_nano"
FEW = {"points_per_side": 8, "pred_iou_thresh": 0.25, "stability_score_thresh": 0.5}
GRIDS = [point_grid(9) ** 1.2, np.array([[0.3, 0.6], [0.5, 0.5], [0.8, 0.25], [0.9, 0.7]])]

OPTIONS = {
    "batches that do not divide": {"points_per_batch": 7},
    "whatever its quality": {"pred_iou_thresh": 0, "box_nms_thresh": 1.0},
    "however unstable": {"stability_score_thresh": 0.0},
    "offset and threshold": {"stability_score_offset": 0.6, "mask_threshold": 0.4},
    "fewer duplicates": {"box_nms_thresh": 0.2},
    "crops": {"crop_n_layers": 1, "crop_overlap_ratio": 0.2},
    "layers of crops": {
        "crop_n_layers": 2,
        "crop_n_points_downscale_factor": 2,
        "crop_nms_thresh": 0.3,
    },
    "own grids": {"points_per_side": None, "point_grids": GRIDS, "crop_n_layers": 1},
    "refined": {"use_m2m": True, "points_per_batch": 20, "stability_score_thresh": 0.2},
    "single masks": {
        "multimask_output": False,
        "pred_iou_thresh": 0.1,
        "stability_score_thresh": 0.2,
    },
    "refined single masks in crops": {
        "use_m2m": True,
        "multimask_output": False,
        "crop_n_layers": 1,
    },
}


def small_config():
    """The embedded model on a small input."""
    return dataclasses.replace(load_config(MODEL), image_size=128)


def picture_of_discs():
    """Discs of all colours on a dark ground, uint8."""
    numbers = np.random.RandomState(0)
    rows, columns = np.mgrid[:120, :150]
    image = numbers.normal(20, 8, (120, 150, 3))
    for _ in range(14):
        row, column = numbers.uniform(size=2) * image.shape[:2]
        radius, squeeze = numbers.uniform((6, 0.5), (16, 2))
        inside = (rows - row) ** 2 + squeeze * (columns - column) ** 2 < radius**2
        image[inside] = numbers.uniform(60, 250, 3)
    return image.clip(0, 255).astype(np.uint8)
