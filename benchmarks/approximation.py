"""What a smaller image size costs: how well objects are followed, and how fast.

Run ``python benchmarks/approximation.py SEQUENCE ...``, each a folder with ``images.tif`` beside
``labels.tif``, or one above such; it prints the table of docs/performance.md.
"""

from __future__ import annotations

import numpy as np
from following import follow, parse, sequences

from napari_sam2.model.config import load_config
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device
from napari_sam2.predictors.image import ImagePredictor


def main() -> None:
    """Print the table, a row as soon as it is known."""
    options = parse(__doc__, frames=20)
    own = load_config(options.model).image_size
    sizes = (own, own // 2)
    models = [
        load_model(options.model, device=choose_device(None), image_size=size) for size in sizes
    ]
    head = [f"J, {size} px" for size in sizes] + [f"ms, {size} px" for size in sizes]
    print(f"| sequence | masks | {' | '.join(head)} |\n|---|{'---|' * (1 + len(head))}", flush=True)
    for name, sequence in sequences(options):
        found = [
            follow(ImagePredictor(model, field=options.field), sequence, options)
            for model in models
        ]
        quality = [f"{np.mean([score.iou for score in scores]):.3f}" for scores, _ in found]
        taken = [f"{1000 * seconds:.0f}" for _, seconds in found]
        print(f"| {name} | {len(found[0][0])} | {' | '.join((*quality, *taken))} |", flush=True)


if __name__ == "__main__":
    main()
