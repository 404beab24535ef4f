"""What is really in the sample, to compare with what is found."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sam2._sample_data import NUCLEI, NUCLEI_SEED
from napari_sam2.demo import make_time_lapse
from napari_sam2.evaluation.prompting import Target, find_targets

MARGIN = 6  #: pixels; between whole cells and the edge, and around them
MIN_AREA = 400  #: pixels


class Truth:
    """The cells of the time-lapse of nuclei."""

    def __init__(self) -> None:
        lapse = make_time_lapse(NUCLEI, NUCLEI_SEED)
        self.images, self.labels = lapse.images, lapse.labels

    def clearest(self, frame: int, count: int) -> list[Target]:
        """The cells of a frame that touch the fewest others, of those that are always there."""
        height, width = self.labels.shape[1:]
        always = set.intersection(*(set(np.unique(one)) for one in self.labels))

        def is_whole(cell: Target) -> bool:
            row0, column0, row1, column1 = cell.box
            return min(row0, column0, height - 1 - row1, width - 1 - column1) > MARGIN

        def crowd(cell: Target) -> float:
            own = self.labels[frame] == cell.object_id
            around = ndimage.binary_dilation(own, iterations=MARGIN) & ~own
            return float((self.labels[frame][around] > 0).mean())

        seen = find_targets(self.labels[frame], MIN_AREA)
        chosen = sorted(
            (one for one in seen if one.object_id in always and is_whole(one)), key=crowd
        )
        assert len(chosen) >= count
        return chosen[:count]

    def on(self, frame: int, cell: Target) -> Target:
        """A cell as it is on a frame."""
        seen = find_targets(self.labels[frame])
        return next(one for one in seen if one.object_id == cell.object_id)

    def beside(self, frame: int, cell: Target) -> tuple[float, float]:
        """A place of the background near a corner of a cell's box."""
        row0, column0, row1, column1 = cell.box
        corners = [(row, column) for row in (row0 - 4, row1 + 4) for column in (column0, column1)]
        empty = self.labels[frame] == 0
        return next(place for place in corners if empty[int(place[0]), int(place[1])])

    def mean_iou(self, cell: Target, found: np.ndarray) -> float:
        """How well a cell is found on the frames where it is; `found` is (T, Y, X)."""
        pairs = zip(found, self.labels == cell.object_id, strict=True)
        return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs if b.any()]))
