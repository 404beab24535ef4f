"""The tools to prompt with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_sam2._controls.candidate_strip import CandidateStrip
from napari_sam2._controls.forms import Form
from napari_sam2._controls.layer_picker import LayerPicker
from napari_sam2._controls.prompt_features import GREEN, NAMES, RED
from napari_sam2._controls.swatch import SWATCH, swatch

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QLayout

TOOLS_IN_A_ROW = 3
FOLDED, UNFOLDED = "▸  Read prompts from …", "▾  Read prompts from"
TOOL_TIPS = {
    "point": "Click on the object; with the sign at negative, beside it",
    "box": "Drag a box around an object.\n"
    "If the object has a box on this frame, the next box begins a new object:\n"
    "draw several boxes, and have several objects.",
    "outline": "Draw around the object by hand: the outline is taken as its mask.\n"
    "Several outlines on a frame make one mask; a negative one cuts a hole.",
    "polygon": "Click around the object, corner by corner; a double-click ends it.\n"
    "It is taken as the object's mask.",
    "scribble": "Draw a line along the object; with the sign at negative, beside it.\n"
    "It stands for points along it.",
    "brush": "Paint the object: what is painted on a frame is its mask there.\n"
    "Eraser and fill are napari's, in the layer controls.",
}


class PromptPanel(QWidget):
    """Tools, the sign of the next point, and which layers to read."""

    sign_changed = Signal()  #: of the next point
    tool_taken = Signal(str)
    tool_put_down = Signal()
    labels_wanted = Signal(object, bool)  #: a Labels layer, and whether all of its frames

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._positive = True
        self.tools = {tool: QPushButton(tool.capitalize()) for tool in TOOL_TIPS}
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        for tool, button in self.tools.items():
            button.setCheckable(True)
            button.setToolTip(TOOL_TIPS[tool])
            self._group.addButton(button)
            button.clicked.connect(lambda checked, tool=tool: self._take(tool, checked))
        self.sign_button = QPushButton()
        self.clear_button = QPushButton("Clear (Shift-C)")
        self.clear_button.setToolTip("Remove the current object's prompts from this frame")
        self.candidates = CandidateStrip()
        self.live = QCheckBox("Preview after every change")
        self.live.setChecked(True)
        self.live.setToolTip("Otherwise the preview waits for S")
        self.pickers = {
            kind: LayerPicker(viewer, kind, placeholder=name) for kind, name in NAMES.items()
        }
        self.labels = LayerPicker(viewer, Labels, placeholder="none")
        self.labels.setToolTip(
            "Begin with a segmentation: its objects keep their numbers, and each is prompted\n"
            "with its mask. It is copied into a layer that can be painted on."
        )
        self.use_frame = QPushButton("Use this frame")
        self.use_all = QPushButton("Use all frames")
        for button, is_all in ((self.use_frame, False), (self.use_all, True)):
            button.setToolTip(self.labels.toolTip())
            button.setEnabled(False)
            button.clicked.connect(
                lambda checked, is_all=is_all: self.labels_wanted.emit(self.labels.layer(), is_all)
            )
            self.labels.picked.connect(lambda layer, b=button: b.setEnabled(layer is not None))
        self._lay_out()
        self.set_positive(True)

    @property
    def positive(self) -> bool:
        """Whether the next point is on the object."""
        return self._positive

    def set_positive(self, positive: bool) -> None:
        """Choose the sign of the next point."""
        self._positive = positive
        self.sign_button.setText(" Positive (T)" if positive else " Negative (T)")
        self.sign_button.setIcon(swatch(QColor(GREEN if positive else RED), corner=SWATCH / 2))
        self.sign_button.setToolTip(
            f"The next point is {'on the object' if positive else 'beside the object'}.\n"
            "T changes it; where prompts are selected with the arrow tool, it changes theirs."
        )
        self.sign_changed.emit()

    def take_up(self, tool: str) -> None:
        """Take a tool, by its name in `tools`; none if empty."""
        if tool:
            self.tool_taken.emit(tool)
        else:
            self.tool_put_down.emit()

    def show_tool(self, tool: str) -> None:
        """Press the button of the tool in hand; none if empty."""
        for name, button in self.tools.items():
            button.setChecked(name == tool)

    def _take(self, tool: str, checked: bool) -> None:
        self.take_up(tool if checked else "")

    def _lay_out(self) -> None:
        tools = QGridLayout()
        for place, button in enumerate(self.tools.values()):
            tools.addWidget(button, *divmod(place, TOOLS_IN_A_ROW))
        row = QHBoxLayout()
        row.addWidget(self.sign_button, 1)
        row.addWidget(self.clear_button, 1)
        own = QWidget()
        form = Form(own)
        form.add("Points", self.pickers[Points])
        form.add("Shapes", self.pickers[Shapes])
        form.add("Labels", self.labels)
        uses = QHBoxLayout()
        uses.addWidget(self.use_frame, 1)
        uses.addWidget(self.use_all, 1)
        form.addRow(uses)
        own.setToolTip(
            "Prompts may come from layers of your own. The features 'object' and 'positive' are\n"
            "read where they are; without them, all is positive and of the current object."
        )
        # In PySide an icon that is null counts as none, and the widget would have no icon at all.
        nothing = QPixmap(1, 1)
        nothing.fill(Qt.GlobalColor.transparent)
        icon = QIcon(nothing)
        folded = QCollapsible(FOLDED, expandedIcon=icon, collapsedIcon=icon)
        folded.setToolTip(own.toolTip())
        folded.addWidget(own)
        # Its icons are black in any theme, and open it would look like a tool in hand.
        folded.toggleButton().setStyleSheet(
            "text-align: left; border: none; outline: none; background: transparent;"
        )
        folded.toggled.connect(lambda shown: folded.setText(UNFOLDED if shown else FOLDED))
        for nested in (folded, folded.content()):
            cast("QLayout", nested.layout()).setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(tools)
        layout.addLayout(row)
        layout.addWidget(self.candidates)
        layout.addWidget(self.live)
        layout.addWidget(folded)
