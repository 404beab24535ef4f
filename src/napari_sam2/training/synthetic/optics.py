"""From light to stored pixels: blur, illumination, noise, contrast."""

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.textures import blur, smooth_noise


def quantile(image: Tensor, share: float) -> Tensor:
    """Give the value below which a share of the pixels lies, from a regular sample of them."""
    flat = image.flatten()
    return flat[:: max(1, flat.numel() // 20_000)].quantile(share)


def point_spread(dice: Dice, image: Tensor, limit: float) -> Tensor:
    """Blur as a lens does: usually a little, sometimes out of focus, drifting over frames.

    Parameters
    ----------
    dice : Dice
    image : Tensor, shape (T, C, H, W)
    limit : float
        Widest usual standard deviation, pixels.
    """
    widest = max(0.5, limit)
    sigma = min(dice.log_uniform(0.4, 2.5), widest)
    if dice.chance(0.12):
        sigma = min(dice.uniform(1.5, 6), 1.3 * widest)
    drift = dice.pick((0.0, 0.15), (2, 1))
    steps = (dice.normals(image.shape[0]) * drift).cumsum(0).clamp(-0.7, 0.7).exp().tolist()
    if drift == 0:
        return blur(image, sigma)
    return torch.stack(
        [blur(frame, sigma * step) for frame, step in zip(image, steps, strict=True)]
    )


def illuminate(dice: Dice, image: Tensor, strength: float) -> Tensor:
    """Multiply by uneven illumination: a vignette or a slope, at most `strength` deep."""
    height, width = image.shape[-2:]
    y = torch.linspace(-1, 1, height, device=image.device)[:, None] - dice.uniform(-0.6, 0.6)
    x = torch.linspace(-1, 1, width, device=image.device) - dice.uniform(-0.6, 0.6)
    vignette = torch.exp(-(y**2 + x**2) * dice.uniform(0.1, 0.8))
    slope = y * dice.uniform(-1, 1) + x * dice.uniform(-1, 1)
    wave = smooth_noise(dice, 1, (height, width), dice.uniform(0.4, 1.5) * max(height, width))[0]
    flicker = dice.normals(image.shape[0], 1, 1, 1) * dice.pick((0.0, dice.uniform(0, 0.08)))
    image = image * (1 + flicker.to(image.device)).clamp(min=0.5)
    depth = dice.uniform(0, strength)
    gain = 1 + depth * (vignette - 1 + 0.3 * slope + 0.25 * wave)
    return image * gain.clamp(min=0.15)


def expose(dice: Dice, image: Tensor, max_noise: float) -> Tensor:
    """Add photon and read-out noise, new in every frame, to a non-negative image.

    Parameters
    ----------
    dice : Dice
    image : Tensor, shape (T, C, H, W)
    max_noise : float
        Largest standard deviation, in parts of the image's own range.
    """
    low, high = quantile(image, 0.005), quantile(image, 0.998)
    span = (high - low).clamp(min=1e-4)
    level = dice.log_uniform(0.002, max_noise)
    photon = dice.uniform(0, 1)  # share of the noise that grows with brightness
    bright = ((image - low) / span).clamp(0, 1.5)
    sigma = level * span * torch.sqrt((1 - photon) ** 2 + photon * bright * 1.5)
    channels = image.shape[1] if image.shape[1] == 1 or dice.chance(0.6) else 1
    grain = dice.noise(image.shape[0], channels, *image.shape[-2:])
    if dice.chance(0.25):  # interpolated or compressed before: noise with a grain size
        width = dice.uniform(0.4, 0.9)
        grain = blur(grain, width) * (1 + 2.2 * width)
    noisy = image + sigma * grain
    if dice.chance(0.07):
        shape = dice.pick(((image.shape[-2], 1), (1, image.shape[-1])))
        noisy = noisy + span * dice.log_uniform(0.003, 0.03) * dice.noise(1, 1, *shape)
    if dice.chance(0.03):
        hot = dice.noise(*image.shape[-2:]) > 3
        noisy = torch.where(hot, torch.maximum(noisy, high), noisy)
    return noisy


def develop(dice: Dice, image: Tensor) -> Tensor:
    """Map to [0, 1] as a microscopist or a file format would, shape unchanged."""
    style = dice.pick(("percentile", "extremes", "dark", "narrow"), (6, 2, 0.9, 0.7))
    cut = dice.log_uniform(0.0005, 0.03) if style == "percentile" else 0.0
    low, high = quantile(image, cut), quantile(image, 1 - cut)
    scaled = (image - low) / (high - low).clamp(min=1e-4)
    if dice.chance(0.4):
        scaled = scaled.clamp(0, 1).pow(dice.log_uniform(0.55, 1.7))
    if style == "dark":
        scaled = scaled * dice.uniform(0.2, 0.7)
    elif style == "narrow":
        width = dice.uniform(0.12, 0.5)
        scaled = dice.uniform(0, 1 - width) + width * scaled
    return scaled.clamp(0, 1)


def lose_resolution(dice: Dice, image: Tensor, diameter: float) -> Tensor:
    """Sometimes sample more coarsely, store in eight bits, or compress in blocks.

    Parameters
    ----------
    dice : Dice
    image : Tensor, shape (T, C, H, W)
    diameter : float
        Typical object, pixels; it stays at least five coarse pixels wide.
    """
    largest = min(4.0, diameter / 6)
    if largest > 1.2 and dice.chance(0.3):
        factor = dice.uniform(1.2, largest)
        small = F.interpolate(image, scale_factor=1 / factor, mode="bilinear", antialias=True)
        mode = dice.pick(("bilinear", "bicubic", "nearest"), (3, 2, 1))
        image = F.interpolate(small, image.shape[-2:], mode=mode)
    if dice.chance(0.1):
        image = _block_compress(dice, image)
    if dice.chance(0.5):
        levels = dice.pick((255.0, 255.0, 63.0))
        image = (image * levels).round() / levels
    return image.clamp(0, 1)


def _block_compress(dice: Dice, image: Tensor) -> Tensor:
    """Round the cosine coefficients of 8 x 8 blocks, as JPEG does."""
    height, width = image.shape[-2:]
    padded = F.pad(image, (0, -width % 8, 0, -height % 8), mode="replicate")
    k = torch.arange(8, device=image.device)
    basis = torch.cos(torch.pi / 8 * (k + 0.5) * k[:, None]) / 2
    basis[0] /= 2**0.5
    blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)  # (T, C, rows, columns, 8, 8)
    step = dice.log_uniform(0.01, 0.08) * (1 + 0.5 * (k[:, None] + k))
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / step).round() * step) @ basis
    joined = blocks.permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)
    return joined[..., :height, :width]
