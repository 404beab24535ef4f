"""Small layers that several parts of the network share."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.attention import on_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Tokens of a strip: few enough that what a block makes of them (some 4 kB each) stays in a CPU's
#: cache, and enough that products run at full speed and weights are seldom turned into halves.
STRIP_TOKENS = 8192


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> same
        x = x.movedim(1, -1)
        x = F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)


class MLP(nn.Module):
    """Linear layers with an activation between them.

    Parameters
    ----------
    dims : sequence of int
        Channels at the input, between the layers, and at the output.
    activation : callable
        Applied after every layer but the last.
    """

    def __init__(
        self, *dims: int, activation: Callable[[Tensor], Tensor] = torch.nn.functional.relu
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(dims))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:  # (..., dims[0]) -> (..., dims[-1])
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        output: Tensor = last(x)
        return output


def resize_smoothly(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps linearly, averaging where they shrink.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    size : tuple of int
        (H, W) of the result.
    """
    # Not every Mac's GPU can average; the CPU can.
    device = torch.device("cpu") if x.device.type == "mps" else x.device
    resized = F.interpolate(
        x.to(device), size, mode="bilinear", align_corners=False, antialias=True
    )
    return resized.to(x.device)


def in_strips(x: Tensor, height: int) -> Sequence[Tensor]:
    """Cut a map into strips that a CPU holds in its cache while it works on them.

    Elsewhere, while training, and where torch compiles, the map stays whole.

    Parameters
    ----------
    x : Tensor, shape (B, H, W, C)
    height : int
        In tokens; strips are a multiple of it, but for the last.

    Returns
    -------
    sequence of Tensor, shape (B, h, W, C)
    """
    if not on_cpu(x):
        return (x,)
    rows = STRIP_TOKENS // (len(x) * x.shape[2] * height) * height
    strips: Sequence[Tensor] = x.split(max(rows, height), dim=1)
    return strips


def joined(strips: Sequence[Tensor]) -> Tensor:
    """Put strips (B, h, W, C) under each other."""
    return strips[0] if len(strips) == 1 else torch.cat(list(strips), dim=1)


def to_windows(x: Tensor, size: int) -> Tensor:
    """Cut a map into square windows, padded with zeros where it does not divide.

    Padded tokens are not masked in the attention that follows: the published weights
    were trained with them.

    Parameters
    ----------
    x : Tensor, shape (B, H, W, C)
    size : int
        Edge of a window, in tokens.

    Returns
    -------
    Tensor, shape (B * windows, size, size, C)
    """
    batch, height, width, channels = x.shape
    below, right = -height % size, -width % size
    if below or right:
        x = F.pad(x, (0, 0, 0, right, 0, below))
    rows, columns = (height + below) // size, (width + right) // size
    x = x.view(batch, rows, size, columns, size, channels)
    return x.transpose(2, 3).reshape(-1, size, size, channels)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Put windows back into a map and drop the padding: the inverse of `to_windows`.

    Parameters
    ----------
    windows : Tensor, shape (B * windows, size, size, C)
    height, width : int
        Extent of the map, in tokens, without padding.

    Returns
    -------
    Tensor, shape (B, height, width, C)
    """
    size, channels = windows.shape[1], windows.shape[-1]
    rows, columns = -(-height // size), -(-width // size)
    x = windows.view(-1, rows, columns, size, size, channels).transpose(2, 3)
    x = x.reshape(-1, rows * size, columns * size, channels)
    return x[:, :height, :width]
