"""Memory that is free, given back to whom it came from."""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def trim() -> None:
    """Give memory of the process that is free back to the system, where that is possible.

    Tensors of a frame lie between those that are kept for longer. The C library of Linux keeps
    the gaps, and a process that needs no more than before takes a little more with every
    hundred frames.
    """
    if give_back := _malloc_trim():
        give_back(0)


def free(device: torch.device) -> None:
    """Give all memory that is no longer used back to a device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    else:
        trim()


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # other systems have no such function
        return None
    return found
