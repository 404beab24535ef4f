"""Work that was not saved, offered again."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_sam2.autosave import Unsaved


class UnsavedBar(QFrame):
    """Asks, at the top of the dock, what to do with work that was not saved; one at a time."""

    restored = Signal(object)  #: Unsaved
    discarded = Signal(object)  #: Unsaved

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._offers: list[Unsaved] = []
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Go on with it: objects, prompts and labels as they were")
        self.discard_button = QPushButton("Discard")
        self.discard_button.setToolTip("Throw it away for good")
        self.later_button = QPushButton("Later")
        self.later_button.setToolTip("Keep it, and ask again when the dock is opened next")
        buttons = QHBoxLayout()
        for button in (self.restore_button, self.discard_button, self.later_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.label)
        layout.addLayout(buttons)
        self.restore_button.clicked.connect(lambda: self.restored.emit(self._offers[0]))
        self.discard_button.clicked.connect(lambda: self._take_first(self.discarded))
        self.later_button.clicked.connect(lambda: self._take_first())
        self.hide()

    def offer(self, offers: Sequence[Unsaved]) -> None:
        """Ask about these, the first one first."""
        self._offers = list(offers)
        self._show()

    def add(self, one: Unsaved) -> None:
        """Ask about one more, before all others."""
        self._offers = [one, *(other for other in self._offers if other.path != one.path)]
        self._show()

    def take_out(self, one: Unsaved) -> None:
        """Ask no more about one that was restored."""
        self._offers = [other for other in self._offers if other.path != one.path]
        self._show()

    def set_busy(self, busy: bool) -> None:
        """Take no answer while one is being carried out."""
        for button in (self.restore_button, self.discard_button, self.later_button):
            button.setEnabled(not busy)

    def _take_first(self, signal: Signal | None = None) -> None:
        first = self._offers.pop(0)
        self._show()
        if signal is not None:
            signal.emit(first)

    def _show(self) -> None:
        self.setVisible(bool(self._offers))
        if self._offers:
            first, others = self._offers[0], len(self._offers) - 1
            when = first.time.astimezone()
            more = f" ({others} more)" if others else ""
            self.label.setText(
                f"Restore work on <b>{escape(first.name)}</b> from {when:%Y-%m-%d %H:%M}?{more}"
            )
            self.label.setToolTip(first.image_path or "")
