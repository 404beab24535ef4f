"""Objects followed from a box on the first frame: mean IoU over the frames that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.evaluation.datasets import Sequence
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.predictors.strategies import StrategyName


@dataclass(frozen=True, slots=True)
class TrackScore:
    """How well one object was found on one frame."""

    sequence: str
    object_id: int
    frame: int
    iou: float


def score_tracking(
    predictor: ImagePredictor,
    sequence: Sequence,
    n_frames: int,
    *,
    min_area: int = 10,
    max_objects: int | None = None,
    strategy: StrategyName = "sam2",
) -> Iterator[TrackScore]:
    """Box every object of the first frame, follow it, and compare where there is truth.

    Frames on which an object is not annotated say nothing: it may have left, or the
    annotation may be partial.

    Parameters
    ----------
    predictor : ImagePredictor
        Whose model, precision and field are used.
    sequence : Sequence
    n_frames : int
        How many frames are followed after the first.
    min_area : int
        Of objects to follow, in pixels.
    max_objects : int, optional
        Those are followed that are annotated on most frames; all unless given.
    strategy : {"sam2", "sam2long", "samurai"}
        Which masks they are followed by, and what of them is remembered.
    """
    images, labels = sequence.read()
    images, labels = images[: n_frames + 1], labels[: n_frames + 1]
    tracker = Tracker(
        predictor.model,
        FrameSource(images),
        precision=predictor.precision,
        options=TrackerOptions(field=predictor.field, strategy=strategy),
    )
    targets = {target.object_id: target for target in find_targets(labels[0], min_area)}
    annotated = {i: np.flatnonzero((labels == i).any(axis=(1, 2))) for i in targets}
    ids = sorted(targets, key=lambda i: len(annotated[i]), reverse=True)[:max_objects]
    for object_id in ids:
        tracker.prompt(object_id, 0, [BoxPrompt(0, *targets[object_id].box)])
    visits = (
        (frame, [i for i in ids if annotated[i][-1] >= frame]) for frame in range(len(images))
    )
    for masks in tracker.track(visits):
        if masks.frame == 0:
            continue
        for target in find_targets(labels[masks.frame], min_area):
            if target.object_id in masks.object_ids:
                iou = target.iou(masks.mask(target.object_id))
                yield TrackScore(sequence.name, target.object_id, masks.frame, iou)
