"""The largest difference from Meta's sam2 1.1.0, part by part and model by model.

Both run in float32 on the CPU on the same random weights; needs ``sam2`` (see the Makefile).
Run ``python benchmarks/parity.py --image-size 1024 --models sam2.1_hiera_tiny``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))

import comparisons
import parity_reference as reference

from napari_sam2 import config_names, load_config

ONE_FRAME, TRACKED = 1e-4, 1e-3  #: largest difference of logits that is rounding


def main() -> None:
    """Print the tables."""
    published = [name for name in config_names() if "nano" not in name]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=published)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=10, help="tracked frames")
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--check", action="store_true", help="fail where models differ too much")
    options = parser.parse_args()

    size = options.image_size
    config = dataclasses.replace(load_config("sam2.1_hiera_tiny"), image_size=size)
    print(f"| part (tiny, {size} px) | largest difference |\n|---|---|", flush=True)
    with torch.inference_mode():
        for part in comparisons.PARTS:
            print(f"| {part.__name__} | {largest(part(config)):.1e} |", flush=True)
        print(f"\n| model ({size} px) | one frame | {options.frames} tracked frames | seconds |")
        print("|---|---|---|---|", flush=True)
        for name in options.models:
            begun = time.perf_counter()
            config = dataclasses.replace(load_config(name), image_size=size)
            models = reference.pair(config)
            one = largest(comparisons.image_path(config, models))
            tracked = comparisons.memory_path(
                config, options.frames + 1, models, tuple(options.objects)
            )
            many = largest(tracked)
            seconds = time.perf_counter() - begun
            print(f"| {name} | {one:.1e} | {many:.1e} | {seconds:.0f} |", flush=True)
            if options.check and (one > ONE_FRAME or many > TRACKED):
                sys.exit(f"{name} differs by more than {ONE_FRAME} on one frame, or {TRACKED}.")


def largest(pairs) -> float:  # noqa: ANN001
    """Over all pairs of results."""
    return max(reference.largest_difference(*both) for both in pairs)


if __name__ == "__main__":
    main()
