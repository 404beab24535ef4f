"""The buttons that save, open and export."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QGridLayout, QMenu, QProgressBar, QPushButton, QWidget

#: What can be exported, and what it says of itself.
EXPORTS = {
    "labels": ("Labels as OME-TIFF or OME-Zarr …", "All objects, as whole numbers, on the disk"),
    "tracks": ("Tracks as a layer", "A line through the centroids of each object, with parents"),
    "quality": ("Quality table as CSV …", "How sure each object is on each frame"),
    "animation": ("Overlay as animation …", "Objects drawn over the frames: GIF or MP4"),
}


class SavePanel(QWidget):
    """Saves and opens sessions, and exports results; connected by the dock."""

    export_asked = Signal(str)  #: a key of `EXPORTS`

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.save_button = QPushButton("Save session …")
        self.save_button.setToolTip(
            "Objects, prompts, locks, quality and labels, in one file to go on with.\n"
            "What you forget to save is kept by itself, and offered when the dock is opened next."
        )
        self.open_button = QPushButton("Open session …")
        self.open_button.setToolTip("Go on with a session that was saved (*.sam2)")
        self.export_button = QPushButton("Export")
        self.export_button.setToolTip("Results for other programs")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; no file is left half-written")
        menu = QMenu(self.export_button)
        menu.setToolTipsVisible(True)
        self.actions_of: dict[str, QAction] = {}
        for key, (text, tip) in EXPORTS.items():
            action = QAction(text, menu)
            action.setToolTip(tip)
            action.triggered.connect(lambda checked=False, key=key: self.export_asked.emit(key))
            menu.addAction(action)
            self.actions_of[key] = action
        self.export_button.setMenu(menu)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # nothing jumps when it comes
        self.bar.setSizePolicy(policy)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.save_button, 0, 0)
        layout.addWidget(self.open_button, 0, 1)
        layout.addWidget(self.export_button, 1, 0)
        layout.addWidget(self.cancel_button, 1, 1)
        layout.addWidget(self.bar, 2, 0, 1, 2)
        self._set_busy(False)

    def begin(self) -> None:
        """Show that something is under way."""
        self.bar.setRange(0, 0)
        self._set_busy(True)

    def advance(self, total: int) -> None:
        """Count a step of so many."""
        done = self.bar.value() + 1 if self.bar.maximum() else 1
        self.bar.setRange(0, total)
        self.bar.setValue(min(done, total))

    def end(self) -> None:
        """Take the bar away."""
        self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        self.bar.setVisible(busy)
        for button in (self.save_button, self.open_button, self.export_button):
            button.setEnabled(not busy)
        self.cancel_button.setEnabled(busy)
