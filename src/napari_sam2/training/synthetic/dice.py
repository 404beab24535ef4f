"""Random draws, all of them from one seeded source."""

from collections.abc import Sequence
from math import exp, log
from typing import TypeVar

import torch
from torch import Tensor

Choice = TypeVar("Choice")


class Dice:
    """Draws for one scene: few and small ones on the host, pixel noise on the device.

    Parameters
    ----------
    generator : torch.Generator
        Advanced by one draw; everything else follows from that draw, so that a scene costs
        the caller's generator the same whatever the scene holds.
    device : torch.device or str
        Where `noise` is made.
    """

    def __init__(self, generator: torch.Generator, device: torch.device | str = "cpu") -> None:
        seeds = torch.randint(2**62, (2,), generator=generator, device=generator.device).tolist()
        self.device = torch.device(device)
        self._host = torch.Generator().manual_seed(seeds[0])
        self._pixels = torch.Generator(self.device).manual_seed(seeds[1])

    def uniform(self, low: float, high: float) -> float:
        """Draw one number between `low` and `high`."""
        return low + (high - low) * float(torch.rand((), generator=self._host))

    def log_uniform(self, low: float, high: float) -> float:
        """Draw one number whose logarithm is uniform; `low` must be positive."""
        return exp(self.uniform(log(low), log(high)))

    def integer(self, low: int, high: int) -> int:
        """Draw one whole number from `low` to `high`, both included."""
        return int(torch.randint(low, high + 1, (), generator=self._host))

    def chance(self, probability: float) -> bool:
        """Draw true with the given probability."""
        return self.uniform(0, 1) < probability

    def pick(self, options: Sequence[Choice], weights: Sequence[float] | None = None) -> Choice:
        """Draw one of `options`, in proportion to `weights`."""
        if weights is None:
            return options[self.integer(0, len(options) - 1)]
        mark = self.uniform(0, sum(weights))
        for option, weight in zip(options, weights, strict=True):
            mark -= weight
            if mark < 0:
                return option
        return options[-1]

    def uniforms(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw a host tensor of numbers between `low` and `high`."""
        return low + (high - low) * torch.rand(shape, generator=self._host)

    def normals(self, *shape: int) -> Tensor:
        """Draw a host tensor of standard normal numbers."""
        return torch.randn(shape, generator=self._host)

    def noise(self, *shape: int) -> Tensor:
        """Draw a device tensor of standard normal numbers."""
        return torch.randn(shape, generator=self._pixels, device=self.device)
