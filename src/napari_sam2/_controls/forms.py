"""How controls are lined up from part to part."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFormLayout, QFrame, QLabel, QScrollArea, QSizePolicy, QStyle, QWidget

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLayout

LABEL_WIDTH = 80  #: pixels


class Form(QFormLayout):
    """A form without margins, whose controls fill its width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setContentsMargins(0, 0, 0, 0)
        self.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    def add(self, text: str, control: QWidget | QLayout) -> QLabel:
        """Add a row, and give its label."""
        label = QLabel(text)
        label.setMinimumWidth(LABEL_WIDTH)
        if isinstance(control, QWidget):
            label.setToolTip(control.toolTip())
            control.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.addRow(label, control)
        return label


class VerticalScroll(QScrollArea):
    """Scrolls up and down only, and is never narrower than what it holds."""

    def __init__(self, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)
        self._content = content

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask for more room when the content does, as with a new theme; called by Qt."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def minimumSizeHint(self) -> QSize:
        """Ask for room; called by Qt."""
        style = cast("QStyle", self.style())
        bar = style.pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        return QSize(self._content.minimumSizeHint().width() + bar, 120)
