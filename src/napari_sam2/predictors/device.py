"""Where to compute, and how precisely."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(name: str | None = None) -> torch.device:
    """Give the device of that name; without one, the fastest there is.

    Raises
    ------
    ValueError
        If the device is not available here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"The device {name!r} cannot be used here ({error}). Leave it out to choose for you."
        ) from error
    return device


def choose_precision(name: str | None, device: torch.device) -> torch.dtype:
    """Give the precision of that name; without one, exact but on CUDA, where halves are safe.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if name is None:
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision {name!r}; choose from {sorted(PRECISIONS)}.")
    return PRECISIONS[name]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Compute in a lower precision inside. Never hold it open across a ``yield``."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)
