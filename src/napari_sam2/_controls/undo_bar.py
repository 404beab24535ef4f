"""The buttons that undo and redo."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


class UndoBar(QWidget):
    """Two buttons that say what they would undo and redo; connected by the dock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.undo_button = QPushButton("Undo (Ctrl-Z)")
        self.redo_button = QPushButton("Redo (Ctrl-Shift-Z)")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.undo_button)
        layout.addWidget(self.redo_button)
        self.show_next("", "")

    def show_next(self, undo: str, redo: str) -> None:
        """Say what would be undone and redone; empty for nothing."""
        for button, verb, what in (
            (self.undo_button, "Undo", undo),
            (self.redo_button, "Redo", redo),
        ):
            button.setEnabled(bool(what))
            button.setToolTip(f"{verb}: {what}" if what else f"There is nothing to {verb.lower()}")
