"""How well a model does what users ask of it, on annotations that were held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.pictures import Picture, take_picture
from napari_sam2.evaluation.prompting import Target, find_targets
from napari_sam2.predictors.frames import View
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.annotated import MIN_AREA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.prompts import Candidates
    from napari_sam2.training.annotated import Part

FOLLOWED_FRAMES = 6  #: annotated frames after the first on which objects are followed
FOLLOWED_OBJECTS = 6  #: in each stack, at most


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Mean IoU over held-out objects."""

    click: float  #: of the mask that one click in the object's middle gives
    box: float  #: of the mask that its bounding box gives
    track: float | None = None  #: on later frames, followed from the box; None if not measured
    n_objects: int = 0

    @property
    def mean(self) -> float:
        """What the best weights are chosen by."""
        scores = [self.click, self.box, *([] if self.track is None else [self.track])]
        return sum(scores) / len(scores)

    def __str__(self) -> str:
        track = "" if self.track is None else f", track {self.track:.3f}"
        return f"click {self.click:.3f}, box {self.box:.3f}{track}"


@dataclass(slots=True)
class Measurement:
    """What has been measured so far."""

    click: list[float] = field(default_factory=list)
    box: list[float] = field(default_factory=list)
    track: list[float] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def scores(self) -> Scores:
        """Give the means."""
        track = float(np.mean(self.track)) if self.track else None
        click, box = float(np.mean(self.click)), float(np.mean(self.box))
        return Scores(click=click, box=box, track=track, n_objects=len(self.click))


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How much is measured."""

    objects: int = 40  #: at most, evenly over all that were held out
    follow: bool = True  #: whether objects are followed, too, in stacks of linked frames
    pictures: int = 6  #: of objects, evenly over those measured


class Judge:
    """Asks a model for held-out objects, always the same ones.

    Parameters
    ----------
    parts : sequence of Part
    options : ScoreOptions
    precision : torch.dtype
        Of the computation.
    """

    def __init__(
        self, parts: Sequence[Part], options: ScoreOptions, precision: torch.dtype
    ) -> None:
        self._parts, self._options, self._precision = parts, options, precision
        places = [
            (number, frame, identity)
            for number, part in enumerate(parts)
            for frame in part.frames
            for identity in part.objects(frame)
        ]
        chosen = [places[i] for i in _evenly(len(places), options.objects)]
        self._pictured = {chosen[i] for i in _evenly(len(chosen), options.pictures)}
        self._asked: dict[tuple[int, int], set[int]] = {}
        for number, frame, identity in chosen:
            self._asked.setdefault((number, frame), set()).add(identity)

        self.n_objects = len(chosen)

    def measure(self, model: SAM2, results: Measurement) -> Iterator[None]:
        """Ask for every object, a step each; what is found is added to the results."""
        predictor = ImagePredictor(model, precision=self._precision)
        for (number, frame), ids in self._asked.items():
            part = self._parts[number]
            image, codes = part.stack.source.read(frame), part.codes(frame)
            predictor.set_image(image, View(contrast_limits=(0.0, 1.0), rgb=True))
            known = codes >= 0
            for identity in ids:
                target = _target(codes, part.stack.code_of(identity))
                found = _masks(predictor.predict([PointPrompt(0, *target.click)]))
                boxed = _masks(predictor.predict([BoxPrompt(0, *target.box)]))
                results.click.append(target.iou(found & known))
                results.box.append(target.iou(boxed & known))
                if (number, frame, identity) in self._pictured:
                    title = f"{part.stack.name}, frame {frame}, object {identity}"
                    results.pictures.append(take_picture(title, image, target, found & known))
                yield
        for part in self._parts:
            if self._follows(part):
                results.track += self._follow(model, part)
                yield

    def _follows(self, part: Part) -> bool:
        return self._options.follow and len(part.frames) > 1

    def _follow(self, model: SAM2, part: Part) -> list[float]:
        """Follow objects from their boxes on the first frame; IoU where they are annotated."""
        frames = part.frames[: FOLLOWED_FRAMES + 1]
        codes = {frame: part.codes(frame) for frame in frames}
        targets = find_targets(codes[frames[0]].clip(min=0), MIN_AREA)
        targets = sorted(targets, key=lambda one: -one.area)[:FOLLOWED_OBJECTS]
        tracker = Tracker(model, part.stack.source, precision=self._precision)
        for target in targets:
            tracker.prompt(target.object_id, frames[0], [BoxPrompt(frames[0], *target.box)])
        ids = [target.object_id for target in targets]
        ious = []
        for masks in tracker.track((frame, ids) for frame in range(frames[0], frames[-1] + 1)):
            if masks.frame == frames[0] or masks.frame not in codes:
                continue
            truth = codes[masks.frame]
            for object_id in masks.object_ids:
                if (truth == object_id).any():
                    target = _target(truth, object_id)
                    ious.append(target.iou(masks.mask(object_id) & (truth >= 0)))
        return ious


def _target(codes: np.ndarray, code: int) -> Target:
    (target,) = find_targets(codes == code)
    return Target(code, target.region, target.mask)


def _masks(candidates: Candidates) -> np.ndarray:
    return np.asarray(candidates.best.full(candidates.shape))


def _evenly(n: int, most: int) -> list[int]:
    chosen: list[int] = np.linspace(0, n - 1, min(n, most)).round().astype(int).tolist()
    return list(dict.fromkeys(chosen))
