"""The masks that are offered for a click, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from napari_sam2.prompts import OFFERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PICTURE = 76  #: edge, in pixels of the screen
#: The one that is taken stands out in any theme.
STYLE = """
QToolButton { border: 2px solid transparent; border-radius: 4px; padding: 1px; }
QToolButton:hover { border-color: rgba(255, 212, 0, 90); }
QToolButton:checked { border-color: #ffd400; }
"""
OUTLINE, SHADE = QColor("#ffd400"), QColor(0, 0, 0, 160)


class CandidateStrip(QWidget):
    """A small picture of each mask, and how sure the network is of it; one of them is taken."""

    chosen = Signal(int)  #: the place of the picture that was clicked

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = tuple(QToolButton() for _ in range(OFFERED))
        self.setStyleSheet(STYLE)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for place, button in enumerate(self.buttons):
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(PICTURE, PICTURE))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setToolTip(
                f"What the click may mean, and the IoU that the network predicts.\n"
                f"Press {place + 1}, or click, to take this one: accepting, propagating and\n"
                "further clicks go on from it."
            )
            button.clicked.connect(lambda checked, place=place: self.chosen.emit(place))
            row.addWidget(button, 1)
        self.hide()

    def offer(
        self,
        picture: np.ndarray,
        outlines: Sequence[Sequence[np.ndarray]],
        ious: Sequence[float],
        chosen: int,
    ) -> None:
        """Show masks.

        Parameters
        ----------
        picture : np.ndarray, shape (H, W, 3), uint8
            What they lie in.
        outlines : sequence of sequence of np.ndarray, shape (N, 2)
            Of each mask, in (row, column) of the picture.
        ious : sequence of float
            Predicted, of each mask.
        chosen : int
            Which one is taken.
        """
        for place, (button, of_mask, iou) in enumerate(
            zip(self.buttons, outlines, ious, strict=False)
        ):
            button.setIcon(QIcon(_paint(picture, of_mask)))
            button.setText(f"{place + 1}:  IoU {iou:.2f}")
        self.mark(chosen)
        self.show()

    def mark(self, chosen: int) -> None:
        """Press the button of the mask that is taken."""
        self.buttons[chosen].setChecked(True)


def _paint(picture: np.ndarray, outlines: Sequence[np.ndarray]) -> QPixmap:
    """Paint outlines on a picture, as large as a button shows it."""
    height, width = picture.shape[:2]
    data = picture.tobytes()
    image = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
    scale = PICTURE / max(height, width)
    size = QSize(max(round(width * scale), 1), max(round(height * scale), 1))
    pixmap = QPixmap.fromImage(image).scaled(
        size,
        Qt.AspectRatioMode.IgnoreAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for color, thickness in ((SHADE, 3.5), (OUTLINE, 1.8)):
        painter.setPen(QPen(color, thickness))
        for outline in outlines:
            # Pixel centres lie half a pixel inside.
            corners = [QPointF((x + 0.5) * scale, (y + 0.5) * scale) for y, x in outline.tolist()]
            painter.drawPolyline(QPolygonF(corners))
    painter.end()
    return pixmap
