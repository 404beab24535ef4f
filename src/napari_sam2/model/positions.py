"""Position encodings: sine over a grid, random Fourier features, and axial rotary."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

TEMPERATURE = 10_000.0


def _inverse_frequencies(count: int) -> Tensor:
    """Give wavelengths in pairs, one for the sine and one for the cosine; shape (count,)."""
    index = torch.arange(count, dtype=torch.float32)
    return TEMPERATURE ** (2 * (index // 2) / count)


def sine_grid(channels: int, height: int, width: int) -> Tensor:
    """Encode the position of every token of a grid.

    Rows fill the first half of the channels, columns the second; in each half sines and
    cosines alternate ("Attention is all you need", section 3.5, per axis). Meta's
    ``PositionEmbeddingSine`` with ``normalize=True``.

    Returns
    -------
    Tensor, shape (1, channels, height, width), float32
        Values in [-1, 1].
    """

    def axis(length: int) -> Tensor:  # (length, channels / 2)
        position = torch.arange(1, length + 1, dtype=torch.float32)
        angle = position / (length + 1e-6) * 2 * math.pi
        angle = angle[:, None] / _inverse_frequencies(channels // 2)
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)

    rows = axis(height)[:, None].expand(-1, width, -1)
    columns = axis(width)[None].expand(height, -1, -1)
    return torch.cat((rows, columns), dim=-1).permute(2, 0, 1)[None].contiguous()


def sine_line(positions: Tensor, channels: int) -> Tensor:
    """Encode scalar positions, sines first and cosines after; Meta's ``get_1d_sine_pe``.

    Parameters
    ----------
    positions : Tensor, shape (...)

    Returns
    -------
    Tensor, shape (..., channels)
    """
    angle = positions[..., None] / _inverse_frequencies(channels // 2).to(positions.device)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class RandomFourierPositions(nn.Module):
    """Encode points by random spatial frequencies, kept in the checkpoint.

    Segment Anything, appendix A ("Prompt encoder").
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, points: Tensor) -> Tensor:
        """Encode points.

        Parameters
        ----------
        points : Tensor, shape (..., 2)
            (x, y), from 0 to 1 across the image.

        Returns
        -------
        Tensor, shape (..., channels)
        """
        matrix = self.get_buffer("positional_encoding_gaussian_matrix")
        angle = 2 * math.pi * ((2 * points - 1) @ matrix)
        return torch.cat((angle.sin(), angle.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encode the centre of every token of a grid; shape (1, channels, height, width)."""
        device = self.get_buffer("positional_encoding_gaussian_matrix").device
        y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
        points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (H, W, 2)
        encoded: Tensor = self(points)
        return encoded.permute(2, 0, 1)[None]


class AxialRotary(nn.Module):
    """Rotate pairs of channels by an angle that grows with the column or the row.

    The first half of the pairs turns with the column, the second with the row
    (Heo et al. 2024, "Rotary position embedding for vision transformer"). Written in real
    numbers where Meta's ``apply_rotary_enc`` uses complex ones: the same to rounding, and
    it compiles and runs where complex tensors do not.

    Parameters
    ----------
    channels : int
        Channels of one attention head.
    height, width : int
        Extent of the grid, in tokens.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        frequency = TEMPERATURE ** -(torch.arange(0, channels, 4)[: channels // 4] / channels)
        token = torch.arange(height * width, dtype=torch.float32)
        column, row = token % width, token.div(width, rounding_mode="floor")
        angle = torch.cat((column.outer(frequency), row.outer(frequency)), dim=-1)
        self.register_buffer("cosine", angle.cos(), persistent=False)  # (H * W, channels / 2)
        self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate tokens of one or several grids, laid one after the other.

        Parameters
        ----------
        x : Tensor, shape (B, heads, grids * height * width, channels)
            Rotated in float32 whatever its type, as the published weights were trained.

        Returns
        -------
        Tensor, of the same shape and type
        """
        cosine, sine = self.get_buffer("cosine"), self.get_buffer("sine")
        pairs = x.float().unflatten(-1, (-1, 2)).unflatten(2, (-1, cosine.shape[0]))
        real, imaginary = pairs.unbind(-1)  # (B, heads, grids, H * W, channels / 2)
        rotated = torch.stack(
            (real * cosine - imaginary * sine, real * sine + imaginary * cosine), dim=-1
        )
        return rotated.flatten(-2).flatten(2, 3).to(x.dtype)
