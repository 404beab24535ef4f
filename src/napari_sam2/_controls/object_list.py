"""The objects to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import QItemSelectionModel, QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.swatch import SWATCH, swatch
from napari_sam2._label_layers import label_colors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ID = Qt.ItemDataRole.UserRole


class ObjectList(QWidget):
    """Lists objects with their colour and name; one of them is the current one, always."""

    current_changed = Signal(int)  #: its id
    removed = Signal(int)  #: the id of an object that was taken out
    renamed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._next_id = 1
        self._color: Callable[[int], Any] = label_colors().map
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.list.setIconSize(QSize(SWATCH, SWATCH))
        self.list.setMinimumHeight(84)
        self.list.setToolTip(
            "The current object gets the next prompts. Double-click to give it a name.\n"
            "The colour is the one it has in the labels."
        )
        self.new_button = QPushButton("New object (N)")
        self.new_button.setToolTip("Begin another object; the next prompts are for it")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip(
            "Remove the selected objects: their prompts, and their pixels in the labels"
        )
        buttons = QHBoxLayout()
        buttons.addWidget(self.new_button, 2)
        buttons.addWidget(self.remove_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addLayout(buttons)
        self.new_button.clicked.connect(lambda: self.begin())
        self.remove_button.clicked.connect(self.remove_selected)
        self.list.currentItemChanged.connect(self._tell_current)
        self.list.itemChanged.connect(lambda item: self.renamed.emit())
        self.begin()

    def current(self) -> int:
        """Give the id of the current object."""
        item = cast("QListWidgetItem", self.list.currentItem())
        return cast("int", item.data(ID))

    def names(self) -> dict[int, str]:
        """Give every object's name, by id."""
        return {item.data(ID): item.text() for item in self._items()}

    def selected(self) -> tuple[int, ...]:
        """Give the ids of the selected objects."""
        return tuple(item.data(ID) for item in self._items() if item.isSelected())

    def begin(self) -> int:
        """Begin a new object, make it the current one, and give its id."""
        object_id = self._next_id
        self._add(object_id)
        self.make_current(object_id)
        return object_id

    def show_only(self, names: Mapping[int, str]) -> None:
        """List these objects instead, by id; the first is the current one."""
        self._next_id = 1
        self.list.clear()
        for object_id, name in names.items():
            self._add(object_id, name)
        if names:
            self.make_current(next(iter(names)))
        else:
            self.begin()

    def include(self, ids: Iterable[int]) -> None:
        """Add objects that are not there yet, in the order of their ids."""
        for object_id in sorted(set(ids) - self.names().keys()):
            self._add(object_id)

    def make_current(self, object_id: int) -> None:
        """Make an object the current one, if it exists."""
        for item in self._items():
            if item.data(ID) == object_id and item is not self.list.currentItem():
                select = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.list.setCurrentItem(item, select)
                self.list.scrollToItem(item)

    def remove_selected(self) -> None:
        """Take the selected objects out; another one becomes current, a new one if need be."""
        for object_id in self.selected():
            item = next(item for item in self._items() if item.data(ID) == object_id)
            if self.list.count() == 1:
                self.begin()
            self.list.takeItem(self.list.row(item))
            self.removed.emit(object_id)

    def use_colors(self, color: Callable[[int], Any]) -> None:
        """Paint the swatches with the colours of a Labels layer."""
        self._color = color
        for item in self._items():
            self._paint(item)

    def _add(self, object_id: int, name: str = "") -> None:
        self._next_id = max(self._next_id, object_id + 1)
        item = QListWidgetItem(name or f"object {object_id}")
        item.setData(ID, object_id)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        self._paint(item)
        self.list.addItem(item)

    def _paint(self, item: QListWidgetItem) -> None:
        red, green, blue, *_ = (float(value) for value in self._color(item.data(ID)))
        self.list.blockSignals(True)
        item.setIcon(swatch(QColor.fromRgbF(red, green, blue)))
        self.list.blockSignals(False)

    def _items(self) -> list[QListWidgetItem]:
        return [cast("QListWidgetItem", self.list.item(i)) for i in range(self.list.count())]

    def _tell_current(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._embolden(item)
            self.current_changed.emit(item.data(ID))

    def _embolden(self, current: QListWidgetItem) -> None:
        """Make the current object stand out, in any theme."""
        self.list.blockSignals(True)
        for item in self._items():
            font = item.font()
            font.setBold(item is current)
            item.setFont(font)
        self.list.blockSignals(False)
