"""Numbers of objects: none is given twice, nor one that is in the labels already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_sam2.results.labels import StackLabels


LARGER = ("uint16", "int32")  #: types of labels that programs know, to be advised


@dataclass(slots=True)
class Numbers:
    """The highest number that an object ever had, in all sessions that share labels."""

    highest: int = 0
    #: Whether what was in the labels before is below it; they are read through once for that.
    is_past_labels: bool = False
    #: Planes that a hand has written to since, as one of the sessions counts them.
    painted: set[tuple[StackLabels, int]] = field(default_factory=set)

    def next(self, labels: StackLabels) -> int:
        """Give the first number that was never used, and is not in the labels."""
        if not self.is_past_labels:
            self.highest = max(self.highest, labels.highest())
            self.is_past_labels = True
        return self.settled() + 1

    def settled(self) -> int:
        """Give the highest number, of what was painted, too."""
        for labels, plane in list(self.painted):
            self.highest = max(self.highest, labels.highest([plane]))
            self.painted.discard((labels, plane))
        return self.highest

    def take_over(self, earlier: Numbers) -> None:
        """Give none that was given by others."""
        self.highest = max(self.highest, earlier.highest)
        self.is_past_labels |= earlier.is_past_labels
        self.painted |= earlier.painted


def check_room(labels: StackLabels, object_id: int) -> None:
    """Refuse a number that labels cannot hold.

    Raises
    ------
    ValueError
        The message says what to give instead.
    """
    if object_id < 1:
        raise ValueError(
            f"Objects are numbered from 1, where 0 is the background; got {object_id}."
        )
    if object_id > labels.largest_id:
        larger = " or ".join(name for name in LARGER if object_id <= np.iinfo(name).max)
        raise ValueError(
            f"Labels of type {labels.array.dtype} have no room for object {object_id}: they hold "
            f"numbers up to {labels.largest_id}. Give labels of type {larger or 'int64'}."
        )
