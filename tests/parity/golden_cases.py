"""What Meta's predictors gave once, kept small: for where its package is not installed.

Each function runs one case on a predictor, Meta's or ours, and gives named arrays. Maps are
thinned out: a pixel here and there would show any mistake that masks would.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
from automatic_calls import MODEL

from napari_sam2 import load_config
from napari_sam2.model.locations import find_checkpoint

FOLDER = Path(__file__).parents[1] / "golden"
KEPT = 6  #: pixels along an axis of a map

#: Options of automatic masks whose records are kept.
AUTOMATIC = ("crops", "refined", "single masks")


def image_case(predictor, call):
    found = {}
    for number, result in enumerate(call(predictor)):
        named = zip(("masks", "ious", "logits"), result, strict=True)
        found |= {f"{number} {name}": _thinned(array) for name, array in named}
    return found


def video_case(results):
    """Take what a script of `video_calls` yields."""
    steps = [([frame, *ids], _thinned(masks.numpy())) for frame, ids, masks in results]
    asked, masks = zip(*steps, strict=True)
    return {"frames and ids": np.concatenate(asked), "masks": np.concatenate(masks)}


def automatic_case(generator, image):
    records = generator.generate(image)
    return {
        "boxes": np.array([[*one["bbox"], *one["crop_box"], one["area"]] for one in records]),
        "points": np.array([one["point_coords"][0] for one in records]),
        "scores": np.array([[one["predicted_iou"], one["stability_score"]] for one in records]),
        "masks": np.packbits([one["segmentation"] for one in records], axis=-1),
    }


def weights_digest():
    """Name the embedded weights, which automatic masks depend on."""
    return sha256(find_checkpoint(load_config(MODEL)).read_bytes()).hexdigest()


def read(kind, case):
    """Give the arrays that are kept of a case."""
    with np.load(FOLDER / f"{kind}.npz") as kept:
        prefix = f"{case}/"
        return {k.removeprefix(prefix): kept[k] for k in kept.files if k.startswith(prefix)}


def write(kind, cases):
    """Keep the arrays of cases, by name."""
    arrays = {f"{case}/{name}": a for case, found in cases.items() for name, a in found.items()}
    np.savez_compressed(FOLDER / f"{kind}.npz", **arrays)


def _thinned(array):
    if array.ndim < 3:
        return array
    rows, columns = (max(1, n // KEPT) for n in array.shape[-2:])
    return array[..., rows // 2 :: rows, columns // 2 :: columns]
