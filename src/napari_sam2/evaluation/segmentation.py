"""One click, or one box, an object, and what corrections make of it: all objects of a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.evaluation.baseline import OtsuBaseline
from napari_sam2.evaluation.correcting import Corrector
from napari_sam2.evaluation.pictures import take_picture
from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.prompts import BoxPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.evaluation.pictures import Picture
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
    click_predicted: float  #: what the model takes `click` for
    box: float  #: IoU
    box_predicted: float  #: what the model takes `box` for
    otsu_click: float
    otsu_box: float
    corrected: float | None = None  #: IoU, of a box and three clicks, if that was measured
    clicks: int | None = None  #: until the IoU is 0.8; 11 where ten do not do


class Worst:
    """Keeps pictures of the objects that clicks find worst.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pictures: list[Picture] = []

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The worst, the worst of all first."""
        return tuple(self._pictures)

    def see(self, iou: float, take: Callable[[], Picture]) -> None:
        """Take a picture, if it is among the worst so far."""
        has_room = len(self._pictures) < self._most
        if has_room or (self._pictures and iou < self._pictures[-1].iou):
            self._pictures.append(take())
            self._pictures.sort(key=lambda one: one.iou)
            del self._pictures[self._most :]


def score_frames(
    predictor: ImagePredictor,
    frames: Iterable[AnnotatedFrame],
    *,
    correct: bool = False,
    worst: Worst | None = None,
) -> Iterator[ObjectScore]:
    """Prompt every object of every frame, and compare.

    Parameters
    ----------
    predictor : ImagePredictor
    frames : iterable of AnnotatedFrame
    correct : bool
        Whether objects are corrected, too, with up to ten clicks each.
    worst : Worst, optional
        Is shown every object.
    """
    for frame in frames:
        targets = find_targets(frame.labels, MIN_AREA)
        if not targets:
            continue
        predictor.set_image(frame.image, frame.view)
        baseline = OtsuBaseline(frame.image)
        corrector = Corrector(predictor, frame) if correct else None
        pixels = FrameSource(frame.image, frame.view).read(0)
        for target in targets:
            clicked = predictor.predict([PointPrompt(0, *target.click)])
            boxed = predictor.predict([BoxPrompt(0, *target.box)])
            shown = clicked.best.full(predictor.shape)
            click_ious = [target.iou(mask.full(predictor.shape)) for mask in clicked.masks]
            if worst is not None:
                title = f"{frame.name}, object {target.object_id}"
                worst.see(click_ious[0], partial(take_picture, title, pixels, target, shown))
            corrected = corrector.correct(target) if corrector else None
            yield ObjectScore(
                frame.name,
                target.object_id,
                target.area,
                click_ious[0],
                max(click_ious),
                clicked.best.iou,
                target.iou(boxed.best.full(predictor.shape)),
                boxed.best.iou,
                target.iou(baseline.click(target)),
                target.iou(baseline.box(target)),
                corrected.iou if corrected else None,
                corrected.clicks if corrected else None,
            )
