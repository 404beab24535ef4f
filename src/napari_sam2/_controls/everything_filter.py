"""Which of the objects that were found count: sliders whose effect is seen at once."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QRangeSlider

from napari_sam2._controls.forms import Form
from napari_sam2.automatic import Selection

STEPS = 400  #: of the slider of sizes, whose scale is logarithmic


class EverythingFilter(QWidget):
    """Sliders for size and scores, how many objects they leave, and what to do with these."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._areas = (1.0, 1.0)
        self.sizes: Any = QRangeSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]
        self.sizes.setRange(0, STEPS)
        self.sizes.setValue((0, STEPS))
        self.sizes.setToolTip("Objects of these sizes count, in pixels. At its ends, all do.")
        self.iou = _percent_slider("What the model thinks of a mask; higher keeps surer ones.")
        self.stability = _percent_slider(
            "How little a mask depends on where it is cut off: higher keeps sharper ones."
        )
        self.overlap = _percent_slider(
            "How much of an object better ones may cover. At 0 %, none that overlap are kept."
        )
        self._texts = {
            slider: QLabel() for slider in (self.sizes, self.iou, self.stability, self.overlap)
        }
        self.count = QLabel()
        self.labels_button = QPushButton("To labels")
        self.labels_button.setToolTip("Copy the objects to a Labels layer that stays as it is")
        self.track_button = QPushButton("Track all of these")
        self.track_button.setToolTip(
            "Open these objects of this frame in the SAM 2 dock, to follow and correct them"
        )
        self._lay_out()
        for slider in self._texts:
            slider.valueChanged.connect(self._tell)
        self.use(Selection())
        self.show_count(0, 0)

    def selection(self) -> Selection:
        """Read what counts."""
        low, high = self.sizes.value()
        return Selection(
            min_iou=self.iou.value() / 100,
            min_stability=self.stability.value() / 100,
            min_area=0 if low == 0 else self._area(low),
            max_area=math.inf if high == STEPS else self._area(high),
            max_overlap=self.overlap.value() / 100,
        )

    def use(self, selection: Selection) -> None:
        """Show the thresholds of a selection; sizes stay as they are."""
        for slider, value in (
            (self.iou, selection.min_iou),
            (self.stability, selection.min_stability),
            (self.overlap, selection.max_overlap),
        ):
            slider.setValue(round(100 * value))
        self._tell()

    def choose(self, selection: Selection) -> None:
        """Choose all of what counts, sizes included."""
        low, high = max(selection.min_area, 1.0), selection.max_area
        # Wide enough that neither is an end, where all sizes count.
        least = low / 2 if selection.min_area > 0 else self._areas[0]
        most = 2 * max(high, low) if math.isfinite(high) else max(self._areas[1], 4 * low)
        self._areas = min(self._areas[0], least), max(self._areas[1], most)
        places = (
            0 if selection.min_area <= 0 else self._place(low),
            STEPS if math.isinf(high) else self._place(high),
        )
        self.sizes.blockSignals(True)
        self.sizes.setValue(places)
        self.sizes.blockSignals(False)
        self.use(selection)

    def offer_areas(self, smallest: float, largest: float) -> None:
        """Let the slider reach over these sizes; what was chosen stays, as far as it can."""
        if (smallest, largest) == self._areas or smallest > largest:
            return
        low, high = self.sizes.value()
        chosen = [self._area(low), self._area(high)]
        self._areas = (max(smallest, 1.0), max(largest, 2 * smallest, 2.0))
        self.sizes.blockSignals(True)
        self.sizes.setValue(
            (
                0 if low == 0 else self._place(chosen[0]),
                STEPS if high == STEPS else self._place(chosen[1]),
            )
        )
        self.sizes.blockSignals(False)
        self._describe()

    def show_count(self, count: int, total: int) -> None:
        """Say how many objects count on the frame that is shown."""
        self.count.setText(f"{count} of {total} found on this frame" if total else "")
        self.labels_button.setEnabled(count > 0)
        self.track_button.setEnabled(count > 0)

    def _tell(self, value: object = None) -> None:
        self._describe()
        self.changed.emit()

    def _describe(self) -> None:
        low, high = self.sizes.value()
        self._texts[self.sizes].setText(f"{_short(self._area(low))}-{_short(self._area(high))} px")
        for slider in (self.iou, self.stability):
            self._texts[slider].setText(f"≥ {slider.value() / 100:.2f}")
        self._texts[self.overlap].setText(f"≤ {self.overlap.value()} %")

    def _area(self, place: float) -> float:
        smallest, largest = self._areas
        return float(smallest * (largest / smallest) ** (place / STEPS))

    def _place(self, area: float) -> int:
        smallest, largest = self._areas
        place = STEPS * math.log(area / smallest) / math.log(largest / smallest)
        return round(min(max(place, 0), STEPS))

    def _lay_out(self) -> None:
        form = Form()
        widest = self.fontMetrics().horizontalAdvance("99.9k-99.9k px")
        for name, slider in (
            ("Size", self.sizes),
            ("IoU", self.iou),
            ("Stability", self.stability),
            ("Overlap", self.overlap),
        ):
            row = QHBoxLayout()
            row.addWidget(slider, 1)
            text = self._texts[slider]
            text.setMinimumWidth(widest)
            text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            row.addWidget(text)
            form.add(name, row).setToolTip(slider.toolTip())
        buttons = QGridLayout()
        buttons.addWidget(self.labels_button, 0, 0)
        buttons.addWidget(self.track_button, 0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.count)
        layout.addLayout(buttons)


def _percent_slider(tip: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 100)
    slider.setToolTip(tip)
    return slider


def _short(area: float) -> str:
    """Write a number of pixels shortly, e.g. 950, 1.2k, 35k, 1.2M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if area >= size:
            shown = area / size
            return f"{shown:.1f}{unit}" if shown < 10 else f"{shown:.0f}{unit}"
    return f"{area:.0f}"
