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

from napari_sam2.evaluation.datasets import find_sequences
from napari_sam2.evaluation.tracking import score_tracking
from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device, choose_precision
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.strategies import StrategyName


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
    device = choose_device(None)
    predictor = ImagePredictor(
        load_model(options.model, device=device),
        precision=choose_precision(None, device),
        field=options.field,
    )
    names = get_args(StrategyName)
    head = [*(f"J, {name}" for name in names), *(f"s, {name}" for name in names)]
    print(f"| sequence | objects | masks | {' | '.join(head)} |")
    print(f"|---|{'---|' * (2 + len(head))}", flush=True)
    everything: dict[str, list[float]] = {name: [] for name in names}
    for sequence in (one for folder in options.folders for one in find_sequences(folder)):
        found, seconds = {}, {}
        for name in names:
            begun = time.process_time()
            found[name] = list(
                score_tracking(
                    predictor,
                    sequence,
                    options.frames,
                    max_objects=options.objects,
                    strategy=name,
                )
            )
            seconds[name] = (time.process_time() - begun) / len(found[name])
            everything[name] += [score.iou for score in found[name]]
        scores = found[names[0]]
        cells = [f"{np.mean([score.iou for score in found[name]]):.3f}" for name in names]
        cells += [f"{seconds[name]:.2f}" for name in names]
        count = len({score.object_id for score in scores})
        title = "/".join(sequence.folder.parts[-2:])
        print(f"| {title} | {count} | {len(scores)} | {' | '.join(cells)} |", flush=True)
    cells = [f"{np.mean(everything[name]):.3f}" for name in names] + [""] * len(names)
    print(f"| all masks | | {len(everything[names[0]])} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
