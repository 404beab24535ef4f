"""What the table of objects shows: a row an object, drawn when it comes into sight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QFont

from napari_sam2._controls.swatch import swatch
from napari_sam2._label_layers import label_colors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Role = Qt.ItemDataRole


class Column(IntEnum):
    """From left to right."""

    VISIBLE = 0
    NAME = 1
    PROMPTED = 2
    LOCKED = 3
    SCORE = 4


#: Header and what it means.
HEADERS = {
    Column.VISIBLE: (
        "",
        "Whether it is shown; what is hidden is neither lost nor left out",
    ),
    Column.NAME: ("Object", "Its colour in the labels, and its name. Double-click to rename."),
    Column.PROMPTED: ("Prompts", "Frames with prompts. Double-click to go to the first."),
    Column.LOCKED: ("Locked", "Frames that nothing propagated changes"),
    Column.SCORE: ("IoU", "Predicted IoU on this frame, or else the last that was found"),
}


@dataclass(slots=True)
class Row:
    """One object."""

    object_id: int
    name: str
    prompted: tuple[int, ...] = ()  #: frames, in order
    locked: int = 0  #: how many frames
    score: float | None = None  #: predicted IoU
    visible: bool = True
    parent: str = ""  #: the name of the object that divided


class ObjectModel(QAbstractTableModel):
    """Objects in the order in which they were begun."""

    renamed = Signal()
    visibility_changed = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []
        self._places: dict[int, int] = {}  #: row by object
        self._color: Callable[[Any], Any] = label_colors().map
        self.current = 0  #: the object that stands out

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Count objects; called by Qt."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Count columns; called by Qt."""
        return 0 if parent is not None and parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Give headers and their tool tips; called by Qt."""
        if orientation == Qt.Orientation.Horizontal and role in {
            Role.DisplayRole,
            Role.ToolTipRole,
        }:
            return HEADERS[Column(section)][role == Role.ToolTipRole]
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let names be edited; called by Qt."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == Column.NAME else flags

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Give what a cell shows; called by Qt."""
        row, column = self._rows[index.row()], Column(index.column())
        if role in {Role.DisplayRole, Role.EditRole}:
            return _text(row, column)
        if role == Role.ToolTipRole:
            return _tool_tip(row, column)
        if role == Role.DecorationRole and column == Column.NAME:
            return swatch(self.color(row.object_id))
        if role == Role.FontRole:
            font = QFont()
            font.setBold(row.object_id == self.current)
            return font
        if role == Role.TextAlignmentRole and column > Column.NAME:
            return Qt.AlignmentFlag.AlignCenter
        if role == Role.UserRole:
            return row.visible
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Role.EditRole) -> bool:
        """Rename an object; called by Qt. An empty name changes nothing."""
        name = str(value).strip()
        if role != Role.EditRole or index.column() != Column.NAME or not name:
            return False
        self._rows[index.row()].name = name
        self.dataChanged.emit(index, index)
        self.renamed.emit()
        return True

    def ids(self) -> list[int]:
        """Give all objects, from top to bottom."""
        return [row.object_id for row in self._rows]

    def row(self, object_id: int) -> Row:
        """Give an object's row."""
        return self._rows[self._places[object_id]]

    def names(self) -> dict[int, str]:
        """Give every object's name."""
        return {row.object_id: row.name for row in self._rows}

    def place(self, object_id: int) -> int:
        """Give the number of an object's row; -1 if there is none."""
        return self._places.get(object_id, -1)

    def hidden(self) -> frozenset[int]:
        """Give the objects that are not to be shown."""
        return frozenset(row.object_id for row in self._rows if not row.visible)

    def add(self, names: Mapping[int, str]) -> None:
        """Put objects below the others."""
        if not names:
            return
        first = len(self._rows)
        self.beginInsertRows(QModelIndex(), first, first + len(names) - 1)
        self._rows += [Row(i, name or f"object {i}") for i, name in names.items()]
        self._number()
        self.endInsertRows()

    def remove(self, ids: Collection[int]) -> None:
        """Take objects out, neighbours at once."""
        gone = set(ids)
        stop = len(self._rows)
        while stop > 0:
            start = stop
            while start > 0 and self._rows[start - 1].object_id in gone:
                start -= 1
            if start < stop:
                self.beginRemoveRows(QModelIndex(), start, stop - 1)
                del self._rows[start:stop]
                self._number()
                self.endRemoveRows()
            stop = start - 1
        if gone:
            self.visibility_changed.emit()

    def set_visible(self, ids: Iterable[int], visible: bool) -> None:
        """Show or hide objects."""
        for object_id in ids:
            self.row(object_id).visible = visible
        self._tell(Column.VISIBLE, Column.NAME)
        self.visibility_changed.emit()

    def show_prompts(self, prompts: Mapping[int, Iterable[int]]) -> None:
        """Show on which frames objects are prompted; those not named are on none."""
        for row in self._rows:
            row.prompted = tuple(sorted(prompts.get(row.object_id, ())))
        self._tell(Column.PROMPTED, Column.PROMPTED)

    def show_locked(self, locked: Mapping[int, Sequence[int]]) -> None:
        """Show on how many frames objects are locked; those not named are on none."""
        for row in self._rows:
            row.locked = len(locked.get(row.object_id, ()))
        self._tell(Column.LOCKED, Column.LOCKED)

    def show_scores(self, scores: Mapping[int, float]) -> None:
        """Show predicted IoUs; objects that are not named keep theirs."""
        for object_id, score in scores.items():
            if object_id in self._places:
                self.row(object_id).score = score
        self._tell(Column.SCORE, Column.SCORE)

    def show_names(self, names: Mapping[int, str]) -> None:
        """Show names that were given elsewhere; of objects that are there."""
        for object_id, name in names.items():
            self.row(object_id).name = name
        self._tell(Column.NAME, Column.NAME)

    def show_parents(self, parents: Mapping[int, str]) -> None:
        """Show of which object others are daughters, by name; those not named are of none."""
        for row in self._rows:
            row.parent = parents.get(row.object_id, "")

    def color(self, object_id: int) -> QColor:
        """Give the colour of an object in the labels."""
        return self.colors([object_id])[0]

    def colors(self, object_ids: Sequence[int]) -> list[QColor]:
        """Give the colours of objects, all at once: one by one takes ninety times as long."""
        if not len(object_ids):
            return []
        mapped = np.asarray(self._color(np.asarray(object_ids)))[:, :3]
        return [QColor.fromRgbF(*color) for color in mapped.tolist()]

    def use_colors(self, color: Callable[[Any], Any]) -> None:
        """Paint the swatches with the colours of a Labels layer."""
        self._color = color
        self._tell(Column.NAME, Column.NAME)

    def make_current(self, object_id: int) -> None:
        """Make an object stand out, in any theme."""
        self.current = object_id
        self._tell(Column.NAME, Column.SCORE)

    def _number(self) -> None:
        self._places = {row.object_id: place for place, row in enumerate(self._rows)}

    def _tell(self, first: Column, last: Column) -> None:
        if self._rows:
            end = len(self._rows) - 1
            self.dataChanged.emit(self.index(0, first), self.index(end, last))


def _text(row: Row, column: Column) -> str:
    if column == Column.NAME:
        return row.name
    if column == Column.SCORE:
        return "" if row.score is None else f"{row.score:.2f}"
    count = {Column.PROMPTED: len(row.prompted), Column.LOCKED: row.locked}.get(column, 0)
    return str(count) if count else ""


def _tool_tip(row: Row, column: Column) -> str:
    if column == Column.VISIBLE:
        return f"Click to {'hide' if row.visible else 'show'} {row.name}"
    if column == Column.NAME and row.parent:
        return f"Daughter of {row.parent}. {HEADERS[column][1]}"
    if column == Column.PROMPTED and row.prompted:
        shown = ", ".join(str(frame) for frame in row.prompted[:8])
        more = " …" if len(row.prompted) > 8 else ""
        return f"Prompted on frame {shown}{more}. Double-click to go to the first."
    return HEADERS[column][1]
