"""The objects to find, in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QStyledItemDelegate,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.object_model import Column, ObjectModel
from napari_sam2._controls.swatch import SWATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qtpy.QtWidgets import QStyleOptionViewItem

ROW_HEIGHT = 22  #: pixels
WIDTHS = {Column.VISIBLE: 26, Column.PROMPTED: 58, Column.LOCKED: 54, Column.SCORE: 42}
EYE = 15.0  #: pixels wide


@dataclass(frozen=True, eq=False)
class Listed:
    """All that is listed at one moment, to `list_again`."""

    names: Mapping[int, str]
    scores: Mapping[int, float]
    hidden: frozenset[int]
    current: int
    next_id: int  #: no object had this number, or a higher one


class ObjectTable(QWidget):
    """Objects with what is known of them; one of them is the current one, always."""

    current_changed = Signal(int)  #: its id
    removed = Signal(object, int)  #: objects that were taken out; which one was current before
    merge_wanted = Signal(object)  #: the ids of objects that are one, that which stays first
    renamed = Signal()
    visibility_changed = Signal()
    jump_wanted = Signal(int)  #: the frame to go to

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._next_id = 1
        self.model = ObjectModel(self)
        self.table = _new_view(self.model)
        self.new_button = QPushButton("New object (N)")
        self.new_button.setToolTip("Begin another object; the next prompts are for it")
        self.merge_button = QPushButton("Merge")
        self.merge_button.setToolTip(
            "Make one object of those that are selected: the uppermost, which keeps its name.\n"
            "Select several with Ctrl or Shift."
        )
        self.merge_button.setEnabled(False)
        self.remove_button = QPushButton("Remove (Del)")
        self.remove_button.setToolTip(
            "Remove the selected objects: their prompts, and their pixels in the labels"
        )
        buttons = QHBoxLayout()
        for button in (self.new_button, self.merge_button, self.remove_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        self.new_button.clicked.connect(lambda: self.begin())
        self.merge_button.clicked.connect(lambda: self.merge_selected())
        self.remove_button.clicked.connect(lambda: self.remove_selected())
        self.table.delete_pressed.connect(self.remove_selected)
        self.model.renamed.connect(self.renamed)
        self.model.visibility_changed.connect(self.visibility_changed)
        self.table.clicked.connect(self._click)
        self.table.doubleClicked.connect(self._double_click)
        self._selection.currentRowChanged.connect(self._tell_current)
        self._selection.selectionChanged.connect(self._offer_merging)
        self.begin()

    def current(self) -> int:
        """Give the id of the current object."""
        return self.model.current

    def names(self) -> dict[int, str]:
        """Give every object's name, by id."""
        return self.model.names()

    def hidden(self) -> frozenset[int]:
        """Give the ids of the objects that are not to be shown."""
        return self.model.hidden()

    def selected(self) -> tuple[int, ...]:
        """Give the ids of the selected objects."""
        ids = self.model.ids()
        rows = sorted(index.row() for index in self._selection.selectedRows())
        return tuple(ids[row] for row in rows)

    def begin(self) -> int:
        """Begin a new object, make it the current one, and give its id."""
        object_id = self._next_id
        self._add({object_id: ""})
        self.make_current(object_id)
        return object_id

    def show_only(self, names: Mapping[int, str]) -> None:
        """List these objects instead, by id; the first is the current one."""
        earlier = self.model.ids()
        self._next_id = 1
        self.model.current = 0  # of an object that is listed again nothing is kept
        self.model.remove(earlier)
        if names:
            self._add(names)
            self.make_current(next(iter(names)))
        else:
            self.begin()

    def listed(self) -> Listed:
        """Give what is listed now."""
        rows = [self.model.row(object_id) for object_id in self.model.ids()]
        scores = {row.object_id: row.score for row in rows if row.score is not None}
        return Listed(self.names(), scores, self.hidden(), self.current(), self._next_id)

    def list_again(self, listed: Listed) -> None:
        """List what was listed at another time, and nothing else."""
        self.show_only(listed.names)
        self._next_id = max(self._next_id, listed.next_id)
        self.model.show_scores(listed.scores)
        if listed.hidden:
            self.model.set_visible(listed.hidden, visible=False)
        self.make_current(listed.current)

    def include(self, ids: Iterable[int]) -> None:
        """Add objects that are not there yet, in the order of their ids."""
        self._add(dict.fromkeys(sorted(i for i in set(ids) if self.model.place(i) < 0), ""))

    def list_also(self, names: Mapping[int, str]) -> None:
        """Add objects that are not there yet, by id; the current one stays."""
        self._add({i: name for i, name in sorted(names.items()) if self.model.place(i) < 0})

    def make_current(self, object_id: int) -> None:
        """Make an object the current one, if it exists."""
        index = self.model.index(self.model.place(object_id), Column.NAME)
        if index.isValid() and index.row() != self.table.currentIndex().row():
            flags = QItemSelectionModel.SelectionFlag
            self._selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.table.scrollTo(index)

    def remove_selected(self) -> None:
        """Remove the selected objects; another one becomes current, a new one if need be."""
        self.remove(self.selected())

    def merge_selected(self) -> None:
        """Ask that the selected objects be one, the uppermost of them."""
        if len(self.selected()) > 1:
            self.merge_wanted.emit(self.selected())

    def select(self, ids: Iterable[int]) -> None:
        """Select some objects and no others; the current one is the last of them."""
        flags = QItemSelectionModel.SelectionFlag
        for nth, object_id in enumerate(i for i in ids if self.model.place(i) >= 0):
            index = self.model.index(self.model.place(object_id), Column.NAME)
            how = flags.ClearAndSelect if nth == 0 else flags.Select
            self._selection.setCurrentIndex(index, how | flags.Rows)

    def remove(self, ids: Iterable[int]) -> None:
        """Remove objects: their prompts, and their pixels in the labels."""
        current = self.current()
        gone = self.take_out(ids)
        if gone:
            self.removed.emit(gone, current)

    def take_out(self, ids: Iterable[int]) -> tuple[int, ...]:
        """List some objects no more, and nothing else; give those that were listed."""
        gone = tuple(i for i in ids if self.model.place(i) >= 0)
        if not gone:
            return ()
        kept = set(self.model.ids()) - set(gone)
        if self.current() in gone:
            if kept:
                place = self.model.place(self.current())
                near = min(kept, key=lambda i: abs(self.model.place(i) - place))
                self.make_current(near)
            else:
                self.begin()
        self.model.remove(gone)
        return gone

    def use_colors(self, color: Callable[[Any], Any]) -> None:
        """Paint the swatches with the colours of a Labels layer."""
        self.model.use_colors(color)

    @property
    def _selection(self) -> QItemSelectionModel:
        return self.table.selectionModel()  # type: ignore[return-value]

    def _add(self, names: Mapping[int, str]) -> None:
        self._next_id = max([self._next_id - 1, *names]) + 1
        self.model.add(names)

    def _tell_current(self, index: QModelIndex, earlier: QModelIndex) -> None:
        if index.isValid() and (object_id := self.model.ids()[index.row()]) != self.model.current:
            self.model.make_current(object_id)
            self.current_changed.emit(object_id)

    def _offer_merging(self, *changed: object) -> None:
        self.merge_button.setEnabled(len(self._selection.selectedRows()) > 1)

    def _click(self, index: QModelIndex) -> None:
        if index.column() == Column.VISIBLE:
            object_id = self.model.ids()[index.row()]
            # All that are selected, if it is one of them.
            chosen = self.selected() if object_id in self.selected() else (object_id,)
            self.model.set_visible(chosen, not self.model.row(object_id).visible)

    def _double_click(self, index: QModelIndex) -> None:
        if index.column() == Column.PROMPTED:
            row = self.model.row(self.model.ids()[index.row()])
            if row.prompted:
                self.jump_wanted.emit(row.prompted[0])


