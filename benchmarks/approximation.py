"""What a smaller image size costs: how well objects are followed, and how fast.

Run ``python benchmarks/approximation.py SEQUENCE ...``, each a folder with ``images.tif`` beside
``labels.tif``, or one above such; it prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_sam2.evaluation.datasets import find_sequences
from napari_sam2.evaluation.tracking import score_tracking
from napari_sam2.model.config import EMBEDDED_MODEL, load_config
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device
from napari_sam2.predictors.image import ImagePredictor


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=20, help="followed after the first")
    parser.add_argument("--objects", type=int, default=8, help="of each sequence")
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--field", default="auto", choices=["auto", "frame"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    own = load_config(options.model).image_size
    sizes = (own, own // 2)
    models = [
        load_model(options.model, device=choose_device(None), image_size=size) for size in sizes
    ]
    head = [f"J, {size} px" for size in sizes] + [f"ms, {size} px" for size in sizes]
    print(f"| sequence | masks | {' | '.join(head)} |\n|---|{'---|' * (1 + len(head))}", flush=True)
    for sequence in (one for folder in options.folders for one in find_sequences(folder)):
        quality, taken, count = [], [], 0
        for model in models:
            begun = time.process_time()
            predictor = ImagePredictor(model, field=options.field)
            scores = list(
                score_tracking(predictor, sequence, options.frames, max_objects=options.objects)
            )
            count = len(scores)
            taken.append(f"{1000 * (time.process_time() - begun) / count:.0f}")
            quality.append(f"{np.mean([score.iou for score in scores]):.3f}")
        name = "/".join(sequence.folder.parts[-2:])
        print(f"| {name} | {count} | {' | '.join((*quality, *taken))} |", flush=True)


if __name__ == "__main__":
    main()
