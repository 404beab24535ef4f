"""Scores of whole sets, as lines to read and a file to compute on."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.datasets import find_sequences, read_frames
from napari_sam2.evaluation.segmentation import ObjectScore, score_frames
from napari_sam2.evaluation.tracking import score_tracking

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.predictors.strategies import StrategyName

#: What the numbers of `tracking_summary` mean.
TRACKING_RULE = (
    "Objects are followed from their boxes on the first frame; the mean is over the frames after "
    "it, and counts only those on which an object is annotated."
)
HEADER = f"{'set':<28} {'objects':>7} {'click':>7} {'box':>7} {'otsu click':>11} {'otsu box':>9}"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What of a set is measured."""

    only: frozenset[str] | None = None  #: stems of images; all unless given
    whole: bool = False  #: whether all labels of an image are one object
    frames: int = 10  #: of each sequence, at most
    tracked: int = 0  #: frames that objects are followed for in each sequence; 0 is not at all
    strategy: StrategyName = "sam2"  #: by which they are followed


@dataclass(slots=True)
class Report:
    """What came of a number of sets, by their folders' paths."""

    scores: dict[str, list[ObjectScore]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  #: why a set was not measured


def measure(
    predictor: ImagePredictor,
    folders: Iterable[Path],
    options: EvaluationOptions,
    results: Report,
) -> Iterator[str]:
    """Measure set after set, and tell of each in a line; one that fails holds up no other.

    Parameters
    ----------
    predictor : ImagePredictor
    folders : iterable of Path
    options : EvaluationOptions
    results : Report
        Scores and failures are added to it.

    Yields
    ------
    str
        A line to read.
    """
    folders = list(folders)
    yield HEADER
    for folder in folders:
        try:
            scores = list(segmentation_scores(predictor, folder, options))
        except (ValueError, OSError) as error:
            results.failures.append(f"{folder}: {error}")
        else:
            results.scores[str(folder)] = scores
            yield summary(str(folder), scores)
    if options.tracked:
        yield TRACKING_RULE
        for folder in folders:
            try:
                yield from tracking_summary(predictor, folder, options)
            except (ValueError, OSError) as error:
                results.failures.append(f"{folder}, followed: {error}")


def segmentation_scores(
    predictor: ImagePredictor, folder: Path, options: EvaluationOptions
) -> Iterator[ObjectScore]:
    """Score every object of a set; see `napari_sam2.evaluation.datasets` for the layouts.

    Raises
    ------
    ValueError
        If there are no annotated images in the folder.
    """
    frames = read_frames(folder, only=options.only, per_sequence=options.frames)
    if options.whole:
        frames = (_as_one(frame) for frame in frames)
    found = False
    for score in score_frames(predictor, frames):
        found = True
        yield score
    if not found:
        raise ValueError(
            f"No annotated images in {folder}: expected images/ beside labels/, or images.tif "
            "beside labels.tif."
        )


def _as_one(frame: AnnotatedFrame) -> AnnotatedFrame:
    return replace(frame, labels=(frame.labels > 0).astype(np.uint8))


def summary(name: str, scores: Sequence[ObjectScore]) -> str:
    """Write the mean IoU of a set as a line under `HEADER`."""

    def mean(key: str) -> float:
        return float(np.mean([getattr(score, key) for score in scores]))

    return (
        f"{name:<28} {len(scores):>7} {mean('click'):>7.3f} {mean('box'):>7.3f} "
        f"{mean('otsu_click'):>11.3f} {mean('otsu_box'):>9.3f}"
    )


def tracking_summary(
    predictor: ImagePredictor, folder: Path, options: EvaluationOptions
) -> Iterator[str]:
    """Follow first-frame boxes in every sequence of a folder; a line for each."""
    for sequence in find_sequences(folder):
        n_frames = options.tracked
        scores = list(score_tracking(predictor, sequence, n_frames, strategy=options.strategy))
        if scores:
            mean = np.mean([score.iou for score in scores])
            count = len({score.object_id for score in scores})
            name = str(sequence.folder)
            yield f"{name:<28} {count} objects, {n_frames} frames: mean IoU {mean:.3f}"


def write_scores(path: Path, scores: dict[str, list[ObjectScore]]) -> None:
    """Write every object's score to a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["set", *(f.name for f in fields(ObjectScore))])
        writer.writeheader()
        for name, of_set in scores.items():
            writer.writerows({"set": name, **asdict(score)} for score in of_set)
