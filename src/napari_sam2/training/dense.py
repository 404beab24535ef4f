"""Dense targets, from which the trunk learns what an object is before it is asked for one.

From scratch, clicks alone teach a trunk slowly: each says something about one object. Here
every pixel says whether it is object or edge, where its object's centre lies, and how large
the object is. The heads are thrown away afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from napari_sam2.model.neck import Pyramid

STRIDE = 4  #: of predictions and targets, in pixels


class DenseTargets(NamedTuple):
    """What there is at every fourth pixel."""

    foreground: Tensor  #: (B, 1, H / 4, W / 4), share of the pixels on an object
    edge: Tensor  #: (B, 1, H / 4, W / 4), 1 where two objects, or object and background, meet
    offset: Tensor  #: (B, 2, H / 4, W / 4), (row, column) to the centre, in object diameters
    size: Tensor  #: (B, 1, H / 4, W / 4), log2 of the object's diameter over 16 pixels


class DenseHeads(nn.Module):
    """Predict the targets from the feature pyramid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(nn.Conv2d(channels, 64, 1) for _ in range(3))
        self.predict = nn.Sequential(
            nn.GELU(), nn.Conv2d(64, 64, 3, padding=1), nn.GELU(), nn.Conv2d(64, 5, 1)
        )

    def forward(self, pyramid: Pyramid) -> Tensor:  # -> (B, 5, H / 4, W / 4)
        size = pyramid.stride4.shape[-2:]
        levels = [
            F.interpolate(reduce(level), size=size, mode="bilinear", align_corners=False)
            for level, reduce in zip(pyramid, self.reduce, strict=True)
        ]
        predicted: Tensor = self.predict(torch.stack(levels).sum(dim=0))
        return predicted


def dense_targets(labels: Tensor) -> DenseTargets:
    """Compute targets from labels.

    Parameters
    ----------
    labels : Tensor, shape (B, H, W), integers
    """
    batch, height, width = labels.shape
    stride = int(labels.max()) + 1
    image = torch.arange(batch, device=labels.device)[:, None, None]
    index = (labels.long() + image * stride).flatten()
    rows, columns = torch.meshgrid(
        torch.arange(height, device=labels.device, dtype=torch.float32),
        torch.arange(width, device=labels.device, dtype=torch.float32),
        indexing="ij",
    )
    position = torch.stack((rows, columns)).expand(batch, -1, -1, -1)  # (B, 2, H, W)
    flat = position.transpose(0, 1).flatten(1)  # (2, B * H * W)
    area = torch.bincount(index, minlength=batch * stride).clamp(min=1).float()
    centre = torch.zeros(2, batch * stride, device=labels.device)
    centre = centre.index_add(1, index, flat) / area
    diameter = area.sqrt()[index].view(batch, 1, height, width)
    offset = (centre[:, index].view(2, batch, height, width).transpose(0, 1) - position) / diameter

    on_object = (labels > 0)[:, None].float()
    edge = torch.zeros_like(on_object)
    for shift, axis in ((1, -1), (1, -2)):
        differs = (labels != labels.roll(shift, axis))[:, None].float()
        differs.narrow(axis, 0, 1).zero_()
        edge = edge.maximum(differs)
    corner = (..., slice(STRIDE // 2, None, STRIDE), slice(STRIDE // 2, None, STRIDE))
    return DenseTargets(
        F.avg_pool2d(on_object, STRIDE),
        F.max_pool2d(edge, STRIDE),
        offset[corner],
        (diameter / 16).log2()[corner],
    )


def dense_loss(predicted: Tensor, targets: DenseTargets) -> Tensor:
    """Compare; offset and size count only on objects.

    Parameters
    ----------
    predicted : Tensor, shape (B, 5, H / 4, W / 4)
    targets : DenseTargets
    """
    foreground, edge, offset, size = predicted.float().split((1, 1, 2, 1), dim=1)
    on_object = (targets.foreground > 0.5).float()
    inside = on_object.sum().clamp(min=1)
    regression = F.smooth_l1_loss(offset, targets.offset, reduction="none", beta=0.1).sum(
        dim=1, keepdim=True
    ) + 0.3 * F.smooth_l1_loss(size, targets.size, reduction="none")
    return (
        F.binary_cross_entropy_with_logits(foreground, targets.foreground)
        + F.binary_cross_entropy_with_logits(edge, targets.edge)
        + (regression * on_object).sum() / inside
    )
