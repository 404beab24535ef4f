"""Scores of whole sets, as lines to read and a file to compute on."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from skimage.io import imsave

from napari_sam2.evaluation.datasets import find_sequences, read_frames
from napari_sam2.evaluation.everything import score_everything
from napari_sam2.evaluation.pictures import lay_out
from napari_sam2.evaluation.segmentation import ObjectScore, Worst, score_frames
from napari_sam2.evaluation.tracking import score_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.evaluation.pictures import Picture
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.predictors.strategies import StrategyName

#: What the numbers of `tracking_summary` mean.
TRACKING_RULE = (
    "Objects are followed from their boxes on the first frame; the mean is over the frames after "
    "it, and counts only those on which an object is annotated."
)
#: Of what each column is, and how it comes of the scores; None where that was not measured.
COLUMNS: dict[str, Callable[[Sequence[ObjectScore]], float | None]] = {
    "click": lambda scores: _mean([one.click for one in scores]),
    "box": lambda scores: _mean([one.box for one in scores]),
    "box + 3 clicks": lambda scores: _mean([one.corrected for one in scores]),
    "clicks to 0.8": lambda scores: _median([one.clicks for one in scores]),
    "prediction off by": lambda scores: _mean([error for one in scores for error in _errors(one)]),
    "otsu click": lambda scores: _mean([one.otsu_click for one in scores]),
    "otsu box": lambda scores: _mean([one.otsu_box for one in scores]),
}
HEADER = " ".join([f"{'set':<28} objects", *(f"{title:>7}" for title in COLUMNS)])
#: What the numbers of `everything_summary` mean.
EVERYTHING_RULE = "Everything, without prompts: mean segmentation accuracy (mSA) over the images."


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What of a set is measured."""

    only: frozenset[str] | None = None  #: stems of images; all unless given
    whole: bool = False  #: whether all labels of an image are one object
    frames: int = 10  #: of each sequence, at most
    tracked: int = 0  #: frames that objects are followed for in each sequence; 0 is not at all
    strategy: StrategyName = "sam2"  #: by which they are followed
    correct: bool = False  #: whether objects are corrected by clicks, too
    everything: bool = False  #: whether everything is segmented without prompts, too
    pictures: int = 0  #: of the objects that clicks find worst


@dataclass(slots=True)
class Report:
    """What came of a number of sets, by their folders' paths."""

    scores: dict[str, list[ObjectScore]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  #: why a set was not measured
    worst: dict[str, tuple[Picture, ...]] = field(default_factory=dict)


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
        worst = Worst(options.pictures)
        try:
            scores = list(segmentation_scores(predictor, folder, options, worst))
        except (ValueError, OSError) as error:
            results.failures.append(f"{folder}: {error}")
        else:
            results.scores[str(folder)] = scores
            results.worst[str(folder)] = worst.pictures
            yield summary(str(folder), scores)
    if options.everything:
        yield EVERYTHING_RULE
        for name in results.scores:
            try:
                yield everything_summary(predictor, Path(name), options)
            except (ValueError, OSError) as error:
                results.failures.append(f"{name}, everything: {error}")
    if options.tracked:
        yield TRACKING_RULE
        for folder in folders:
            try:
                yield from tracking_summary(predictor, folder, options)
            except (ValueError, OSError) as error:
                results.failures.append(f"{folder}, followed: {error}")


def segmentation_scores(
    predictor: ImagePredictor,
    folder: Path,
    options: EvaluationOptions,
    worst: Worst | None = None,
) -> Iterator[ObjectScore]:
    """Score every object of a set; see `napari_sam2.evaluation.datasets` for the layouts.

    Raises
    ------
    ValueError
        If there are no annotated images in the folder.
    """
    found = False
    frames = _frames(folder, options)
    for score in score_frames(predictor, frames, correct=options.correct, worst=worst):
        found = True
        yield score
    if not found:
        raise ValueError(
            f"No annotated images in {folder}: expected images/ beside labels/, or images.tif "
            "beside labels.tif."
        )


def _frames(folder: Path, options: EvaluationOptions) -> Iterator[AnnotatedFrame]:
    frames = read_frames(folder, only=options.only, per_sequence=options.frames)
    return (_as_one(frame) for frame in frames) if options.whole else iter(frames)


def _as_one(frame: AnnotatedFrame) -> AnnotatedFrame:
    return replace(frame, labels=(frame.labels > 0).astype(np.uint8))


def summary(name: str, scores: Sequence[ObjectScore]) -> str:
    """Write what came of a set as a line under `HEADER`."""
    values = {title: of(scores) for title, of in COLUMNS.items()}
    shown = {title: "-" if x is None else f"{x:.3f}" for title, x in values.items()}
    numbers = (f"{text:>{max(len(title), 7)}}" for title, text in shown.items())
    return " ".join([f"{name:<28} {len(scores):>7}", *numbers])


def everything_summary(predictor: ImagePredictor, folder: Path, options: EvaluationOptions) -> str:
    """Segment everything on the images of a set; a line."""
    scores = [score_everything(predictor, frame) for frame in _frames(folder, options)]
    return f"{folder!s:<28} {len(scores)} images: mSA {np.mean(scores):.3f}"


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


def write_worst(path: Path, pictures: Mapping[str, Sequence[Picture]]) -> None:
    """Write a picture with a row a set: the objects that clicks find worst, the worst first.

    The annotated outline is green, what a click finds is orange; the square is the click.
    """
    sheet = lay_out(list(pictures.values()))
    if sheet is not None:
        imsave(path, sheet, check_contrast=False)


def write_scores(path: Path, scores: dict[str, list[ObjectScore]]) -> None:
    """Write every object's score to a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["set", *(f.name for f in fields(ObjectScore))])
        writer.writeheader()
        for name, of_set in scores.items():
            writer.writerows({"set": name, **asdict(score)} for score in of_set)


def _errors(score: ObjectScore) -> tuple[float, float]:
    return abs(score.click_predicted - score.click), abs(score.box_predicted - score.box)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
