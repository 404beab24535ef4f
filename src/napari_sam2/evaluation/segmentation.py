"""One click, or one box, an object: mean IoU over all objects of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.evaluation.baseline import OtsuBaseline
from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.predictors.image import ImagePredictor

MIN_AREA = 10  #: pixels; smaller specks of annotation are not asked for


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """How well one object was found."""

    image: str
    object_id: int
    area: int  #: pixels
    click: float  #: IoU, of the candidate that the model ranks first
    click_best: float  #: IoU, of the best of the three candidates
    box: float  #: IoU
    otsu_click: float
    otsu_box: float


def score_frames(
    predictor: ImagePredictor, frames: Iterable[AnnotatedFrame]
) -> Iterator[ObjectScore]:
    """Prompt every object of every frame, and compare."""
    for frame in frames:
        targets = find_targets(frame.labels, MIN_AREA)
        if not targets:
            continue
        predictor.set_image(frame.image, frame.view)
        baseline = OtsuBaseline(frame.image)
        for target in targets:
            clicked = predictor.predict([PointPrompt(0, *target.click)])
            boxed = predictor.predict([BoxPrompt(0, *target.box)])
            click_ious = [target.iou(mask.full(predictor.shape)) for mask in clicked.masks]
            yield ObjectScore(
                frame.name,
                target.object_id,
                target.area,
                click_ious[0],
                max(click_ious),
                target.iou(boxed.best.full(predictor.shape)),
                target.iou(baseline.click(target)),
                target.iou(baseline.box(target)),
            )
