"""Images as Meta's predictors take them: arrays and Pillow images in colour."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

#: Modes of Pillow that hold up to 8 bits a channel.
_EIGHT_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}

ROUNDING = 1e-3  #: by which a float image may leave [0, 1] before it is warned of


def read_picture(image: Any) -> np.ndarray:
    """Give an image as the model reads it, before it is resized.

    Parameters
    ----------
    image : np.ndarray or PIL.Image.Image
        (H, W, 3), uint8, or float in [0, 1]. Besides, which Meta's does not take: grey images
        (H, W) or (H, W, 1), and RGBA, of which the fourth channel is dropped.

    Returns
    -------
    np.ndarray, shape (H, W, 3), float32
        In [0, 1].

    Raises
    ------
    ValueError
        If it is none of these.
    """
    pixels = _pixels(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or 0 in pixels.shape or pixels.shape[2] not in {1, 3, 4}:
        raise ValueError(
            f"Expected an image of shape (H, W, 3), or grey (H, W), got {pixels.shape}. "
            + _advice(pixels.shape)
        )
    pixels = np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3))
    if pixels.dtype == np.uint8:
        return np.array(pixels, dtype=np.float32, order="C") / 255
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"Expected uint8 in [0, 255] or float in [0, 1], got {pixels.dtype}. Scale the image "
            "to what should be black and white: ((image - black) / (white - black)).clip(0, 1)."
        )
    return _checked(np.array(pixels, dtype=np.float32, order="C"))


def _pixels(image: Any) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return image
    if not (hasattr(image, "mode") and hasattr(image, "convert")):  # not a Pillow image
        raise ValueError(
            f"Expected a numpy array or a Pillow image, got {type(image).__name__}. "
            "Convert it first: numpy.asarray(image)."
        )
    if image.mode not in _EIGHT_BITS:
        raise ValueError(
            f"Expected a Pillow image of 8 bits a channel, got mode {image.mode!r}. Scale it to "
            "[0, 1] as a numpy array: ((image - black) / (white - black)).clip(0, 1)."
        )
    return np.asarray(image.convert("RGB"))


def _checked(pixels: np.ndarray) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite((low, high)).all():
        raise ValueError(
            "Expected finite pixels, got NaN or infinity. Replace them: numpy.nan_to_num(image)."
        )
    if low < -ROUNDING or high > 1 + ROUNDING:
        warnings.warn(
            f"Expected a float image in [0, 1], got {low:.4g} to {high:.4g}: the model sees it "
            "as it is, as Meta's does. Divide by 255, or give uint8.",
            stacklevel=4,
        )
    return pixels


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in {1, 3, 4}:
        return "Channels go last: numpy.moveaxis(image, 0, -1)."
    if len(shape) > 3:
        return "Give one image at a time, or a list of them to set_image_batch."
    return "Choose one or three of its channels."
