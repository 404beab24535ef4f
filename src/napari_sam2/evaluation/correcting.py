"""Clicks as a careful user corrects with them: each into the middle of what is most wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam2.evaluation.prompting import deepest
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.evaluation.prompting import Target
    from napari_sam2.predictors.image import ImagePredictor

CORRECTIONS = 3  #: clicks after the box
GOOD = 0.8  #: IoU at which nobody clicks on
MOST_CLICKS = 10  #: after which nobody does either


@dataclass(frozen=True, slots=True)
class Corrected:
    """How far corrections bring an object."""

    iou: float  #: of a box and `CORRECTIONS` clicks
    clicks: int  #: until the IoU is `GOOD`; `MOST_CLICKS` + 1 where it never is


class Corrector:
    """Prompts objects of one image again and again, each prompt on top of those before.

    Parameters
    ----------
    predictor : ImagePredictor
        Whose model, precision and field are used.
    frame : AnnotatedFrame
    """

    def __init__(self, predictor: ImagePredictor, frame: AnnotatedFrame) -> None:
        self._tracker = Tracker(
            predictor.model,
            FrameSource(frame.image, frame.view),
            precision=predictor.precision,
            options=TrackerOptions(field=predictor.field),
        )

    def correct(self, target: Target) -> Corrected:
        """Box an object and correct it; and see how many clicks it takes without a box."""
        boxed = self._ask([BoxPrompt(0, *target.box)], target, CORRECTIONS, enough=1.0)
        clicked = self._ask([PointPrompt(0, *target.click)], target, MOST_CLICKS - 1, enough=GOOD)
        is_good = clicked[-1] >= GOOD
        return Corrected(boxed[-1], len(clicked) if is_good else MOST_CLICKS + 1)

    def _ask(
        self, prompts: list[BoxPrompt | PointPrompt], target: Target, clicks: int, enough: float
    ) -> list[float]:
        """Give the IoU after the first prompt, and after each click until there are enough."""
        ious: list[float] = []
        while True:
            found = self._tracker.prompt(1, 0, prompts).best.full(self._tracker.source.shape)
            ious.append(target.iou(found))
            if ious[-1] >= enough or len(ious) > clicks:
                break
            prompts = [*prompts, next_click(target, found)]
        self._tracker.remove(1)
        return ious


def next_click(target: Target, found: np.ndarray) -> PointPrompt:
    """Click into the middle of the largest part that is missing, or too much.

    Parameters
    ----------
    target : Target
    found : np.ndarray, shape (H, W), bool
        Not exactly the target.
    """
    truth = np.zeros(found.shape, dtype=bool)
    truth[target.region] = target.mask
    parts, _ = ndimage.label(truth != found)
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    row, column = deepest(parts == areas.argmax())
    return PointPrompt(0, float(row), float(column), positive=bool(truth[row, column]))
