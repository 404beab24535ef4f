"""Hiera, the image trunk: attention in windows, pooled between four stages.

Ryali et al. 2023, "Hiera: a hierarchical vision transformer without the bells-and-whistles",
with the windowed position embedding of Bolya et al. 2023. Parameter names are those of the
published checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn, zeros

from napari_sam2.model.attention import attend
from napari_sam2.model.layers import MLP, from_windows, in_strips, joined, to_windows

if TYPE_CHECKING:
    from napari_sam2.model.config import HieraConfig


def _halve(x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, H / 2, W / 2, C)
    return F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Overlapping patches of 7 pixels, one every 4 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=7, stride=4, padding=3)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, H / 4, W / 4, C)
        patches: Tensor = self.proj(x)
        return patches.permute(0, 2, 3, 1)


class MultiScaleAttention(nn.Module):
    """Self-attention whose queries may be pooled, which halves the map."""

    def __init__(self, dim: int, dim_out: int, heads: int, *, pooled: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pooled = pooled
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, H', W', C')
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.pooled:
            query = _halve(query)
        attended = attend(self._split(query), self._split(key), self._split(value))
        # (B, heads, H' * W', C' / heads) -> (B, H', W', C')
        merged: Tensor = self.proj(attended.transpose(1, 2).reshape(query.shape))
        return merged

    def _split(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, heads, H * W, C / heads)
        split: Tensor = x.flatten(1, 2).unflatten(-1, (self.heads, -1))
        return split.transpose(1, 2)


class MultiScaleBlock(nn.Module):
    """Attention in windows (or everywhere), then an MLP.

    Parameters
    ----------
    dim, dim_out : int
        Channels before and after; where they differ a stage begins and the map is halved.
    heads : int
        Attention heads.
    window : int
        Edge of a window before pooling, in tokens; 0 attends everywhere.
    """

    def __init__(self, dim: int, dim_out: int, heads: int, window: int) -> None:
        super().__init__()
        begins_stage = dim != dim_out
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = MultiScaleAttention(dim, dim_out, heads, pooled=begins_stage)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP(dim_out, 4 * dim_out, dim_out, activation=F.gelu)
        self.proj = nn.Linear(dim, dim_out) if begins_stage else None

    def forward(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, H', W', C')
        if self.window:
            strips = in_strips(x, self.window)
            return joined([self._mix(self._attend(strip)) for strip in strips])
        return joined([self._mix(strip) for strip in in_strips(self._attend(x), 1)])

    def _attend(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, H', W', C')
        normed = self.norm1(x)
        shortcut = x if self.proj is None else _halve(self.proj(normed))
        if self.window:
            attended = self.attn(to_windows(normed, self.window))
            attended = from_windows(attended, *shortcut.shape[1:3])
        else:
            attended = self.attn(normed)
        summed: Tensor = shortcut + attended
        return summed

    def _mix(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> same
        mixed: Tensor = x + self.mlp(self.norm2(x))
        return mixed


class Hiera(nn.Module):
    """The trunk: four maps of growing stride and width.

    Parameters
    ----------
    config : HieraConfig
        Widths, depths and windows.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        self.patch_embed = PatchEmbed(dim)
        self.pos_embed = nn.Parameter(zeros(1, dim, *config.pos_embed_grid))
        self.pos_embed_window = nn.Parameter(zeros(1, dim, config.windows[0], config.windows[0]))
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        for stage, depth in enumerate(config.stages):
            for block in range(depth):
                index = len(self.blocks)
                # The first block of a stage still works in the windows of the last one:
                # it pools inside them.
                window = config.windows[stage - 1 if stage and not block else stage]
                self.blocks.append(
                    MultiScaleBlock(
                        dim,
                        config.stage_dims[stage],
                        config.num_heads * 2**stage,
                        0 if index in config.global_blocks else window,
                    )
                )
                dim = config.stage_dims[stage]
            self.stage_ends.append(len(self.blocks) - 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the maps at the end of each stage.

        Parameters
        ----------
        x : Tensor, shape (B, 3, H, W)
            Normalised pixels; H and W are multiples of 4 times the first window, and of 32.

        Returns
        -------
        list of Tensor, shape (B, C, H / stride, W / stride)
            Strides 4, 8, 16 and 32.
        """
        x = self.patch_embed(x)
        x = x + self._positions(*x.shape[1:3])
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps

    def _positions(self, height: int, width: int) -> Tensor:  # (1, H, W, C)
        window = self.pos_embed_window
        everywhere = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        tiles = window.tile(height // window.shape[2], width // window.shape[3])
        return (everywhere + tiles).permute(0, 2, 3, 1)
