"""The image encoder: trunk and feature pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
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

    def forward(
        self, maps: list[Tensor], finest: tuple[nn.Conv2d, nn.Conv2d] | None = None
    ) -> Pyramid:
        """Combine the maps of the trunk.

        Parameters
        ----------
        maps : list of Tensor
            Finest first.
        finest : tuple of nn.Conv2d, optional
            What follows on the maps of strides 4 and 8 alone, 1 x 1: the result has these maps
            after it.
        """
        laterals = [lateral.get_submodule("conv") for lateral in reversed(self.convs)]
        if finest:
            stride4, stride8 = (
                _both(lateral, after, x)
                for lateral, after, x in zip(laterals, finest, maps, strict=False)
            )
        else:
            stride4, stride8 = (lateral(x) for lateral, x in zip(laterals[:2], maps, strict=False))
        stride16, stride32 = (lateral(x) for lateral, x in zip(laterals[2:], maps[2:], strict=True))
        # In float32 also under autocast, as the published weights were trained.
        upsampled = F.interpolate(stride32.float(), scale_factor=2.0, mode="nearest")
        return Pyramid(stride4, stride8, stride16 + upsampled)


class ImageEncoder(nn.Module):
    """Trunk and neck: pixels to a feature pyramid."""

    def __init__(self, hiera: HieraConfig, channels: int) -> None:
        super().__init__()
        self.trunk = Hiera(hiera)
        self.neck = FpnNeck(hiera.stage_dims, channels)

    def forward(
        self, pixels: Tensor, finest: tuple[nn.Conv2d, nn.Conv2d] | None = None
    ) -> Pyramid:  # (B, 3, H, W)
        pyramid: Pyramid = self.neck(self.trunk(pixels), finest)
        return pyramid


def _both(first: nn.Module, second: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply two 1 x 1 convolutions as one: the wide map between them is never made."""
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    weight = torch.einsum("onhw,nihw->oihw", second.weight, first.weight)
    bias = second(first.bias[:, None, None]).flatten()
    return F.conv2d(x, weight, bias)
