"""Between image pixels and the model's square input.

The only place, besides the faces of Meta's API, that turns (row, column) into (x, y).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_sam2.model.layers import resize_smoothly
from napari_sam2.model.mask_decoder import upsample
from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, NEGATIVE, POSITIVE, TOP_LEFT
from napari_sam2.model.sam2 import MASK_BIAS, MASK_SCALE
from napari_sam2.prompts import BoxPrompt, ObjectMask, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.predictors.windows import Window

#: Mean and standard deviation of ImageNet's red, green and blue, in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(images: Tensor) -> Tensor:
    """Give images the statistics that the network was trained on.

    Parameters
    ----------
    images : Tensor, shape (..., 3, H, W)
        uint8, or float in [0, 1].

    Returns
    -------
    Tensor, of the same shape, float32
        About -2.1 to 2.6.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def frame_to_pixels(frame: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Resize a frame to the model's input, without keeping the aspect ratio, and normalise it.

    Parameters
    ----------
    frame : np.ndarray, shape (H, W, 3), float32
        In [0, 1].
    size : int
        Edge of the model's input, in pixels.
    device : torch.device
        Where the resizing runs and the result lives.

    Returns
    -------
    Tensor, shape (1, 3, size, size), float32
    """
    pixels = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None]
    if pixels.shape[-2:] != (size, size):
        pixels = resize_smoothly(pixels, (size, size))
    return normalize(pixels)


def as_seen(frame: np.ndarray, size: int) -> np.ndarray:
    """Show a frame, or a window of one, as the network gets it.

    Parameters
    ----------
    frame : np.ndarray, shape (H, W, 3), float32
        In [0, 1].
    size : int
        Edge of the model's input, in pixels.

    Returns
    -------
    np.ndarray, shape (size, size, 3), uint8
    """
    pixels = frame_to_pixels(frame, size, torch.device("cpu"))
    mean, std = (pixels.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    shown = ((pixels[0] * std + mean) * 255).round().clamp(0, 255)
    seen: np.ndarray = shown.permute(1, 2, 0).to(torch.uint8).numpy()
    return np.ascontiguousarray(seen)


def to_model_points(
    positions: np.ndarray, window: Window, size: int, device: torch.device
) -> Tensor:
    """Turn image positions into the model's (x, y).

    Pixel centres stay pixel centres: a point in the middle of a pixel of the image goes to
    the middle of what that pixel becomes. (Meta's predictors scale the index instead, which
    moves points by up to half a pixel of the image.)

    Parameters
    ----------
    positions : np.ndarray, shape (..., 2)
        (row, column) in the image.
    window : Window
        The part of the image that the model sees.
    size : int
        Edge of the model's input, in pixels.

    Returns
    -------
    Tensor, shape (..., 2), float32
    """
    scale = size / np.asarray(window.shape, dtype=float)
    within = np.asarray(positions, dtype=float) - (window.row, window.column)
    inside = (within + 0.5) * scale - 0.5
    return torch.from_numpy(inside[..., ::-1].astype(np.float32)).to(device)


def encode_clicks(
    prompts: Sequence[PointPrompt | BoxPrompt],
    window: Window,
    size: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Write points and boxes of one object as the network reads them, boxes first.

    Returns
    -------
    points : Tensor, shape (1, P, 2), float32
        (x, y) in the model's input.
    labels : Tensor, shape (1, P), int64
    """
    positions: list[tuple[float, float]] = []
    labels: list[int] = []
    for box in (p for p in prompts if isinstance(p, BoxPrompt)):
        positions += [(box.row0, box.column0), (box.row1, box.column1)]
        labels += [TOP_LEFT, BOTTOM_RIGHT]
    for point in (p for p in prompts if isinstance(p, PointPrompt)):
        positions.append((point.row, point.column))
        labels.append(POSITIVE if point.positive else NEGATIVE)
    points = to_model_points(np.array(positions).reshape(-1, 2), window, size, device)
    return points[None], torch.tensor([labels], device=device)


def mask_to_input(mask: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Resize a mask to the model's input, as Meta's video predictor does.

    Parameters
    ----------
    mask : np.ndarray, shape (H, W), bool

    Returns
    -------
    Tensor, shape (1, 1, size, size), float32
        0 or 1.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(device)[None, None]
    if mask.shape != (size, size):
        resized = resize_smoothly(tensor, (size, size))
        tensor = (resized >= 0.5).float()
        if mask.any() and not tensor.any():
            # An object of less than a pixel of the input is there nonetheless.
            tensor = (resized == resized.max()).float()
    return tensor


def mask_to_logits(mask: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Write a mask as the low-resolution logits it might have come from.

    Returns
    -------
    Tensor, shape (1, 1, size / 4, size / 4), float32
        From -10 to 10.
    """
    logits = mask_to_input(mask, size, device) * MASK_SCALE + MASK_BIAS
    return resize_smoothly(logits, (size // 4, size // 4))


def cut_out(
    object_id: int, logits: Tensor, window: Window, iou: float, object_score: float
) -> ObjectMask:
    """Bring low-resolution logits to the frame, and keep the part that holds the object.

    Parameters
    ----------
    logits : Tensor, shape (h, w)
    window : Window
        The part of the frame that they cover.
    """
    full = upsample(logits[None, None], window.shape)[0, 0]
    inside = full > 0
    rows = inside.any(dim=1).nonzero()[:, 0].tolist()
    columns = inside.any(dim=0).nonzero()[:, 0].tolist()
    if not rows:
        empty = np.zeros((0, 0), dtype=np.float16)
        return ObjectMask(object_id, (0, 0), empty, iou, object_score)
    part = full[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # The smallest positive half is kept positive: the mask must not change by the rounding.
    smallest = float(np.finfo(np.float16).smallest_subnormal)
    half = torch.where(part > 0, part.clamp(min=smallest), part).half().cpu().numpy()
    origin = (window.row + rows[0], window.column + columns[0])
    return ObjectMask(object_id, origin, half, iou, object_score)
