"""What a careful user would do once: click the middle of an object, or draw its box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One annotated object of an image."""

    object_id: int
    region: tuple[slice, slice]  #: its bounding box
    mask: np.ndarray  #: (h, w), bool, inside `region`

    @property
    def area(self) -> int:
        """Size, in pixels."""
        return int(self.mask.sum())

    @property
    def click(self) -> tuple[float, float]:
        """The pixel farthest from the object's edge, (row, column)."""
        row, column = deepest(self.mask)
        return float(row + self.region[0].start), float(column + self.region[1].start)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The bounding box, (row0, column0, row1, column1), by its corner pixels' centres."""
        rows, columns = self.region
        return float(rows.start), float(columns.start), rows.stop - 1.0, columns.stop - 1.0

    def iou(self, found: np.ndarray) -> float:
        """Compare with a mask (H, W) of the whole image."""
        inside = int((found[self.region] & self.mask).sum())
        return inside / (self.area + int(found.sum()) - inside)


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """Give the pixel of a mask (H, W) that is farthest from its edge, (row, column)."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(row), int(column)


def find_targets(labels: np.ndarray, min_area: int = 1) -> list[Target]:
    """Give every object of an image of labels (H, W) with at least `min_area` pixels."""
    targets = []
    for number, region in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if region is not None:
            rows, columns = region
            target = Target(number, (rows, columns), labels[region] == number)
            if target.area >= min_area:
                targets.append(target)
    return targets
