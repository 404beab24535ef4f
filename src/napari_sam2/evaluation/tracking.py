"""Objects followed from a box on the first frame: mean IoU over the frames that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.evaluation.datasets import Sequence
    from napari_sam2.predictors.image import ImagePredictor


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
    """
    images, labels = sequence.read()
    images, labels = images[: n_frames + 1], labels[: n_frames + 1]
    tracker = Tracker(
        predictor.model,
        FrameSource(images),
        precision=predictor.precision,
        options=TrackerOptions(field=predictor.field),
    )
    ids = []
    for target in find_targets(labels[0], min_area):
        tracker.prompt(target.object_id, 0, [BoxPrompt(0, *target.box)])
        ids.append(target.object_id)
    visits = ((frame, ids) for frame in range(len(images)))
    for masks in tracker.track(visits):
        if masks.frame == 0:
            continue
        for target in find_targets(labels[masks.frame], min_area):
            if target.object_id in ids:
                iou = target.iou(masks.mask(target.object_id))
                yield TrackScore(sequence.name, target.object_id, masks.frame, iou)
