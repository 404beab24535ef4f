"""Random views of images and their labels: crops, zooms, turns, and changes of light."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.training.draws import chance, uniform


def random_view(
    images: Tensor, labels: Tensor, size: int, zoom: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a square out of a sequence, turned and mirrored at random, the same in every frame.

    Parameters
    ----------
    images : Tensor, shape (T, 3, H, W), float32
    labels : Tensor, shape (T, H, W), integers
    size : int
        Edge of the result, in pixels.
    zoom : tuple of float
        Range of the enlargement; at 1 a pixel stays a pixel. Where the image is too small
        for the zoom drawn, all of it is shown.
    generator : torch.Generator

    Returns
    -------
    images : Tensor, shape (T, 3, size, size)
    labels : Tensor, shape (T, size, size)
    """
    height, width = labels.shape[-2:]
    factor = math.exp(uniform(math.log(zoom[0]), math.log(zoom[1]), generator))
    stretch = math.exp(uniform(-0.1, 0.1, generator))
    rows = min(height, max(8, round(size / factor * stretch)))
    columns = min(width, max(8, round(size / factor / stretch)))
    top = int(uniform(0, height - rows + 0.999, generator))
    left = int(uniform(0, width - columns + 0.999, generator))
    images = images[..., top : top + rows, left : left + columns]
    labels = labels[..., top : top + rows, left : left + columns]
    images = F.interpolate(
        images, (size, size), mode="bilinear", antialias=rows > size or columns > size
    )
    labels = F.interpolate(labels[:, None].float(), (size, size), mode="nearest-exact")[:, 0]
    turns = int(uniform(0, 3.999, generator))
    images, labels = images.rot90(turns, (-2, -1)), labels.rot90(turns, (-2, -1))
    if chance(0.5, generator):
        images, labels = images.flip(-1), labels.flip(-1)
    return images.contiguous(), labels.to(torch.int32).contiguous()


def _stretch(images: Tensor, generator: torch.Generator) -> Tensor:
    """Show images between contrast limits like a user's, the same for all frames."""
    values = images.flatten()[:: max(1, images.numel() // 50_000)]
    limits = torch.tensor([uniform(0, 0.02, generator), uniform(0.98, 1, generator)])
    low, high = values.quantile(limits.to(values.device)).tolist()
    stretched: Tensor = (images - low) / max(high - low, 1e-3)
    return stretched.clamp(0, 1)


def random_light(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change contrast, gamma and colour, blur and add noise; the same in every frame.

    Mostly the contrast is set as a user would, or `FrameSource` does: what the model is
    shown is rarely dim.

    Parameters
    ----------
    images : Tensor, shape (T, 3, H, W), float32
        In [0, 1].

    Returns
    -------
    Tensor, of the same shape and range
    """
    if chance(0.85, generator):
        images = _stretch(images, generator)
    if chance(0.5, generator):
        images = images ** math.exp(uniform(-0.6, 0.6, generator))
    if chance(0.3, generator):
        images = images * uniform(0.5, 1.3, generator) + uniform(-0.1, 0.2, generator)
    if chance(0.08, generator):
        images = 1 - images
    if chance(0.1, generator):  # one channel shown as grey
        images = images[:, int(uniform(0, 2.999, generator))][:, None].expand(-1, 3, -1, -1)
    if chance(0.2, generator):
        edge = 3 if chance(0.6, generator) else 5
        images = F.avg_pool2d(images, edge, 1, edge // 2, count_include_pad=False)
    if chance(0.3, generator):
        noise = torch.randn(images.shape[0], 1, *images.shape[2:], generator=generator)
        images = images + uniform(0.005, 0.08, generator) * noise.to(images.device)
    return images.clamp(0, 1)
