"""The memory encoder: a frame and its mask as something later frames can attend to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam2.model.layers import LayerNorm2d

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config


class MaskDownSampler(nn.Module):
    """A mask at the input's resolution to a map at stride 16, 4 times wider at each step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential()
        width = 1
        for _ in range(4):
            self.encoder.append(nn.Conv2d(width, 4 * width, kernel_size=3, stride=2, padding=1))
            self.encoder.append(LayerNorm2d(4 * width))
            self.encoder.append(nn.GELU())
            width *= 4
        self.encoder.append(nn.Conv2d(width, channels, kernel_size=1))

    def forward(self, mask: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, C, H / 16, W / 16)
        encoded: Tensor = self.encoder(mask)
        return encoded


class CXBlock(nn.Module):
    """A ConvNeXt block: depthwise 7 x 7, then an MLP for each place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels)
        self.norm = LayerNorm2d(channels)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(1e-6 * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> same
        mixed = self.norm(self.dwconv(x)).movedim(1, -1)
        mixed = self.gamma * self.pwconv2(self.act(self.pwconv1(mixed)))
        fused: Tensor = x + mixed.movedim(-1, 1)
        return fused


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, channels: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CXBlock(channels) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Fuse a frame's features with the mask found on it (SAM 2, section 4).

    Parameters
    ----------
    config : SAM2Config
        Widths.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.d_model
        self.mask_downsampler = MaskDownSampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, kernel_size=1)
        self.fuser = Fuser(dim)
        self.out_proj = nn.Conv2d(dim, config.memory_dim, kernel_size=1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        image : Tensor, shape (1 or B, C, H / 16, W / 16)
            Features of the frame, without memory.
        mask : Tensor, shape (B, 1, H, W)
            Scaled probabilities, -10 to 10.

        Returns
        -------
        Tensor, shape (B, memory_dim, H / 16, W / 16)
        """
        fused = self.pix_feat_proj(image) + self.mask_downsampler(mask)
        memory: Tensor = self.out_proj(self.fuser(fused))
        return memory
