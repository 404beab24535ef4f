"""Where to compute, and how precisely."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Precision(NamedTuple):
    """How precisely each part of the network computes."""

    frames: torch.dtype  #: the image encoder, and the decoder of masks
    memories: torch.dtype  #: attention to memories, most of the work of a tracked frame

    @classmethod
    def of(cls, precision: torch.dtype | Precision) -> Precision:
        """Give a precision; one of torch's is that of every part."""
        return precision if isinstance(precision, Precision) else cls(precision, precision)


#: What each is called. In "mixed", frames are seen exactly, and masks of prompts are exact; only
#: what is followed is rounded, where memories, which are kept in bfloat16 anyhow, are attended to.
PRECISIONS = {
    "float32": Precision.of(torch.float32),
    "mixed": Precision(torch.float32, torch.bfloat16),
    "bfloat16": Precision.of(torch.bfloat16),
    "float16": Precision.of(torch.float16),
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


def choose_precision(name: str | None, device: torch.device) -> Precision:
    """Give the precision of that name; without one, exact but on CUDA, where halves are safe.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if name is None:
        if device.type != "cuda":
            return PRECISIONS["float32"]
        is_recent = torch.cuda.get_device_capability(device)[0] >= 8
        return PRECISIONS["bfloat16" if is_recent else "float16"]
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision {name!r}; choose from {list(PRECISIONS)}.")
    return PRECISIONS[name]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Compute in a lower precision inside. Never hold it open across a ``yield``."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)
