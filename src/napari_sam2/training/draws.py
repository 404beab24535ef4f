"""Chance, from one seeded generator.

Everything is drawn on the host and moved to where it is used: a generator of one device cannot
draw for another, and the same seed gives the same numbers whatever the model runs on.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """Draw one number between `low` and `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def chance(probability: float, generator: torch.Generator) -> bool:
    """Draw true with the given probability."""
    return uniform(0, 1, generator) < probability


def below(limit: int, generator: torch.Generator) -> int:
    """Draw one whole number from 0 up to but not including `limit`."""
    return int(torch.randint(limit, (), generator=generator))


def uniforms(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw numbers between 0 and 1, of the given shape, on the device of `like`."""
    return torch.rand(shape, generator=generator).to(like.device)
