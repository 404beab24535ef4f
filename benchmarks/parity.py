"""The largest difference from Meta's sam2 1.1.0: parts, models, and each of Meta's APIs.

Both run in float32 on the CPU on the same random weights; needs ``sam2`` (see the Makefile).
The tables of docs/parity.md are the output of ``python benchmarks/parity.py``; one model at full
size is ``python benchmarks/parity.py --only models --image-size 1024 --models sam2.1_hiera_tiny``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))

import comparisons
import parity_reference as reference
import predictor_pairs as pairs
from automatic_calls import FEW, MODEL, OPTIONS, picture_of_discs, small_config
from image_calls import CALLS
from random_models import small_architecture
from video_calls import CASES, noisy_video

from napari_sam2 import SAM2, config_names, load_config, load_model

ONE_FRAME, TRACKED = 1e-4, 1e-3  #: largest difference of logits that is rounding


def main() -> None:
    """Print the tables."""
    published = [name for name in config_names() if "nano" not in name]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--models", nargs="*", default=published)
    parser.add_argument("--image-size", type=int, default=256, help="of parts and models")
    parser.add_argument("--frames", type=int, default=10, help="tracked frames")
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--check", action="store_true", help="fail where models differ too much")
    options = parser.parse_args()
    with torch.inference_mode():
        for name in options.only:
            TABLES[name](options)
            print(flush=True)


def parts(options: argparse.Namespace) -> None:
    """Compare the parts of the network."""
    config = dataclasses.replace(load_config("sam2.1_hiera_tiny"), image_size=options.image_size)
    _head(f"part (tiny, {options.image_size} px)", "largest difference")
    for part in comparisons.PARTS:
        _row(part.__name__, largest(part(config)))


def models(options: argparse.Namespace) -> None:
    """Compare whole models, over a frame and over tracked ones."""
    _head(
        f"model ({options.image_size} px)",
        "one frame",
        f"{options.frames} tracked frames",
        "seconds",
    )
    for name in options.models:
        begun = time.perf_counter()
        config = dataclasses.replace(load_config(name), image_size=options.image_size)
        both = reference.pair(config)
        one = largest(comparisons.image_path(config, both))
        many = largest(
            comparisons.memory_path(config, options.frames + 1, both, tuple(options.objects))
        )
        _row(name, one, many, f"{time.perf_counter() - begun:.0f}")
        if options.check and (one > ONE_FRAME or many > TRACKED):
            sys.exit(f"{name} differs by more than {ONE_FRAME} on one frame, or {TRACKED}.")


def image_predictor(_: argparse.Namespace) -> None:
    """Compare all calls of the image predictor."""
    both = pairs.image_predictors(small_architecture())
    _head("SAM2ImagePredictor", "logits", "predicted IoUs", "masks that differ")
    for name, call in CALLS.items():
        results = list(zip(*(call(predictor) for predictor in both), strict=True))
        logits = max(_largest(one[k], other[k]) for one, other in results for k in (0, 2))
        ious = max(_largest(one[1], other[1]) for one, other in results)
        pixels = sum(int(((one[0] > 0) != (other[0] > 0)).sum()) for one, other in results)
        _row(name, logits, ious, f"{pixels} pixels")


def automatic_masks(_: argparse.Namespace) -> None:
    """Compare automatic masks under many options."""
    theirs = reference.video_predictor(small_config())
    ours = SAM2(small_config())
    for model in (ours, theirs):
        model.load_state_dict(load_model(MODEL).state_dict())
    image = picture_of_discs()
    _head("SAM2AutomaticMaskGenerator", "masks", "masks, boxes or order that differ", "scores")
    for name, changed in {"defaults": {}, **OPTIONS}.items():
        both = pairs.mask_generators((ours.eval(), theirs), **(FEW | changed))
        records = list(zip(*(generator.generate(image) for generator in both), strict=True))
        same = ("bbox", "area", "crop_box", "point_coords")
        differ = sum(
            any(one[key] != other[key] for key in same)
            or not np.array_equal(one["segmentation"], other["segmentation"])
            for one, other in records
        )
        scores = ("predicted_iou", "stability_score")
        _row(
            name,
            str(len(records)),
            str(differ),
            max(abs(one[key] - other[key]) for one, other in records for key in scores),
        )


def video_predictor(_: argparse.Namespace) -> None:
    """Compare scripts on the video predictor."""
    _head("SAM2VideoPredictor", "results of calls", "logits", "masks that differ")
    for name, case in CASES.items():
        both = pairs.video_predictors(small_architecture(), case)
        masks = [
            (ours[2], theirs[2]) for ours, theirs in pairs.run_script(both, noisy_video(), case)
        ]
        pixels = sum(int(((ours > 0) != (theirs > 0)).sum()) for ours, theirs in masks)
        _row(name, str(len(masks)), largest(masks), f"{pixels} pixels")


TABLES = {
    "parts": parts,
    "models": models,
    "image": image_predictor,
    "automatic": automatic_masks,
    "video": video_predictor,
}


def largest(both: Any) -> float:
    """Give the largest difference over all pairs of results."""
    return max(reference.largest_difference(*one) for one in both)


def _largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max())


def _head(*columns: str) -> None:
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def _row(name: str, *values: float | str) -> None:
    shown = (value if isinstance(value, str) else f"{value:.1e}" for value in values)
    print(f"| {name.replace('_', ' ')} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
