"""What a training run tells of itself."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.training.steps import StepResult

SMOOTHING = 0.98  #: of the numbers, a step


class TrainingLog:
    """Smoothed numbers, shown in the bar and written to a CSV file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, float] = {}

    def add(self, result: StepResult) -> None:
        """Take in the numbers of one step."""
        for key, value in {"loss": float(result.loss.detach()), **result.metrics}.items():
            last = self._values.get(key, value)
            self._values[key] = SMOOTHING * last + (1 - SMOOTHING) * value

    def shown(self) -> dict[str, str]:
        """Give the numbers as text, by name."""
        return {key: f"{value:.3f}" for key, value in self._values.items()}

    def write(self, stage: str, step: int, seconds: float, non_finite: int) -> None:
        """Add a line to the file."""
        numbers = [f"{key}={value}" for key, value in self.shown().items()]
        if non_finite:
            numbers.append(f"non-finite={non_finite}")
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([stage, step, round(seconds), *numbers])
