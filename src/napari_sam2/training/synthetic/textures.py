"""Noise fields, blurring, and textures that can be looked up anywhere."""

from functools import lru_cache
from math import ceil, exp, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice

ATLAS_SIZE = 256  #: edge of a texture tile, pixels


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur the last two axes with a Gaussian.

    Parameters
    ----------
    image : Tensor, shape (..., H, W), float32
    sigma : float
        Standard deviation, pixels. Wide ones are computed on a smaller grid.
    """
    if sigma < 0.2:
        return image
    flat = image.reshape(-1, 1, *image.shape[-2:])
    factor = 1
    while sigma / factor > 5 and min(flat.shape[-2:]) // factor > 16:
        factor *= 2
    if factor > 1:
        height, width = flat.shape[-2:]
        whole = F.pad(flat, (0, -width % factor, 0, -height % factor), mode="replicate")
        small = F.avg_pool2d(whole, factor)
        # pooling and linear interpolation blur too: about factor**2 / 4 together
        rest = max(sigma**2 - factor**2 / 4, 0.1) ** 0.5
        fine = F.interpolate(_convolve(small, rest / factor), whole.shape[-2:], mode="bilinear")
        flat = fine[..., :height, :width]
    else:
        flat = _convolve(flat, sigma)
    return flat.reshape(image.shape)


def _convolve(image: Tensor, sigma: float) -> Tensor:  # (B, 1, H, W) -> same
    height, width = image.shape[-2:]
    radius = min(max(1, ceil(2.6 * sigma)), min(height, width) - 1)
    weights = [exp(-0.5 * (x / sigma) ** 2) for x in range(-radius, radius + 1)]
    weights = [weight / sum(weights) for weight in weights]
    padded = F.pad(image, (radius,) * 4, mode="reflect")
    # shifted sums: on a CPU many times faster than conv2d with one channel and several frames
    rows = padded[..., :width] * weights[0]
    for shift, weight in enumerate(weights[1:], 1):
        rows.add_(padded[..., shift : shift + width], alpha=weight)
    columns = rows[..., :height, :] * weights[0]
    for shift, weight in enumerate(weights[1:], 1):
        columns.add_(rows[..., shift : shift + height, :], alpha=weight)
    return columns


@lru_cache(maxsize=16)
def _frequencies(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.rfftfreq(width, device=device)[None, :]
    return fy, fx


def standardise(field: Tensor) -> Tensor:
    """Shift and scale to mean 0 and standard deviation 1."""
    return (field - field.mean()) / (field.std() + 1e-6)


def power_noise(dice: Dice, size: tuple[int, int], exponent: float, longest: float) -> Tensor:
    """Make periodic noise with a power-law spectrum.

    Parameters
    ----------
    dice : Dice
    size : tuple of int
        (H, W), pixels.
    exponent : float
        Amplitude falls with frequency to this power: 0 is white, 1 cloudy, 2 smooth.
    longest : float
        Wavelength in pixels above which the spectrum is flat.

    Returns
    -------
    Tensor, shape (H, W)
        Mean 0, standard deviation 1.
    """
    fy, fx = _frequencies(*size, dice.device)
    radius = (fy**2 + fx**2 + (1 / longest) ** 2).sqrt()
    spectrum = torch.fft.rfft2(dice.noise(*size)) * radius.pow(-exponent)
    return standardise(torch.fft.irfft2(spectrum, s=size))


def band_noise(
    dice: Dice,
    size: tuple[int, int],
    wavelength: float,
    *,
    width: float = 0.35,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Tensor:
    """Make periodic noise around one wavelength.

    Parameters
    ----------
    dice : Dice
    size : tuple of int
        (H, W), pixels.
    wavelength : float
        Pixels per period.
    width : float
        Spread of the logarithm of the frequency.
    stretch : float
        How much longer structures are along `angle` than across.
    angle : float
        Direction of the stretch, radians from the x axis.

    Returns
    -------
    Tensor, shape (H, W)
        Mean 0, standard deviation 1.
    """
    fy, fx = _frequencies(*size, dice.device)
    turn = torch.tensor(angle)
    cos, sin = float(turn.cos()), float(turn.sin())
    along, across = fx * cos + fy * sin, fy * cos - fx * sin
    radius = ((along * stretch) ** 2 + across**2).sqrt().clamp(min=1e-4)
    gain = torch.exp(-0.5 * ((radius * wavelength).log() / width) ** 2)
    spectrum = torch.fft.rfft2(dice.noise(*size)) * gain
    return standardise(torch.fft.irfft2(spectrum, s=size))


def smooth_noise(dice: Dice, count: int, size: tuple[int, int], wavelength: float) -> Tensor:
    """Make `count` slowly varying fields, shape (count, H, W), standard deviation about 1."""
    grid = [max(2, round(edge / wavelength * 2) + 1) for edge in size]
    coarse = dice.noise(count, 1, *grid)
    fine = F.interpolate(coarse, size, mode="bicubic", align_corners=True)
    return fine[:, 0] * 1.3


def random_texture(dice: Dice, scale: float, *, calm: bool = True) -> Tensor:
    """Draw a texture of random character: clouds, grain, granules, threads or patches.

    Parameters
    ----------
    dice : Dice
    scale : float
        Size of the largest structures, pixels.
    calm : bool
        Leave out threads, patches and stretched structures, which cells rarely show.

    Returns
    -------
    Tensor, shape (ATLAS_SIZE, ATLAS_SIZE)
        Periodic; mean 0, standard deviation 1.
    """
    size = (ATLAS_SIZE, ATLAS_SIZE)
    weights = (4, 3, 2, 0, 0) if calm else (3, 2, 2, 2, 2)
    kind = dice.pick(("cloud", "grain", "granules", "threads", "patches"), weights)
    if kind == "cloud":
        return power_noise(dice, size, dice.uniform(0.8, 2.2), max(scale, 3.0))
    wavelength = max(2.2, scale * dice.uniform(0.25, 1.0))
    stretch = 1.0 if calm else dice.pick((1.0, dice.uniform(1.5, 4)), (2, 1))
    field = band_noise(
        dice,
        size,
        wavelength,
        width=dice.uniform(0.2, 0.6),
        stretch=stretch,
        angle=dice.uniform(0, pi),
    )
    if kind == "granules":
        field = torch.relu(field - dice.uniform(0.5, 1.5))
    elif kind == "threads":
        field = torch.exp(-field.abs() * dice.uniform(2, 5))
    elif kind == "patches":
        field = torch.tanh(field * dice.uniform(2, 6))
    return standardise(field).clamp(-3.5, 5)


def look_up(atlas: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read periodic textures at any position, interpolating linearly.

    Parameters
    ----------
    atlas : Tensor, shape (C, S, S)
    rows, columns : Tensor, shape (...)
        Pixels; wrapped around.

    Returns
    -------
    Tensor, shape (C, ...)
    """
    edge = atlas.shape[-1]
    tile = F.pad(atlas[None], (0, 1, 0, 1), mode="circular")
    grid = torch.stack((columns, rows), dim=-1).remainder(edge).mul_(2 / edge).sub_(1)
    values = F.grid_sample(tile, grid.reshape(1, 1, -1, 2), align_corners=True)
    return values.reshape(-1, *rows.shape)
