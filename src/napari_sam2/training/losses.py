"""SAM 2's losses (appendix D.2.2), with the mask terms balanced for small objects.

Every mask loss is per mask: the sum over pixels is divided by the object's own area, so that
a nucleus of 40 pixels weighs as much as one of 4,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from napari_sam2.model.mask_decoder import DecodedMasks

FOCUS = 2.0  #: exponent of the focal loss
AREA_FLOOR = 16.0  #: pixels; keeps the focal loss of the smallest objects in bounds


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each term counts."""

    focal: float = 1.0
    dice: float = 1.0
    iou: float = 2.0
    object_score: float = 0.5
    candidates: float = 0.5  #: share of the mask terms that the best candidate bears
    absent: float = 1.0  #: of masks of objects that are not there


def focal_loss(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Focal loss (Lin et al. 2017), summed and divided by the object's area.

    Parameters
    ----------
    logits : Tensor, shape (..., H, W)
    target : Tensor, broadcastable to the shape of `logits`
        From 0 to 1; pixels on an edge may lie between.
    known : Tensor, broadcastable to the shape of `logits`, optional
        From 0 to 1: how much each pixel counts. All count unless given.

    Returns
    -------
    Tensor, shape (...)
    """
    cross_entropy = F.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    )
    focus = (logits.sigmoid() - target).abs() ** FOCUS
    area = target.sum(dim=(-2, -1))
    if known is not None:
        focus = focus * known
    return (focus * cross_entropy).sum(dim=(-2, -1)) / (area + AREA_FLOOR)


def dice_loss(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """One minus the Dice coefficient of probabilities and target; shapes as in `focal_loss`."""
    probability = logits.sigmoid()
    if known is not None:
        probability, target = probability * known, target * known
    overlap = 2 * (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return 1 - (overlap + 1) / (total + 1)


def emptiness_loss(logits: Tensor) -> Tensor:
    """Focal loss of masks that should be empty, divided by the area that they have.

    SAM 2 learns no mask where there is no object and leaves hiding it to the object score.
    A score that has seen few absent objects says of all that they are there; each pixel that
    is to be empty teaches as much as one that is not.

    Parameters
    ----------
    logits : Tensor, shape (..., H, W)

    Returns
    -------
    Tensor, shape (...)
    """
    probability = logits.sigmoid()
    wrong = probability**FOCUS * F.softplus(logits)
    return wrong.sum(dim=(-2, -1)) / (probability.detach().sum(dim=(-2, -1)) + AREA_FLOOR)


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """IoU of the masks that logits give with their target; shapes as in `focal_loss`."""
    found, there = logits > 0, target > 0.5
    if known is not None:
        found, there = found & (known > 0.5), there & (known > 0.5)
    union = (found | there).sum(dim=(-2, -1))
    return torch.where(union > 0, (found & there).sum(dim=(-2, -1)) / union.clamp(min=1), 1.0)


def decoder_loss(
    decoded: DecodedMasks, target: Tensor, weights: LossWeights, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Score all four masks of a decoder against the truth.

    The single mask and the best of the three candidates are pulled to the truth (only the
    best, so that the others stay free to mean something else). Every predicted IoU is compared
    with the true one, by the square of the error as in SAM: of a mask that is either right or
    wrong it learns the mean, by which candidates are chosen, where SAM 2's absolute error
    gives the median. Of objects that are not there (an empty target) all masks
    are pulled to nothing, and no IoU is asked for.

    Parameters
    ----------
    decoded : DecodedMasks
        Of N objects, with M = 4.
    target : Tensor, shape (N, H, W), float32
        At any multiple of the logits' resolution.
    weights : LossWeights
    known : Tensor, shape (N, H, W), float32, optional
        How much each pixel counts, from 0 to 1. Whether an object is there is asked only where
        it is seen, or all of the image is known.

    Returns
    -------
    loss : Tensor, shape ()
    ious : Tensor, shape (N, 4)
        True IoU of each mask.
    """
    logits = F.interpolate(
        decoded.logits.float(), size=target.shape[-2:], mode="bilinear", align_corners=False
    )
    target = target[:, None]
    there = target.flatten(1).amax(dim=1) > 0.5  # (N,)
    certain = torch.ones_like(there)
    if known is not None:
        certain = there | (known.flatten(1).amin(dim=1) == 1)
        known = known[:, None]
    focal, dice = focal_loss(logits, target, known), dice_loss(logits, target, known)
    masks = weights.focal * focal + weights.dice * dice
    best_candidate = masks[:, 1:].amin(dim=1)
    ious = mask_iou(logits, target, known)
    iou_error = F.mse_loss(decoded.ious.float(), ious, reduction="none").mean(dim=1)
    per_object = (
        (1 - weights.candidates) * masks[:, 0]
        + weights.candidates * best_candidate
        + weights.iou * iou_error
    )
    score = F.binary_cross_entropy_with_logits(
        decoded.object_score.float()[:, 0], there.float(), reduction="none"
    )
    loss = (
        _mean(per_object, there)
        + weights.absent * _mean(emptiness_loss(logits).mean(dim=1), certain & ~there)
        + weights.object_score * _mean(score, certain)
    )
    return loss, ious


def _mean(values: Tensor, counted: Tensor) -> Tensor:  # (N,), (N,) -> ()
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)
