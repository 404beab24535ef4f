"""The image encoder: trunk and feature pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.hiera import Hiera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.config import HieraConfig


class Pyramid(NamedTuple):
    """Feature maps of an image, each with the model's width."""

    stride4: Tensor  #: (B, C, H / 4, W / 4)
    stride8: Tensor  #: (B, C, H / 8, W / 8)
    stride16: Tensor  #: (B, C, H / 16, W / 16)


class FpnNeck(nn.Module):
    """Project each stage to the model's width; the coarsest is added to the one before.

    Meta's ``FpnNeck`` with ``fpn_top_down_levels=[2, 3]``: the two finest maps are
    lateral only, and the coarsest one is not passed on.

    Parameters
    ----------
    stage_dims : sequence of int
        Channels of the four stages, finest first.
    channels : int
        The model's width.
    """

    def __init__(self, stage_dims: Sequence[int], channels: int) -> None:
        super().__init__()
        # Coarsest first, each in a Sequential of one: the checkpoint's names.
        self.convs = nn.ModuleList()
        for dim in reversed(stage_dims):
            lateral = nn.Sequential()
            lateral.add_module("conv", nn.Conv2d(dim, channels, kernel_size=1))
            self.convs.append(lateral)

    def forward(self, maps: list[Tensor]) -> Pyramid:
        stride32, stride16, stride8, stride4 = (
            conv(x) for conv, x in zip(self.convs, reversed(maps), strict=True)
        )
        # In float32 also under autocast, as the published weights were trained.
        upsampled = F.interpolate(stride32.float(), scale_factor=2.0, mode="nearest")
        return Pyramid(stride4, stride8, stride16 + upsampled)


class ImageEncoder(nn.Module):
    """Trunk and neck: pixels to a feature pyramid."""

    def __init__(self, hiera: HieraConfig, channels: int) -> None:
        super().__init__()
        self.trunk = Hiera(hiera)
        self.neck = FpnNeck(hiera.stage_dims, channels)

    def forward(self, pixels: Tensor) -> Pyramid:  # (B, 3, H, W)
        pyramid: Pyramid = self.neck(self.trunk(pixels))
        return pyramid
