"""How a model learns, as lines."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_sam2.training.finetune_options import Progress

MARGIN = 4.0  #: pixels around everything
LEFT, BELOW = 30.0, 32.0  #: pixels for the numbers of an axis, and for the names of lines
TICKS = (0.0, 0.5, 1.0)


class Line(NamedTuple):
    """What is drawn of one kind of number."""

    name: str
    color: str  #: after Okabe and Ito, which reads on dark and on light
    points: list[tuple[float, float]]  #: (step, value)


class LearningPlot(QWidget):
    """Draws the scores, from 0 to 1, and the loss, as high as it began."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(130)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Mean IoU of held-out objects by one click, by their box, and followed (0 to 1).\n"
            "Grey: the loss, on a scale of its own; it falls."
        )
        self.clear()

    def clear(self, steps: int = 1) -> None:
        """Begin anew, with room for so many steps."""
        self._steps = max(steps, 1)
        self.loss = Line("loss", "#8a8a8a", [])
        self.scores = (
            Line("click", "#0090d0", []),
            Line("box", "#e69f00", []),
            Line("track", "#009e73", []),
        )
        self.update()

    def add(self, progress: Progress) -> None:
        """Take in one step."""
        if progress.loss is not None:
            self.loss.points.append((progress.step, progress.loss))
        if progress.scores is not None and progress.stage != "after":
            for line in self.scores:
                value = getattr(progress.scores, line.name)
                if value is not None:
                    line.points.append((progress.step, value))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(LEFT, MARGIN + 4, -MARGIN, -BELOW)
        self._draw_axes(painter, area)
        highest = max((value for _, value in self.loss.points), default=1.0)
        self._draw_line(painter, area, self.loss, highest or 1.0, dots=False)
        for line in self.scores:
            self._draw_line(painter, area, line, 1.0, dots=True)
        self._draw_names(painter, area)
        painter.end()

    def _draw_axes(self, painter: QPainter, area: QRectF) -> None:
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(60)
        for value in TICKS:
            y = area.bottom() - value * area.height()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            where = QRectF(0, y - 8, LEFT - 5, 16)
            painter.drawText(where, int(_RIGHT), f"{value:g}")

    def _draw_line(
        self, painter: QPainter, area: QRectF, line: Line, highest: float, *, dots: bool
    ) -> None:
        places = [
            QPointF(
                area.left() + step / self._steps * area.width(),
                area.bottom() - min(max(value / highest, 0), 1) * area.height(),
            )
            for step, value in line.points
        ]
        painter.setPen(QPen(QColor(line.color), 2 if dots else 1))
        for first, second in itertools.pairwise(places):
            painter.drawLine(first, second)
        if dots:
            painter.setBrush(QColor(line.color))
            for place in places:
                painter.drawEllipse(place, 2.5, 2.5)

    def _draw_names(self, painter: QPainter, area: QRectF) -> None:
        shown = [line for line in (*self.scores, self.loss) if line.points]
        left, y = area.left(), area.bottom() + 8
        for line in shown:
            text = f"{line.name} {line.points[-1][1]:.2f}"
            painter.setPen(QPen(QColor(line.color), 3))
            painter.drawLine(QPointF(left, y + 9), QPointF(left + 10, y + 9))
            painter.setPen(self.palette().color(self.foregroundRole()))
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QRectF(left + 14, y, width + 2, 18), int(_LEFT), text)
            left += width + 26

    def values(self) -> dict[str, Sequence[tuple[float, float]]]:
        """Give what is drawn, by name."""
        return {line.name: tuple(line.points) for line in (*self.scores, self.loss)}


_LEFT = Qt.AlignmentFlag.AlignLeft.value | Qt.AlignmentFlag.AlignVCenter.value
_RIGHT = Qt.AlignmentFlag.AlignRight.value | Qt.AlignmentFlag.AlignVCenter.value
