"""What benchmarks of following on annotated sequences do alike."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sam2.evaluation.datasets import Sequence, find_sequences
from napari_sam2.evaluation.tracking import TrackScore, score_tracking
from napari_sam2.model.config import EMBEDDED_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.predictors.strategies import StrategyName


def parse(description: str | None, frames: int) -> argparse.Namespace:
    """Read what is followed how; `frames` are followed unless told otherwise."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=frames, help="followed after the first")
    parser.add_argument("--objects", type=int, default=8, help="of each sequence")
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--field", default="auto", choices=["auto", "frame"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def sequences(options: argparse.Namespace) -> Iterator[tuple[str, Sequence]]:
    """Give the sequences in all folders, with what they are called in a table."""
    for folder in options.folders:
        for one in find_sequences(folder):
            yield "/".join(one.folder.parts[-2:]), one


def follow(
    predictor: ImagePredictor,
    sequence: Sequence,
    options: argparse.Namespace,
    strategy: StrategyName = "sam2",
) -> tuple[list[TrackScore], float]:
    """Follow the objects of a sequence; give scores, and seconds of processor time a mask."""
    begun = time.process_time()
    scores = list(
        score_tracking(
            predictor, sequence, options.frames, max_objects=options.objects, strategy=strategy
        )
    )
    return scores, (time.process_time() - begun) / len(scores)
