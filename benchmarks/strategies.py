"""How well objects are followed by each strategy: SAM 2's, SAM2Long's and SAMURAI's.

Run ``python benchmarks/strategies.py SEQUENCE ...``, each a folder with ``images.tif`` beside
``labels.tif``, or one above such; it prints the table of docs/performance.md.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from following import follow, parse, sequences

from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.strategies import StrategyName

NAMES = get_args(StrategyName)


def main() -> None:
    """Print the table, a row as soon as it is known."""
    options = parse(__doc__, frames=40)
    model = load_model(options.model, device=choose_device(None))
    predictor = ImagePredictor(model, field=options.field)
    head = [f"J, {name}" for name in NAMES] + [f"s, {name}" for name in NAMES]
    print(f"| sequence | objects | masks | {' | '.join(head)} |")
    print(f"|---|{'---|' * (2 + len(head))}", flush=True)
    every: list[tuple[float, ...]] = []  # of each mask, by each strategy
    for name, sequence in sequences(options):
        found = [follow(predictor, sequence, options, strategy) for strategy in NAMES]
        count = len({score.object_id for scores, _ in found for score in scores})
        ious = [[score.iou for score in scores] for scores, _ in found]
        every += zip(*ious, strict=True)
        cells = [f"{np.mean(j):.3f}" for j in ious] + [f"{s:.2f}" for _, s in found]
        print(f"| {name} | {count} | {len(ious[0])} | {' | '.join(cells)} |", flush=True)
    cells = [f"{j:.3f}" for j in np.mean(every, axis=0)] + [""] * len(NAMES)
    print(f"| all masks | | {len(every)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
