"""Numbers of objects over frames: a line each, drawn a few at a time and looked at often."""

from __future__ import annotations

import math
import struct
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QByteArray, QDataStream, QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QHelpEvent, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QToolTip, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QMouseEvent, QPaintEvent, QResizeEvent

LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 18  #: pixels around the lines
REACH = 16  #: pixels; a line farther from the mouse than this is not meant
MOST_MARKS = 400  #: with more, only those of the current object are drawn
MOST_POINTS = 20_000  #: of all lines; with more, columns are wider, for speed
MOST_SMOOTH = 20  #: with more curves, only the current one is smoothed, for speed
DOT = 2.6  #: radius, in pixels
SLICE = 0.008  #: seconds of drawing at a time, so that the window answers between


@dataclass(frozen=True, eq=False)
class Curve:
    """One object's numbers."""

    object_id: int
    name: str
    color: QColor
    frames: np.ndarray  #: (N,), increasing
    values: np.ndarray  #: (N,), without NaN
    prompted: Sequence[int] = ()  #: frames, marked by dots
    locked: Sequence[int] = ()  #: frames, marked by squares


class QualityPlot(QWidget):
    """Draws curves, and the current frame as a line across them.

    Thousands of frames are drawn as the lowest and highest value of each column of pixels: a
    single bad frame is never lost. Hundreds of objects are drawn a few at a time, on a picture
    that takes the place of the earlier one when it is done.
    """

    picked = Signal(int, int)  #: the frame, and the object of the nearest line, 0 for none

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[Curve] = []
        self._n_frames, self._low, self._high = 1, 0.0, 1.0
        self._frame = self._current = 0
        self._drawn: QPixmap | None = None  #: all but the current frame and object
        self._sketch: QPixmap | None = None  #: the next one, as far as it is drawn
        self._left: deque[Curve] = deque()  #: what is to be drawn on it
        self._step, self._is_marked = 1, True  #: how; see `_begin`
        self._is_stale = False  #: whether there are other curves by now
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.timeout.connect(self._draw_on)
        self.setMinimumHeight(110)
        self.setMouseTracking(False)
        self.setCursor(Qt.CursorShape.CrossCursor)

    @property
    def curves(self) -> list[Curve]:
        """What is drawn."""
        return self._curves

    @property
    def frame(self) -> int:
        """The frame that is marked."""
        return self._frame

    def sizeHint(self) -> QSize:
        """Ask for room; called by Qt."""
        return QSize(260, 140)

    def show_curves(
        self, curves: list[Curve], n_frames: int, limits: tuple[float, float] | None
    ) -> None:
        """Draw these curves instead; the limits are of the values, around all unless given."""
        scale = self._n_frames, self._low, self._high
        self._curves, self._n_frames = curves, max(n_frames, 1)
        if limits is None:
            ends = [
                end for c in curves if len(c.values) for end in (c.values.min(), c.values.max())
            ]
            limits = (min([0.0, *map(float, ends)]), max([1e-6, *map(float, ends)]))
        self._low, self._high = limits
        if (self._n_frames, *limits) != scale:
            self._redraw()
        elif self._sketch is None:
            self._begin()
        else:  # or one that takes longer than until the next curves would never be done
            self._is_stale = True
        self.update()

    def show_frame(self, frame: int) -> None:
        """Mark the current frame."""
        if frame != self._frame:
            self._frame = frame
            self.update()

    def show_current(self, object_id: int) -> None:
        """Draw one object over all others."""
        if object_id != self._current:
            self._current = object_id
            self.update()

    def x_of(self, frame: float) -> float:
        """Give where a frame is, in pixels from the left."""
        return LEFT + frame / max(self._n_frames - 1, 1) * (self.width() - LEFT - RIGHT)

    def y_of(self, value: float) -> float:
        """Give where a value is, in pixels from the top."""
        share = (value - self._low) / max(self._high - self._low, 1e-12)
        return self.height() - BOTTOM - share * (self.height() - TOP - BOTTOM)

    def frame_at(self, x: float) -> int:
        """Give the frame at so many pixels from the left."""
        share = (x - LEFT) / max(self.width() - LEFT - RIGHT, 1)
        return int(np.clip(round(share * (self._n_frames - 1)), 0, self._n_frames - 1))

    def nearest(self, x: float, y: float) -> Curve | None:
        """Give the curve nearest to a position, if any is near."""
        frame, found = self.frame_at(x), []
        for curve in self._curves:
            place = int(np.searchsorted(curve.frames, frame))
            if place < len(curve.frames) and curve.frames[place] == frame:
                far = abs(self.y_of(float(curve.values[place])) - y)
                # Of lines that lie on each other the current one.
                found.append((far, curve.object_id != self._current, curve))
        best = min(found, key=lambda one: one[:2], default=None)
        return best[2] if best is not None and best[0] <= REACH else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to a frame and an object; called by Qt."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            x, y = event.position().x(), event.position().y()
            curve = self.nearest(x, y)
            self.picked.emit(self.frame_at(x), curve.object_id if curve else 0)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go through frames while the button is down; called by Qt."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.picked.emit(self.frame_at(event.position().x()), 0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw anew; called by Qt."""
        self._redraw()

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw anew in another theme; called by Qt."""
        super().changeEvent(event)
        if event is not None and event.type() in {
            QEvent.Type.PaletteChange,
            QEvent.Type.StyleChange,
        }:
            self._redraw()

    def event(self, event: QEvent | None) -> bool:
        """Say what is under the mouse; called by Qt."""
        if isinstance(event, QHelpEvent):
            frame = self.frame_at(event.pos().x())
            curve, text = self.nearest(event.pos().x(), event.pos().y()), f"frame {frame}"
            if curve is not None:
                value = curve.values[int(np.searchsorted(curve.frames, frame))]
                text += f", {curve.name}: {value:.3g}"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw; called by Qt."""
        if self._drawn is None and self._sketch is None:
            self._begin()
        if self._sketch is not None:
            self._draw_on()
        painter = QPainter(self)
        if (picture := self._drawn or self._sketch) is not None:
            painter.drawPixmap(0, 0, picture)
        for curve in (one for one in self._curves if one.object_id == self._current):
            self._draw_curve(painter, curve, is_current=True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(self._ink(), 1))
        x = round(self.x_of(self._frame))
        painter.drawLine(x, TOP - 4, x, self.height() - BOTTOM + 3)
        painter.end()

    def _redraw(self) -> None:
        """Draw anew, as all lies elsewhere or has other colours."""
        self._drawn = self._sketch = None
        self.update()

    def _begin(self) -> None:
        """Begin another picture."""
        ratio = self.devicePixelRatioF()
        self._sketch = pixmap = QPixmap(self.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(0, 0, 0, 0))
        painter = QPainter(pixmap)
        self._draw_axes(painter)
        painter.end()
        self._left, self._is_stale = deque(self._curves), False
        self._step = math.ceil(2 * len(self._curves) * self.width() / MOST_POINTS)  # pixels
        n_marks = sum(len(one.prompted) + len(one.locked) for one in self._curves)
        self._is_marked = n_marks <= MOST_MARKS
        self._next.start(0)

    def _draw_on(self) -> None:
        """Draw as many curves as there is time for now."""
        if self._sketch is None:
            return
        begun, painter = perf_counter(), QPainter(self._sketch)
        while self._left:
            self._draw_curve(painter, self._left.popleft())
            if perf_counter() - begun > SLICE:
                break
        painter.end()
        if self._left:
            self._next.start(0)
            return
        self._drawn, self._sketch = self._sketch, None
        self.update()
        if self._is_stale:
            self._begin()

    def _ink(self, strength: float = 1.0) -> QColor:
        color = QColor(self.palette().windowText().color())
        color.setAlphaF(strength)
        return color

    def _faint(self, color: QColor) -> QColor:
        """Mix a colour with what is below it: to draw see-through takes five times as long."""
        below = self.palette().window().color()
        pairs = zip(color.getRgbF()[:3], below.getRgbF()[:3], strict=True)
        return QColor.fromRgbF(*(0.6 * (one or 0) + 0.4 * (other or 0) for one, other in pairs))

    def _draw_curve(self, painter: QPainter, curve: Curve, *, is_current: bool = False) -> None:
        smooth = is_current or len(self._curves) <= MOST_SMOOTH
        color = curve.color if is_current else self._faint(curve.color)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
        painter.setPen(QPen(color, 2.0 if is_current else 1.2 if smooth else 1.0))
        for part in self._lines(curve, 1 if is_current else self._step):
            painter.drawPolyline(part)
        if is_current or self._is_marked:
            self._draw_marks(painter, curve)

    def _draw_axes(self, painter: QPainter) -> None:
        right, bottom = self.width() - RIGHT, self.height() - BOTTOM
        painter.setPen(QPen(self._ink(0.25), 1))
        for y in (TOP, (TOP + bottom) // 2, bottom):
            painter.drawLine(LEFT, y, right, y)
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        painter.setPen(self._ink(0.8))
        to_right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value, y in ((self._high, TOP), (self._low, bottom)):
            painter.drawText(QRectF(0, y - 7, LEFT - 4, 14), to_right, _short(value))
        below = QRectF(LEFT, bottom + 3, right - LEFT, 14)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, "frame")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, str(self._n_frames - 1))

    def _lines(self, curve: Curve, step: int) -> list[QPolygonF]:
        """Give a curve as lines, interrupted where it is not known; columns are `step` wide."""
        xs = self.x_of(0) + curve.frames * (self.x_of(1) - self.x_of(0))
        ys = self.y_of(0) + curve.values * (self.y_of(1) - self.y_of(0))
        parts = []
        is_whole = len(xs) and curve.frames[-1] - curve.frames[0] + 1 == len(xs)
        breaks = np.zeros(0, int) if is_whole else np.flatnonzero(np.diff(curve.frames) > 1) + 1
        for x, y in zip(np.split(xs, breaks), np.split(ys, breaks), strict=True):
            if len(x) > 2 * self.width() / step:
                x, y = _by_column(x, y, step)
            if len(x) == 1:  # a line without length is not drawn
                x, y = np.array([x[0] - 1, x[0] + 1]), np.repeat(y, 2)
            parts.append(_polygon(x, y))
        return parts

    def _draw_marks(self, painter: QPainter, curve: Curve) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(self._ink(), 1))
        painter.setBrush(curve.color)
        for place in self._places(curve, curve.prompted):
            painter.drawEllipse(place, DOT, DOT)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for place in self._places(curve, curve.locked):
            square = QRectF(0, 0, 2 * DOT + 2, 2 * DOT + 2)
            square.moveCenter(place)
            painter.drawRect(square)

    def _places(self, curve: Curve, frames: Sequence[int]) -> list[QPointF]:
        """Give where a curve is on some frames, as far as it is known."""
        if not len(frames):
            return []
        known = np.isin(curve.frames, frames)
        pairs = zip(curve.frames[known].tolist(), curve.values[known].tolist(), strict=True)
        return [QPointF(self.x_of(frame), self.y_of(value)) for frame, value in pairs]


def _by_column(x: np.ndarray, y: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep the highest and the lowest of each column of so many pixels."""
    columns = np.floor(x / step)
    starts = np.flatnonzero(np.diff(columns, prepend=-np.inf))
    high, low = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    return np.repeat(columns[starts] * step, 2), np.stack([high, low], axis=1).ravel()


def _polygon(x: np.ndarray, y: np.ndarray) -> QPolygonF:
    """Make a polygon by Qt's own format: a point at a time takes fifteen times as long."""
    points = np.stack([x, y], axis=1).astype(">f8").tobytes()
    polygon = QPolygonF()
    stream: Any = QDataStream(QByteArray(struct.pack(">I", len(x)) + points))
    _ = stream >> polygon
    return polygon


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.3g}"
