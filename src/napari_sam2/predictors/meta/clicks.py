"""Points and boxes as Meta's API takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, TOP_LEFT


def read_clicks(points: Any, labels: Any, box: Any) -> tuple[Tensor, Tensor]:
    """Bring points and a box of one object into the network's order: the box's corners first.

    Parameters
    ----------
    points : array-like, shape (P, 2), or None
        (x, y).
    labels : array-like, shape (P,), or None
        1 on the object, 0 beside it.
    box : array-like, shape (4,), or None
        (x0, y0, x1, y1).

    Returns
    -------
    points : Tensor, shape (1, P + 2 or P, 2), float32
    labels : Tensor, shape (1, P + 2 or P), int32

    Raises
    ------
    ValueError
        If they do not go together, or say nothing.
    """
    if (points is None) != (labels is None):
        raise ValueError("Points and labels must be provided together.")
    if points is None and box is None:
        raise ValueError("There is nothing to segment: give points, or a box.")
    positions = torch.zeros(0, 2) if points is None else _tensor(points, torch.float32).cpu()
    signs = torch.zeros(0, dtype=torch.int32)
    signs = signs if labels is None else _tensor(labels, torch.int32).cpu()
    positions, signs = positions.reshape(-1, positions.shape[-1]), signs.reshape(-1)
    if positions.shape[-1] != 2 or len(positions) != len(signs):
        raise ValueError(
            f"Points are of shape (P, 2) with P labels; got shapes {np.shape(points)} and "
            f"{np.shape(labels)}."
        )
    if box is not None:
        corners = _tensor(box, torch.float32).cpu()
        if corners.numel() != 4:
            raise ValueError(f"A box is (x0, y0, x1, y1); got shape {tuple(corners.shape)}.")
        positions = torch.cat([corners.reshape(2, 2), positions])
        signs = torch.cat([torch.tensor([TOP_LEFT, BOTTOM_RIGHT], dtype=torch.int32), signs])
    return positions[None], signs[None]


def _tensor(values: Any, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values).to(
        dtype
    )
