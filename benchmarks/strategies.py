"""How well objects are followed by each strategy: SAM 2's, SAM2Long's and SAMURAI's.

Run ``python benchmarks/strategies.py SEQUENCE ...``, each a folder with ``images.tif`` beside
``labels.tif``, or one above such; it prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from napari_sam2.evaluation.datasets import Sequence, find_sequences
from napari_sam2.evaluation.tracking import score_tracking
from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.strategies import StrategyName

NAMES = get_args(StrategyName)


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=40, help="followed after the first")
    parser.add_argument("--objects", type=int, default=8, help="of each sequence")
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--field", default="auto", choices=["auto", "frame"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    model = load_model(options.model, device=choose_device(None))
    predictor = ImagePredictor(model, field=options.field)
    head = [f"J, {name}" for name in NAMES] + [f"s, {name}" for name in NAMES]
    print(f"| sequence | objects | masks | {' | '.join(head)} |")
    print(f"|---|{'---|' * (2 + len(head))}", flush=True)
    every: list[list[float]] = []  # masks, strategies
    for sequence in (one for folder in options.folders for one in find_sequences(folder)):
        count, ious, seconds = measure(predictor, sequence, options)
        every += ious
        cells = [f"{j:.3f}" for j in np.mean(ious, axis=0)] + [f"{s:.2f}" for s in seconds]
        name = "/".join(sequence.folder.parts[-2:])
        print(f"| {name} | {count} | {len(ious)} | {' | '.join(cells)} |", flush=True)
    cells = [f"{j:.3f}" for j in np.mean(every, axis=0)] + [""] * len(NAMES)
    print(f"| all masks | | {len(every)} | {' | '.join(cells)} |")


def measure(
    predictor: ImagePredictor, sequence: Sequence, options: argparse.Namespace
) -> tuple[int, list[list[float]], list[float]]:
    """Follow the objects of a sequence by each strategy.

    Returns
    -------
    objects : int
        How many there are.
    ious : list of list of float
        Of each mask, by each strategy.
    seconds : list of float
        For a mask, by each strategy; of processor time.
    """
    ious, seconds, objects = [], [], set()
    for name in NAMES:
        begun = time.process_time()
        scores = list(
            score_tracking(
                predictor, sequence, options.frames, max_objects=options.objects, strategy=name
            )
        )
        seconds.append((time.process_time() - begun) / len(scores))
        ious.append([score.iou for score in scores])
        objects |= {score.object_id for score in scores}
    return len(objects), [list(pair) for pair in zip(*ious, strict=True)], seconds


if __name__ == "__main__":
    main()
