"""Memory attention: what earlier frames know, brought to the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.attention import on_cpu
from napari_sam2.model.positions import AxialRotary
from napari_sam2.model.transformer import RotaryAttention

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config


class MemoryAttentionLayer(nn.Module):
    """Self-attention, attention to memories, and an MLP, each after a norm."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.d_model
        self.self_attn = RotaryAttention(dim, heads=1)
        self.cross_attn_image = RotaryAttention(dim, heads=1, memory_dim=config.memory_dim)
        self.linear1 = nn.Linear(dim, config.memory_mlp_dim)
        self.linear2 = nn.Linear(config.memory_mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(
        self, image: Tensor, keys: Tensor, values: Tensor, rotary: AxialRotary, off_grid: int
    ) -> Tensor:
        return self.see(self.look_around(image, rotary), keys, values, rotary, off_grid)

    def look_around(self, image: Tensor, rotary: AxialRotary) -> Tensor:
        """Have the image attend to itself."""
        normed = self.norm1(image)
        around: Tensor = image + self.self_attn(normed, normed, normed, rotary)
        return around

    def see(
        self, image: Tensor, keys: Tensor, values: Tensor, rotary: AxialRotary, off_grid: int
    ) -> Tensor:
        """Have the image, which all objects may share up to here, attend to memories of each."""
        image = image.expand(len(keys), -1, -1)
        image = image + self.cross_attn_image(self.norm2(image), keys, values, rotary, off_grid)
        mixed: Tensor = image + self.linear2(F.relu(self.linear1(self.norm3(image))))
        return mixed


class MemoryAttention(nn.Module):
    """Condition the current frame's features on memories (SAM 2, section 4).

    Parameters
    ----------
    config : SAM2Config
        Widths and number of layers.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        grid = config.grid_size
        self.rotary = AxialRotary(config.d_model, grid, grid)
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(config) for _ in range(config.memory_layers)
        )
        self.norm = nn.LayerNorm(config.d_model)

    def forward(
        self,
        image: Tensor,
        positions: Tensor,
        memory: Tensor,
        memory_positions: Tensor,
        pointer_tokens: int,
    ) -> Tensor:
        """Attend to the memories of a batch of objects on one frame.

        Parameters
        ----------
        image : Tensor, shape (1 or B, H * W, C)
            Features of the frame; with 1, shared by all objects.
        positions : Tensor, shape (1, H * W, C)
        memory : Tensor, shape (B, frames * H * W + pointer_tokens, memory_dim)
            Spatial memories, then object pointers.
        memory_positions : Tensor, shape (1 or B, frames * H * W + pointer_tokens, memory_dim)
        pointer_tokens : int
            Tokens at the end of `memory` that have no place on the grid.

        Returns
        -------
        Tensor, shape (B, H * W, C)
        """
        image = image + 0.1 * positions
        keys = memory + memory_positions
        if len(memory) > 1 and on_cpu(image):
            return self._one_by_one(image, keys, memory, pointer_tokens)
        for layer in self.layers:
            image = layer(image, keys, memory, self.rotary, pointer_tokens)
        conditioned: Tensor = self.norm(image)
        return conditioned

    def _one_by_one(
        self, image: Tensor, keys: Tensor, values: Tensor, pointer_tokens: int
    ) -> Tensor:
        """Attend object by object, but for what they share: no CPU has cache for more at once."""
        first, *others = cast("list[MemoryAttentionLayer]", list(self.layers))
        shared = first.look_around(image, self.rotary).expand(len(keys), -1, -1)
        conditioned = torch.empty_like(shared)
        for i, into in enumerate(conditioned):
            own = slice(i, i + 1)
            one = first.see(shared[own], keys[own], values[own], self.rotary, pointer_tokens)
            for layer in others:
                one = layer(one, keys[own], values[own], self.rotary, pointer_tokens)
            into.copy_(self.norm(one)[0])
        return conditioned
