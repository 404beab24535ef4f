"""How a box moves: a Kalman filter of constant velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_sam2.predictors.windows import Extent

# Standard deviations as parts of the box's size, as trackers since DeepSORT have them.
POSITION_NOISE = 1 / 20  #: of a position or size, when it is measured and from frame to frame
VELOCITY_NOISE = 1 / 160  #: of its change, from frame to frame
FIRST_POSITION, FIRST_VELOCITY = 2, 10  #: times these, at the start

_STEP = np.array([[1.0, 1.0], [0.0, 1.0]])


@dataclass(frozen=True, slots=True, eq=False)
class BoxMotion:
    """Where a box is and how it moves: centre (row, column), height and width.

    The four are independent of each other. The state is that of SAMURAI (section 4.1), with
    velocities in pixels a frame.
    """

    mean: np.ndarray  #: (4, 2): each with its velocity
    covariance: np.ndarray  #: (4, 2, 2)

    @classmethod
    def begin(cls, box: Extent) -> BoxMotion:
        """Start with a box at rest."""
        measured = _measure(box)
        mean = np.stack((measured, np.zeros(4)), axis=1)
        return cls(mean, _noise(measured, FIRST_POSITION, FIRST_VELOCITY))

    def predict(self) -> BoxMotion:
        """Give what is expected on the next frame."""
        noise = _noise(self.mean[:, 0])
        return BoxMotion(self.mean @ _STEP.T, _STEP @ self.covariance @ _STEP.T + noise)

    def update(self, box: Extent) -> BoxMotion:
        """Give what is believed after the box was seen."""
        error = _measure(box) - self.mean[:, 0]
        variance = self.covariance[:, 0, 0] + _noise(self.mean[:, 0])[:, 0, 0]
        gain = self.covariance[:, :, 0] / variance[:, None]  # (4, 2)
        return BoxMotion(
            self.mean + gain * error[:, None],
            self.covariance - gain[:, :, None] * self.covariance[:, None, 0],
        )

    @property
    def box(self) -> Extent:
        """Where the box is; a pixel large at least."""
        row, column, height, width = self.mean[:, 0]
        half_height, half_width = (max(height, 1) - 1) / 2, (max(width, 1) - 1) / 2
        return Extent(
            row - half_height, column - half_width, row + half_height, column + half_width
        )


def box_iou(one: Extent, other: Extent) -> float:
    """Give the intersection over union of two boxes, in [0, 1]."""
    shared = Extent(
        max(one.row0, other.row0),
        max(one.column0, other.column0),
        min(one.row1, other.row1),
        min(one.column1, other.column1),
    )
    if shared.row1 + 1 <= shared.row0 or shared.column1 + 1 <= shared.column0:
        return 0.0
    return _area(shared) / (_area(one) + _area(other) - _area(shared))


def _area(box: Extent) -> float:
    _, _, height, width = _measure(box)
    return float(height * width)


def _measure(box: Extent) -> np.ndarray:
    """Give the centre (row, column), height and width of a box."""
    return np.array(
        (
            (box.row0 + box.row1) / 2,
            (box.column0 + box.column1) / 2,
            box.row1 - box.row0 + 1,
            box.column1 - box.column0 + 1,
        )
    )


def _noise(measured: np.ndarray, position: float = 1, velocity: float = 1) -> np.ndarray:
    """Give the variances of positions and velocities, (4, 2, 2), in proportion to the size."""
    size = np.maximum(measured[[2, 3, 2, 3]], 1)
    noise = np.zeros((4, 2, 2))
    noise[:, 0, 0] = (position * POSITION_NOISE * size) ** 2
    noise[:, 1, 1] = (velocity * VELOCITY_NOISE * size) ** 2
    return noise
