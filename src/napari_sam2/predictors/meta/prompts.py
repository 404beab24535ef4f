"""Prompts as Meta's predictors take them: (x, y), in arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, PADDING, TOP_LEFT
from napari_sam2.model.sam2 import PromptTensors


class MetasPrompts(NamedTuple):
    """What may be asked of one image, for one object or B of them at once."""

    point_coords: Any = None  #: (P, 2) or (B, P, 2), (x, y)
    point_labels: Any = None  #: (P,) or (B, P): 1 on the object, 0 off it
    box: Any = None  #: (4,) or (B, 4): x0, y0, x1, y1
    mask_input: Any = None  #: (1, h, w) or (B, 1, h, w), logits at low resolution


class Frame(NamedTuple):
    """The image that prompts are about, and the model's input that they are brought to."""

    shape: tuple[int, int] | None  #: (H, W); None: positions are parts of it, in [0, 1]
    size: int  #: edge of the model's input, in pixels
    device: torch.device


def to_input(points: Tensor, frame: Frame) -> Tensor:
    """Bring (x, y) to the model's input, as Meta does: scaled, without a shift by half a pixel.

    Parameters
    ----------
    points : Tensor, shape (..., 2), float32
    frame : Frame
    """
    if frame.shape is not None:
        points = points / points.new_tensor(frame.shape[::-1])
    return points * frame.size


def to_tensors(prompts: MetasPrompts, frame: Frame) -> PromptTensors:
    """Write prompts as the network reads them, boxes first.

    Returns
    -------
    PromptTensors
        Of B objects.

    Raises
    ------
    ValueError
        If shapes do not fit each other or the model, or numbers are not finite.
    """
    points, labels = _points(prompts, frame)
    box = _boxes(prompts.box, frame)
    mask = _mask(prompts.mask_input, frame)
    if box is not None:
        corners = torch.tensor([[TOP_LEFT, BOTTOM_RIGHT]], device=frame.device)
        corners = corners.expand(len(box), -1)
        if points is None or labels is None:
            points, labels = box, corners
        else:
            _check_objects(points=points, box=box)
            points = torch.cat((box, points), dim=1)
            labels = torch.cat((corners, labels), dim=1)
    if points is not None and mask is not None:
        if len(mask) == 1:
            mask = mask.expand(len(points), -1, -1, -1)
        _check_objects(points=points, mask_input=mask)
    return PromptTensors(points, labels, mask)


def of_one_object(prompts: MetasPrompts, frame: Frame) -> tuple[Tensor, Tensor]:
    """Write points and a box of a single object as the network reads them, the box first.

    Returns
    -------
    points : Tensor, shape (1, P, 2), float32
        (x, y) in the model's input.
    labels : Tensor, shape (1, P), int64

    Raises
    ------
    ValueError
        As `to_tensors`; if there are none, or they are of several objects.
    """
    if prompts.point_coords is None and prompts.point_labels is not None:
        raise ValueError("Expected point_coords with point_labels, got none: a label a point.")
    points, labels, _ = to_tensors(prompts, frame)
    if points is None or labels is None:
        raise ValueError("There is nothing to segment: give points, or a box.")
    if len(points) > 1:
        raise ValueError(f"Prompts are of one object at a time, got {len(points)}.")
    return points, labels


def _points(prompts: MetasPrompts, frame: Frame) -> tuple[Tensor | None, Tensor | None]:
    if prompts.point_coords is None:
        return None, None
    points = _numbers("point_coords", prompts.point_coords, frame)
    if prompts.point_labels is None:
        raise ValueError(
            "Expected point_labels with point_coords, got none: give one label a point, "
            "1 on the object, 0 off it."
        )
    labels = _numbers("point_labels", prompts.point_labels, frame)
    if points.ndim not in {2, 3} or points.shape[-1] != 2 or not len(points):
        raise ValueError(
            f"Expected point_coords of shape (P, 2), or (B, P, 2) for B objects, as (x, y), got "
            f"{tuple(points.shape)}. A single point is [[x, y]]; leave out what is empty."
        )
    if labels.shape != points.shape[:-1]:
        raise ValueError(
            f"Expected point_labels of shape {tuple(points.shape[:-1])}, one label a point, got "
            f"{tuple(labels.shape)}."
        )
    if not torch.isin(labels, torch.arange(PADDING, BOTTOM_RIGHT + 1, device=labels.device)).all():
        raise ValueError(
            f"Expected point_labels of 1 (on the object) and 0 (off it), got "
            f"{labels.unique().tolist()}."
        )
    points = to_input(points, frame)
    if points.ndim == 2:
        points, labels = points[None], labels[None]
    return points, labels.long()


def read_mask(mask: Any) -> np.ndarray:
    """Read the mask of an object, (H, W): anything but 0 is the object; give it as bool.

    Raises
    ------
    ValueError
        If it has other axes, or no pixels.
    """
    given: np.ndarray = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask) != 0
    if given.ndim != 2 or not given.size:
        raise ValueError(f"A mask is of shape (H, W); got shape {given.shape}.")
    return given


def _boxes(box: Any, frame: Frame) -> Tensor | None:  # -> (B, 2, 2)
    if box is None:
        return None
    boxes = _numbers("box", box, frame)
    if (boxes.shape[-1:] != (4,) and boxes.shape[-2:] != (2, 2)) or not boxes.numel():
        raise ValueError(
            "Expected a box [x0, y0, x1, y1], or boxes of shape (B, 4) for B objects, got shape "
            f"{tuple(boxes.shape)}. Leave box out where there is none."
        )
    return to_input(boxes.reshape(-1, 2, 2), frame)


def _mask(mask: Any, frame: Frame) -> Tensor | None:  # -> (B, 1, h, w)
    if mask is None:
        return None
    logits = _numbers("mask_input", mask, frame)
    low = frame.size // 4
    if logits.ndim not in {3, 4} or tuple(logits.shape[-3:]) != (1, low, low):
        raise ValueError(
            f"Expected mask_input of shape (1, {low}, {low}), or (B, 1, {low}, {low}) for B "
            f"objects, got {tuple(logits.shape)}. Give logits as predict returned them, its third "
            "result, and one of them: logits[best][None]."
        )
    return logits.view(-1, 1, low, low)


def _numbers(name: str, values: Any, frame: Frame) -> Tensor:
    try:
        array = values if isinstance(values, Tensor) else np.asarray(values, dtype=np.float32)
        numbers = torch.as_tensor(array, dtype=torch.float32, device=frame.device)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected {name} as an array of numbers: {error}.") from error
    if not numbers.isfinite().all():
        raise ValueError(f"Expected finite numbers in {name}, got NaN or infinity.")
    return numbers


def _check_objects(**prompts: Tensor) -> None:
    (one, first), (other, second) = prompts.items()
    if len(first) != len(second):
        raise ValueError(
            f"Expected as many objects in {one} as in {other}, got {len(first)} and {len(second)}."
            " Points for B objects have shape (B, P, 2), boxes (B, 4), masks (B, 1, h, w)."
        )
