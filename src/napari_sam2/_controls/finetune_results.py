"""What came of fine-tuning: scores, and pictures of the same objects before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_sam2.training.finetune_options import FineTuned

ACROSS = 3  #: pictures in a row
EDGE = 96  #: pixels of a picture


class FineTuneResults(QWidget):
    """Shows a table of scores, and pairs of pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scores = QLabel()
        self.scores.setWordWrap(True)
        self.pictures: list[QLabel] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.scores)
        self.hide()

    def clear(self) -> None:
        """Show nothing."""
        for label in self.pictures:
            label.setParent(None)
            label.deleteLater()
        self.pictures = []
        self.hide()

    def show_result(self, result: FineTuned) -> None:
        """Show what came of a run."""
        from napari_sam2.evaluation.pictures import lay_out

        self.clear()
        self.scores.setText(table(result))
        for begin in range(0, len(result.pictures), ACROSS):
            pairs = result.pictures[begin : begin + ACROSS]
            sheet = lay_out(list(zip(*pairs, strict=True)), EDGE)
            if sheet is not None:
                label = QLabel()
                label.setPixmap(_pixmap(sheet))
                label.setToolTip(
                    "Above: before. Below: after.\nGreen: as you drew it. Orange: what one click "
                    "finds.\n" + "\n".join(before.title for before, _ in pairs)
                )
                self.pictures.append(label)
                self._column.addWidget(label)
        self.show()


def table(result: FineTuned) -> str:
    """Write the scores as rich text."""
    rows = [("one click", result.before.click, result.after.click)]
    rows.append(("box", result.before.box, result.after.box))
    if result.before.track is not None and result.after.track is not None:
        rows.append(("followed", result.before.track, result.after.track))
    body = "".join(
        f"<tr><td>{name}</td><td align=right>&nbsp; {before:.2f}</td>"
        f"<td align=right>&nbsp; <b>{after:.2f}</b></td></tr>"
        for name, before, after in rows
    )
    what = "held-out objects" if result.is_honest else "the objects that were learnt from"
    legend = (
        "<p>Above: before, below: after. Green: as you drew it; orange: what one click finds.</p>"
        if result.pictures
        else ""
    )
    return (
        f"<p>Mean IoU of {result.after.n_objects} {what}:</p><table><tr><td></td>"
        f"<td>&nbsp; before</td><td>&nbsp; after</td></tr>{body}</table>{legend}"
    )


def _pixmap(picture: np.ndarray) -> QPixmap:  # (H, W, 4), uint8
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture)
    # A copy: Qt does not keep the array.
    image = QImage(data.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
    return QPixmap.fromImage(image)
