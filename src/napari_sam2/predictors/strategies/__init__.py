"""Ways to choose what of a tracked object is remembered, by name.

SAM 2's own rule takes the mask with the highest predicted IoU on every frame, and attends to
the latest frames whatever is on them. The others are drop-in choices from the literature, for
the same weights: see `napari_sam2.predictors.strategies.strategy.Strategy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from napari_sam2.predictors.strategies.latest import LatestFrames
from napari_sam2.predictors.strategies.motion import MotionAware
from napari_sam2.predictors.strategies.tree import MemoryTree

if TYPE_CHECKING:
    from napari_sam2.predictors.strategies.strategy import Strategy

StrategyName = Literal["sam2", "sam2long", "samurai"]

_STRATEGIES: dict[StrategyName, type[Strategy]] = {
    "sam2": LatestFrames,
    "sam2long": MemoryTree,
    "samurai": MotionAware,
}


def find_strategy(name: StrategyName) -> Strategy:
    """Give a strategy by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in _STRATEGIES:
        raise ValueError(f"There is no strategy {name!r}: choose from {get_args(StrategyName)}.")
    return _STRATEGIES[name]()
