"""A column of sections, each of which folds away under its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QPushButton, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDED, UNFOLDED = "▸", "▾"  #: text, as icons are not of the theme's colour
INDENT = 10  #: pixels


class Section(QWidget):
    """A header that folds and unfolds what is below it.

    Parameters
    ----------
    title : str
    parts : iterable of QWidget
        From top to bottom.
    is_open : bool
        Whether it begins unfolded.
    """

    toggled = Signal(bool)  #: whether it is unfolded now
    unfolded = Signal(object)  #: itself, by the user

    def __init__(
        self,
        title: str,
        parts: Iterable[QWidget],
        *,
        is_open: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.title = title
        self._is_chosen = False  #: whether the user has folded or unfolded it
        self.header = QPushButton()
        self.header.setObjectName("section-header")
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.setCursor(Qt.CursorShape.PointingHandCursor)
        # Of the theme's own colours, or it would look like a button for work.
        self.header.setStyleSheet(
            "QPushButton { text-align: left; font-weight: bold; background: transparent; "
            "border: none; padding: 3px 2px; }"
        )
        self.content = QFrame()
        inside = QVBoxLayout(self.content)
        inside.setContentsMargins(INDENT, 2, 2, 6)
        for part in parts:
            inside.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.content)
        self.header.clicked.connect(self._choose)
        self._show(is_open)

    @property
    def is_open(self) -> bool:
        """Whether it is unfolded."""
        return not self.content.isHidden()

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold it."""
        if is_open != self.is_open:
            self._show(is_open)
            self.toggled.emit(is_open)

    def offer(self) -> None:
        """Unfold it, as there is something in it now; unless the user chose otherwise."""
        if not self._is_chosen:
            self.set_open(True)

    def _choose(self) -> None:
        self._is_chosen = True
        self.set_open(not self.is_open)
        if self.is_open:
            self.unfolded.emit(self)

    def _show(self, is_open: bool) -> None:
        self.content.setVisible(is_open)
        self.header.setText(f"{UNFOLDED if is_open else FOLDED}  {self.title}")
        self.header.setToolTip(f"{'Fold' if is_open else 'Unfold'} this section")


class Sections(QWidget):
    """Sections one below the other; they can be asked for by title."""

    unfolded = Signal(object)  #: the section that the user has unfolded

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sections: dict[str, Section] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(2, 2, 2, 2)
        self._column.setSpacing(2)
        self._column.addStretch(1)

    def __getitem__(self, title: str) -> Section:
        return self._sections[title]

    def titles(self) -> list[str]:
        """Give the titles, from top to bottom."""
        return list(self._sections)

    def add(self, title: str, *parts: QWidget, is_open: bool = True) -> Section:
        """Add a section below the others."""
        section = self._sections[title] = Section(title, parts, is_open=is_open)
        section.unfolded.connect(self.unfolded)
        if len(self._sections) > 1:
            self._column.insertWidget(self._column.count() - 1, _line())
        self._column.insertWidget(self._column.count() - 1, section)
        return section


def _line() -> QFrame:
    line = QFrame()
    line.setFixedHeight(1)
    # Half see-through: it is seen on dark and on light.
    line.setStyleSheet("background-color: rgba(128, 128, 128, 90);")
    return line
