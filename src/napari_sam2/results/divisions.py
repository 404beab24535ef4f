"""Objects that divide: one mask that falls into two of like size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam2.prompts import MaskPrompt

if TYPE_CHECKING:
    from napari_sam2.prompts import FrameMasks, ObjectMask

TOUCHING = np.ones((3, 3))  #: pixels that share a corner belong together


@dataclass(frozen=True, kw_only=True)
class DivisionRule:
    """When an object counts as divided: its mask is in two parts, and each of these holds."""

    likeness: float = 0.5  #: area of the smaller part over that of the larger one, at least
    share: float = 0.9  #: of the mask's pixels in these two parts, at least
    least_area: int = 16  #: pixels of the smaller part, at least
    #: Area of both over that of the mask when it was last whole, at most: a mask that takes in a
    #: neighbour as well doubles.
    growth: float = 1.5
    frames: int = 2  #: in a row on which it is so; the daughters begin on the last of them

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"A division is seen on one frame or more; got {self.frames}.")

    def parts(self, mask: ObjectMask) -> list[np.ndarray]:
        """Give the two parts of a mask, the larger first, or none where it is whole.

        They are bool and have the shape of `mask.logits`.
        """
        numbered, count = ndimage.label(mask.logits > 0, structure=TOUCHING)
        if count < 2:
            return []
        areas = np.bincount(numbered.ravel())
        areas[0] = 0
        larger, smaller = np.argsort(-areas, kind="stable")[:2].tolist()
        alike = areas[smaller] >= max(self.least_area, self.likeness * areas[larger])
        if not alike or areas[larger] + areas[smaller] < self.share * areas.sum():
            return []
        return [numbered == larger, numbered == smaller]


class DivisionWatch:
    """Watches objects forward in time for those that divide.

    Parameters
    ----------
    rule : DivisionRule
    """

    def __init__(self, rule: DivisionRule) -> None:
        self.rule = rule
        self._in_parts: Counter[int] = Counter()  #: frames in a row, by object
        self._whole: dict[int, int] = {}  #: area when it was last whole, by object

    def see(self, masks: FrameMasks) -> dict[int, list[MaskPrompt]]:
        """Look at the next frame; give the daughters' masks of each object that has divided."""
        divided = {}
        for one in masks.objects:
            parts = self.rule.parts(one)
            if not parts and one.area:
                self._whole[one.object_id] = one.area
            # What never was whole, as a mask that was given in parts, does not divide.
            largest = self.rule.growth * self._whole.get(one.object_id, 0)
            if not parts or sum(int(part.sum()) for part in parts) > largest:
                self._in_parts.pop(one.object_id, None)
                continue
            self._in_parts[one.object_id] += 1
            if self._in_parts[one.object_id] >= self.rule.frames:
                divided[one.object_id] = [
                    MaskPrompt(masks.frame, part, one.origin, masks.shape) for part in parts
                ]
        return divided
