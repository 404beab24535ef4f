"""One click, or one box, an object: mean IoU over all objects of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.evaluation.baseline import OtsuBaseline
from napari_sam2.evaluation.prompting import Target, find_targets
from napari_sam2.model.mask_decoder import candidates, pick, single, upsample
from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, POSITIVE, TOP_LEFT
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.predictors.transforms import to_model_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from napari_sam2.evaluation.datasets import AnnotatedFrame
    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.predictors.image import ImagePredictor

BATCH = 32  #: objects decoded at once
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
        for begin in range(0, len(targets), BATCH):
            batch = targets[begin : begin + BATCH]
            clicks, boxes = click_ious(predictor, batch), box_ious(predictor, batch)
            for target, click, box in zip(batch, clicks, boxes, strict=True):
                yield ObjectScore(
                    frame.name,
                    target.object_id,
                    target.area,
                    float(click[0]),
                    float(click.max()),
                    float(box),
                    target.iou(baseline.click(target)),
                    target.iou(baseline.box(target)),
                )


def click_ious(predictor: ImagePredictor, targets: list[Target]) -> np.ndarray:
    """Click each object once.

    Returns
    -------
    np.ndarray, shape (N, 3)
        IoU of the candidates, in the order that the model ranks them.
    """
    decoded = candidates(_decode(predictor, [[t.click] for t in targets], [POSITIVE]))
    order = decoded.ious.argsort(dim=1, descending=True)
    ranked = [pick(decoded.logits, order[:, i]) for i in range(order.shape[1])]
    return np.stack([_ious(logits, targets, predictor.shape) for logits in ranked], axis=1)


def box_ious(predictor: ImagePredictor, targets: list[Target]) -> np.ndarray:
    """Draw each object's box; IoU of the mask that the model gives, shape (N,)."""
    corners = [[t.box[:2], t.box[2:]] for t in targets]
    decoded = single(_decode(predictor, corners, [TOP_LEFT, BOTTOM_RIGHT]))
    return _ious(decoded.logits, targets, predictor.shape)


def _decode(
    predictor: ImagePredictor, positions: Iterable[Iterable[tuple[float, ...]]], labels: list[int]
) -> DecodedMasks:
    size, device = predictor.model.config.image_size, predictor.model.device
    points = to_model_points(np.array(list(positions)), predictor.shape, size, device)
    return predictor.decode(
        PromptTensors(points, torch.tensor(labels, device=device).expand(len(points), -1))
    )


def _ious(logits: Tensor, targets: list[Target], shape: tuple[int, int]) -> np.ndarray:
    found = (upsample(logits, shape)[:, 0] > 0).cpu().numpy()
    return np.array([target.iou(mask) for target, mask in zip(targets, found, strict=True)])
