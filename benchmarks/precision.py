"""What lower precision, and compiling, do to masks: IoU with those of float32, and the time.

Objects of real images are boxed and clicked, with the embedded model; those of a sequence are
followed from their boxes on its first frame. Run
``python benchmarks/precision.py SET ...``, folders as ``napari-sam2 evaluate`` reads them; it
prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_sam2 import BoxPrompt, ImagePredictor, PointPrompt, Session, Settings, load_model
from napari_sam2.evaluation.datasets import AnnotatedFrame, find_sequences, read_frames
from napari_sam2.evaluation.prompting import Target, find_targets
from napari_sam2.predictors.compiling import compile_parts
from napari_sam2.predictors.device import PRECISIONS, choose_device

MIN_AREA = 30  #: pixels


class Way(NamedTuple):
    """How it is computed."""

    precision: str
    compiled: bool


class Masks(NamedTuple):
    """What was found, in the same order whatever the way, and the seconds it took."""

    boxed: list[np.ndarray]
    clicked: list[np.ndarray]
    followed: list[np.ndarray]
    seconds: float


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=4, help="of each set")
    parser.add_argument("--objects", type=int, default=6, help="of each image")
    parser.add_argument("--frames", type=int, default=8, help="followed, of each sequence")
    parser.add_argument(
        "--precisions", nargs="+", default=["mixed", "bfloat16"], choices=PRECISIONS
    )
    parser.add_argument("--compile", action="store_true", help="measure compiled models, too")
    parser.add_argument("--device")
    options = parser.parse_args()
    ways = [Way(name, compiled=False) for name in options.precisions]
    if options.compile:
        ways += [Way(name, compiled=True) for name in ("float32", *options.precisions)]
    exact = find_all(Way("float32", compiled=False), options)
    print("| | box | click | followed | masks | least of all | seconds |")
    print("|---|---|---|---|---|---|---|")
    print(f"| float32 | 1 | 1 | 1 | | | {exact.seconds:.0f} |", flush=True)
    for way in ways:
        found = find_all(way, options)
        ious = [
            [iou(one, other) for one, other in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(found[:3], exact[:3], strict=True)
        ]
        means = " | ".join(f"{np.mean(part):.4f}" for part in ious)
        every = [value for part in ious for value in part]
        name = way.precision + (", compiled" if way.compiled else "")
        print(
            f"| {name} | {means} | {len(every)} | {min(every):.3f} | {found.seconds:.0f} |",
            flush=True,
        )


def find_all(way: Way, options: argparse.Namespace) -> Masks:
    """Find the objects of all sets in one way."""
    device = choose_device(options.device)
    model = load_model("sam2.1_hiera_nano", device=str(device))
    if way.compiled:
        compile_parts(model)
    predictor = ImagePredictor(model, precision=PRECISIONS[way.precision])
    found = Masks([], [], [], 0.0)
    begun = time.perf_counter()
    for folder in options.folders:
        frames = read_frames(folder, per_sequence=options.images)
        for frame in islice(frames, options.images):
            prompt(predictor, frame, options.objects, found)
        for sequence in find_sequences(folder)[:1]:
            images, labels = (array[: options.frames + 1] for array in sequence.read())
            targets = find_targets(labels[0], MIN_AREA)[: options.objects]
            settings = Settings(device=str(device), precision=way.precision)
            follow(Session(images, model, settings=settings), targets, found)
    return found._replace(seconds=time.perf_counter() - begun)


def prompt(predictor: ImagePredictor, frame: AnnotatedFrame, count: int, found: Masks) -> None:
    """Box and click the objects of an image."""
    predictor.set_image(frame.image, frame.view)
    for target in find_targets(frame.labels, MIN_AREA)[:count]:
        boxed = predictor.predict([BoxPrompt(0, *target.box)])
        clicked = predictor.predict([PointPrompt(0, *target.click)])
        found.boxed.append(boxed.best.full(predictor.shape))
        found.clicked.append(clicked.best.full(predictor.shape))


def follow(session: Session, targets: list[Target], found: Masks) -> None:
    """Follow objects from their boxes."""
    for target in targets:
        session.add_box(session.add_object(), 0, target.box)
    for masks in session.propagate(start=1):
        if masks.frame:
            found.followed.extend(masks.mask(number) for number in masks.object_ids)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Compare two masks; those that are both empty are the same."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


if __name__ == "__main__":
    main()
