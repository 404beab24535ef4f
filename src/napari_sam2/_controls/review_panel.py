"""Quality over frames, the frames to look at first, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.forms import Form
from napari_sam2._controls.quality_plot import QualityPlot

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = Qt.ItemDataRole.UserRole
N_LISTED = 8  #: of the worst frames
#: What can be plotted: the column of the quality table, and its limits if they are fixed.
MEASURES = {
    "Predicted IoU": ("iou", (0.0, 1.0)),
    "Object score": ("object_score", None),
    "Area (pixels)": ("area", None),
    "Centroid jump (pixels)": ("jump", None),
}


class ReviewPanel(QWidget):
    """A plot, a list and buttons; they are connected by the dock."""

    measure_changed = Signal()
    place_picked = Signal(int, int)  #: frame, and object or 0

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.measure = QComboBox()
        self.measure.addItems(list(MEASURES))
        self.measure.setToolTip("What is plotted of each object, over frames")
        self.plot = QualityPlot()
        self.worst = QListWidget()
        self.worst.setFixedHeight(84)
        self.worst.setToolTip(
            "The frames to look at first: where an object is unsure,\n"
            "or changes or moves suddenly. Locked frames are left out."
        )
        self.worst_button = _button("Worst frame (G)", "Go to the worst frame; again to the next")
        self.lock_button = _button(
            "Lock frame (L)",
            "Accept the current object on this frame for good: nothing propagated changes it,\n"
            "and corrections end there. Again to unlock.",
        )
        self.lock_button.setCheckable(True)
        self.correct_button = _button(
            "Correct",
            "After new prompts on this frame: follow the current object again from here,\n"
            "forward and backward, up to its next locked frames. All else stays.",
        )
        self.before_button = _button(
            "Show before (B)", "See the labels as they were before the last run"
        )
        self.before_button.setCheckable(True)
        self._lay_out()
        self.measure.currentIndexChanged.connect(lambda index: self.measure_changed.emit())
        self.plot.picked.connect(self.place_picked)
        self.worst.itemActivated.connect(self._pick)
        self.worst.itemClicked.connect(self._pick)

    def column(self) -> tuple[str, tuple[float, float] | None]:
        """Give what to plot: a column of the quality table, and the limits of the axis."""
        return MEASURES[self.measure.currentText()]

    def choose(self, measure: str) -> None:
        """Choose what to plot, by its column of the quality table.

        Raises
        ------
        ValueError
            If it is not offered.
        """
        columns = [column for column, _ in MEASURES.values()]
        if measure not in columns:
            raise ValueError(f"There is no {measure!r} to plot; choose from {columns}.")
        self.measure.setCurrentIndex(columns.index(measure))

    def list_worst(self, lines: Sequence[tuple[str, int, int]]) -> None:
        """List frames, most doubtful first: a line of text, the frame and the object."""
        wanted = list(lines)[:N_LISTED]
        if [text for text, *_ in wanted] == [
            item.text() for i in range(self.worst.count()) if (item := self.worst.item(i))
        ]:
            return
        self.worst.clear()
        for text, *place in wanted:
            item = QListWidgetItem(text)
            item.setData(PLACE, place)
            self.worst.addItem(item)

    def show_lock(self, is_locked: bool) -> None:
        """Say whether the current object is locked on this frame."""
        self.lock_button.setChecked(is_locked)
        self.lock_button.setText("Unlock frame (L)" if is_locked else "Lock frame (L)")

    def set_running(self, running: bool) -> None:
        """Make the buttons agree with what is going on."""
        self.correct_button.setEnabled(not running)
        if running:
            self.before_button.setChecked(False)

    def _pick(self, item: QListWidgetItem) -> None:
        self.place_picked.emit(*item.data(PLACE))

    def _lay_out(self) -> None:
        form = Form()
        form.add("Show", self.measure)
        buttons = QGridLayout()
        buttons.addWidget(self.lock_button, 0, 0)
        buttons.addWidget(self.correct_button, 0, 1)
        buttons.addWidget(self.worst_button, 1, 0)
        buttons.addWidget(self.before_button, 1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.plot)
        layout.addWidget(self.worst)
        layout.addLayout(buttons)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
