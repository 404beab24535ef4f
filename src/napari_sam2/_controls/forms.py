"""How controls are lined up from part to part."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer
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
        self._wanted: QWidget | None = None  #: what is to be seen once it is laid out
        self._laid_out = QTimer(self)
        self._laid_out.setSingleShot(True)
        self._laid_out.timeout.connect(self._scroll)

    def bring_into_sight(self, widget: QWidget) -> None:
        """Scroll to a part of the content that has just become larger."""
        self._wanted = widget
        self._laid_out.start()

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

    def _scroll(self) -> None:
        if self._wanted is not None:
            self.ensureWidgetVisible(self._wanted, 0, 0)
            # Its head, if there is no room for all of it.
            self.ensureVisible(0, self._wanted.mapTo(self._content, QPoint(0, 0)).y(), 0, 0)
