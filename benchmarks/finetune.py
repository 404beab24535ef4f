"""What fine-tuning on five annotated frames does for other cells on later frames.

    python benchmarks/finetune.py path/to/ctc_dic_hela/01 --out /tmp/finetune --minutes 7

The folder has ``images.tif`` and ``labels.tif``, (T, Y, X), one id a cell. The embedded model
learns from a few early frames; what is measured are cells that are annotated on none of them, on
later frames. Run again, it goes on where it stopped. Neither a picture nor a model is left
outside of the folder given by ``--out``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.training import own_models
from napari_sam2.training.annotated import AnnotatedStack, Part
from napari_sam2.training.finetune import FineTuneOptions, FineTuning
from napari_sam2.training.scoring import Judge, Measurement, ScoreOptions, Scores

NAME = "benchmark"


def main() -> None:
    """Fine-tune as long as there is time; measure once it is finished."""
    options = parse()
    os.environ["NAPARI_SAM2_MODELS"] = str(options.out / "models")
    torch.set_num_threads(options.threads)
    images, labels = (tifffile.imread(options.folder / f"{n}.tif") for n in ("images", "labels"))
    stack = AnnotatedStack(images, only(labels, options.frames), name=options.folder.parent.name)
    if not own_models.exists(NAME) and not fine_tune(stack, options):
        print("Time is over; the same command goes on from here.")
        return
    learnt = {i for on_frame in stack.objects.values() for i in on_frame}
    others = other_cells(images, labels, learnt, options)
    cells = len({i for frame in others.frames for i in others.objects(frame)})
    print(f"\n{'weights':<12} {'cells':>5} {'outlines':>8} {'click':>7} {'box':>7} {'track':>7}")
    for title, model in (("before", options.model), ("fine-tuned", NAME)):
        score = measure(load_model(model, device=options.device), others)
        means = f"{score.click:7.3f} {score.box:7.3f} {score.track or float('nan'):7.3f}"
        print(f"{title:<12} {cells:>5} {score.n_objects:>8} {means}", flush=True)


def fine_tune(stack: AnnotatedStack, options: argparse.Namespace) -> bool:
    """Fine-tune, or go on with it; return whether it is finished."""
    run = FineTuning(
        [stack],
        FineTuneOptions(
            name=NAME,
            model=options.model,
            learning=options.learning,
            steps=options.steps,
            learning_rate=options.rate,
            folder=options.out / "run",
            minutes=options.minutes,
            device=options.device,
        ),
    )
    begun = time.process_time()
    for progress in run.steps():
        if progress.scores or progress.remark or (progress.loss and progress.step % 50 == 0):
            took = f"{time.process_time() - begun:5.0f} s of CPU"
            loss = "" if progress.loss is None else f"loss {progress.loss:.3f}"
            print(took, progress.stage, progress.step, loss, progress.scores or "", flush=True)
            if progress.remark:
                print(progress.remark)
    return run.result is not None


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--learning", default="frozen", choices=["frozen", "lora", "all"])
    parser.add_argument("--frames", type=int, nargs="+", default=[0, 4, 8, 12, 16])
    parser.add_argument("--later", type=int, default=30, help="first frame that is measured on")
    parser.add_argument("--every", type=int, default=9, help="of the frames after that")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=FineTuneOptions(name=NAME).learning_rate)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def only(labels: np.ndarray, frames: list[int]) -> np.ndarray:
    """Give the labels of some frames, as if no other were annotated."""
    kept = np.zeros_like(labels)
    kept[frames] = labels[frames]
    return kept


def other_cells(
    images: np.ndarray, labels: np.ndarray, learnt: set[int], options: argparse.Namespace
) -> Part:
    """Give the cells on later frames that were not learnt from."""
    later = list(range(options.later, len(labels), options.every))
    stack = AnnotatedStack(images, only(labels, later), name="later")
    ids = frozenset(i for on_frame in stack.objects.values() for i in on_frame if i not in learnt)
    frames = tuple(frame for frame in stack.frames if ids & set(stack.objects[frame]))
    return Part(stack, frames, ids)


def measure(model: object, part: Part) -> Scores:
    """Click and box every cell, and follow those of the first frame."""
    results = Measurement()
    for _ in Judge([part], ScoreOptions(objects=1000, pictures=0), torch.float32).measure(
        model, results
    ):
        pass
    return results.scores()


if __name__ == "__main__":
    main()