class _Eye(QStyledItemDelegate):
    """Paints an eye, in the theme's colour; struck through where the object is hidden."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Paint a cell; called by Qt."""
        super().paint(painter, option, index)
        if painter is None:
            return
        visible = bool(index.data(Qt.ItemDataRole.UserRole))
        color = QColor(option.palette.text().color())
        color.setAlphaF(1.0 if visible else 0.45)
        box = QRectF(0, 0, EYE, EYE * 0.6)
        box.moveCenter(QRectF(option.rect).center())
        middle = box.center()
        lids = QPainterPath()
        lids.moveTo(box.left(), middle.y())
        lids.quadTo(middle.x(), box.top() - box.height() * 0.45, box.right(), middle.y())
        lids.quadTo(middle.x(), box.bottom() + box.height() * 0.45, box.left(), middle.y())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(color, 1.3))
        painter.drawPath(lids)
        if visible:
            painter.setBrush(color)
            painter.drawEllipse(middle, 2.0, 2.0)
        else:
            painter.drawLine(box.bottomLeft(), box.topRight())
        painter.restore()


class _View(QTableView):
    """A table that tells of the key that deletes."""

    delete_pressed = Signal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Notice keys; called by Qt."""
        if event is not None and event.key() in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)


def _new_view(model: ObjectModel) -> _View:
    view = _View()
    view.setModel(model)
    view.setItemDelegateForColumn(Column.VISIBLE, _Eye(view))
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setIconSize(QSize(SWATCH, SWATCH))
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setMinimumHeight(120)
    rows, columns = view.verticalHeader(), view.horizontalHeader()
    if rows is not None and columns is not None:
        rows.hide()
        # Of one height, so that those out of sight are not asked for theirs.
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        columns.setHighlightSections(False)
        # Of the theme's own colours; the style's are not.
        columns.setStyleSheet(
            "QHeaderView::section { border: none; padding: 2px; background: transparent; }"
        )
        columns.setMinimumSectionSize(20)
        for column in Column:
            fixed = column in WIDTHS
            mode = QHeaderView.ResizeMode.Fixed if fixed else QHeaderView.ResizeMode.Stretch
            columns.setSectionResizeMode(column, mode)
            if fixed:
                view.setColumnWidth(column, WIDTHS[column])
    return view
