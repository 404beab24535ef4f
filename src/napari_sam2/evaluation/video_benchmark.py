"""J, F and J&F of videos, as the DAVIS and SA-V benchmarks count them.

Numbers are those of Meta's ``sav_evaluator``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.mask_files import MaskFolder, read_png
from napari_sam2.evaluation.overlap import boundary_f, jaccard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class VideoScore:
    """How well one object was followed through one video."""

    video: str
    object_name: str
    j: float  #: mean over frames of the regions' intersection over union, in [0, 1]
    f: float  #: mean over frames of the contours' F-measure, in [0, 1]

    @property
    def j_and_f(self) -> float:
        """Their mean."""
        return (self.j + self.f) / 2


def score_videos(
    truth: Path, found: Path, *, skip_ends: bool = True, strict: bool = True
) -> Iterator[VideoScore]:
    """Score every object of every video.

    Parameters
    ----------
    truth : Path
        A folder for each video, in either layout of `MaskFolder`; or one with the folder
        ``Annotations`` that holds them.
    found : Path
        The same, of what was found. Frames that the truth does not have are not looked at.
    skip_ends : bool
        Whether the first and the last annotated frame do not count, as in the benchmarks: the
        first is where the mask was given.
    strict : bool
        Whether every video must be in both folders.

    Yields
    ------
    VideoScore

    Raises
    ------
    ValueError
        If videos, frames or objects do not match; the message says which.
    """
    truth = truth / "Annotations" if (truth / "Annotations").is_dir() else truth
    videos, others = _videos(truth), _videos(found)
    if strict and videos != others:
        raise ValueError(
            f"Only in {truth}: {sorted(videos - others)}; only in {found}: "
            f"{sorted(others - videos)}. Expected the same videos in both."
        )
    if not videos & others:
        raise ValueError(f"There is no video that is in both {truth} and {found}.")
    for video in sorted(videos & others):
        yield from score_video(truth / video, found / video, skip_ends=skip_ends)


def score_video(truth: Path, found: Path, *, skip_ends: bool = True) -> Iterator[VideoScore]:
    """Score every object of one video; see `score_videos`."""
    masks = MaskFolder(truth)
    if not masks.per_object:
        for number, (j, f) in _score_pictures(truth, found, skip_ends=skip_ends).items():
            yield VideoScore(truth.name, str(number), j, f)
        return
    for folder in masks.folders:
        pairs = _pairs(folder, found / folder.name, skip_ends=skip_ends)
        scores = [(jaccard(one > 0, two > 0), boundary_f(one > 0, two > 0)) for two, one in pairs]
        if not scores:
            raise ValueError(f"{folder} has no frames to score.")
        j, f = np.mean(scores, axis=0)
        yield VideoScore(truth.name, folder.name, float(j), float(f))


def mean_scores(scores: Sequence[VideoScore]) -> tuple[float, float, float]:
    """Give J&F, J and F over all objects of all videos alike, in [0, 1]."""
    j, f = (float(np.mean([getattr(one, key) for one in scores])) for key in ("j", "f"))
    return (j + f) / 2, j, f


def table(scores: Sequence[VideoScore]) -> Iterator[str]:
    """Write scores as lines to read, in percent."""
    width = max(len("all videos"), *(len(one.video) for one in scores))
    yield f"{'video':<{width}} {'object':>6} {'J&F':>5} {'J':>5} {'F':>5}"
    total = " ".join(f"{100 * value:5.1f}" for value in mean_scores(scores))
    yield f"{'all videos':<{width}} {'':>6} {total}"
    for one in scores:
        values = " ".join(f"{100 * value:5.1f}" for value in (one.j_and_f, one.j, one.f))
        yield f"{one.video:<{width}} {one.object_name:>6} {values}"


def write_results(folder: Path, scores: Sequence[VideoScore]) -> Path:
    """Write scores, in percent, to ``results.csv`` in a folder; give its path."""
    path = folder / "results.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "object", "J&F", "J", "F"])
        rows = [("all videos", "", *mean_scores(scores))]
        rows += [(one.video, one.object_name, one.j_and_f, one.j, one.f) for one in scores]
        for video, name, *values in rows:
            writer.writerow([video, name, *(f"{100 * value:.4f}" for value in values)])
    return path


def _score_pictures(truth: Path, found: Path, *, skip_ends: bool) -> dict[int, tuple[float, float]]:
    """Score the objects of pictures that hold all of them; an object counts from its first on."""
    seen: set[int] = set()
    in_truth: set[int] = set()
    scores: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for expected, answer in _pairs(truth, found, skip_ends=skip_ends):
        here = {int(i) for i in np.unique(expected) if i}
        in_truth |= here
        seen |= here | {int(i) for i in np.unique(answer) if i}
        for number in seen:
            one, two = answer == number, expected == number
            scores[number].append((jaccard(one, two), boundary_f(one, two)))
    means = {number: np.mean(scores[number], axis=0) for number in sorted(in_truth)}
    return {number: (float(j), float(f)) for number, (j, f) in means.items()}


def _pairs(truth: Path, found: Path, *, skip_ends: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read the pictures of the truth, each with what was found there."""
    paths = sorted(truth.glob("*.png"))
    for path in _inner(paths) if skip_ends else paths:
        other = found / path.name
        if not other.is_file():
            raise ValueError(f"There is no {other}; expected a picture for each of {truth}.")
        expected, answer = read_png(path), read_png(other)
        if expected.shape != answer.shape:
            raise ValueError(f"{other} is of shape {answer.shape}, but {path} {expected.shape}.")
        yield expected, answer


def _inner(paths: list[Path]) -> Iterable[Path]:
    return paths[1:-1]


def _videos(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    return {child.name for child in folder.iterdir() if child.is_dir()}
