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
    """Give the precision of that name; without one, the fastest that is safe on the device.

    Halves where the device computes with them as they are, and never where they would be
    emulated: that is slower than single precision.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if name is None:
        if device.type == "cuda":
            ampere = torch.cuda.get_device_capability(device)[0] >= 8
            return torch.bfloat16 if ampere else torch.float16
        fast = device.type == "cpu" and has_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision {name!r}; choose from {sorted(PRECISIONS)}.")
    return PRECISIONS[name]


def has_bfloat16() -> bool:
    """Whether this computer's processor multiplies bfloat16 by itself."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Compute in a lower precision inside. Never hold it open across a ``yield``."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)
