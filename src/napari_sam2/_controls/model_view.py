"""A picture of what the model sees."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2._worker import Call, Job

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2.predictors.windows import Window

LARGEST = 230  #: edge of the picture, in pixels of the screen
PAUSE_MS = 80  #: between two pictures, at least


class ModelView(QWidget):
    """A button that opens and closes the picture."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton("What the model sees")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "Shows the frame exactly as the network gets it: channels, contrast limits and\n"
            "gamma applied, at its size; around the current object, where that was looked for."
        )
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.caption = QLabel()
        self.caption.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.picture, self.caption):
            column.addWidget(widget)
        self.button.toggled.connect(self.picture.setVisible)
        self.button.toggled.connect(self.caption.setVisible)
        self.picture.hide()
        self.caption.hide()

    def show_picture(self, pixels: np.ndarray, window: Window, shape: tuple[int, int]) -> None:
        """Show what the network gets, (H, W, 3) uint8, in the proportions of its window."""
        height, width = pixels.shape[:2]
        image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        share = LARGEST / max(window.shape)
        self.picture.setPixmap(
            QPixmap.fromImage(image).scaled(
                max(round(window.width * share), 1),
                max(round(window.height * share), 1),
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )
        part = (
            "the whole frame"
            if window.shape == shape
            else (
                f"rows {window.row} to {window.row + window.height - 1}, "
                f"columns {window.column} to {window.column + window.width - 1}"
            )
        )
        self.caption.setText(f"{part}, as {width} x {height} pixels")


class Looking(QObject):
    """Keeps the picture up to date while it is open.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    parent : QObject
    """

    def __init__(self, viewer: ViewerModel, panels: Panels, bench: Bench, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._view = panels.image.view
        self._job = Job()
        self._followed: list[Any] = []
        self._is_late = False  #: whether something changed while a picture was made
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._make)
        self._view.button.toggled.connect(self.update)
        panels.image.changed.connect(self.update)
        panels.model.changed.connect(self.update)
        panels.objects.current_changed.connect(self.update)
        viewer.dims.events.current_step.connect(self.update)

    def update(self, event: Any = None) -> None:
        """Have a new picture soon, if anyone looks."""
        if self._view.button.isChecked():
            self._follow()
            if not self._timer.isActive():
                self._timer.start()

    def shut(self) -> None:
        """Make no more pictures."""
        self._timer.stop()
        self._job.cancel()
        self._follow(let_go=True)
        self._viewer.dims.events.current_step.disconnect(self.update)

    def _follow(self, *, let_go: bool = False) -> None:
        """Hear of what changes how the chosen layers look."""
        image, wanted = self._panels.image.image(), []
        if image is not None and not let_go:
            wanted = list(self._panels.image.channels.channels().layers) or [image]
        for layers, act in ((self._followed, "disconnect"), (wanted, "connect")):
            for layer in layers:
                for name in ("contrast_limits", "gamma", "colormap", "data"):
                    getattr(getattr(layer.events, name), act)(self.update)
        self._followed = wanted

    def _make(self) -> None:
        if self._job.is_running:  # of what was seen meanwhile only the last is shown
            self._is_late = True
            return
        if self._panels.image.image() is None:
            return
        try:
            stack = self._panels.image.stack()
        except ValueError as error:
            self._view.caption.setText(str(error))
            return
        frame = stack.current_frame(self._viewer.dims)
        current, size = self._panels.objects.current(), self._panels.model.image_size()
        self._job.start(
            Call(
                partial(self._bench.picture, stack, frame, current, size),
                on_step=lambda seen: self._view.show_picture(seen[0], seen[1], stack.shape),
                on_error=lambda error: self._view.caption.setText(str(error)),
                on_done=self._catch_up,
            )
        )

    def _catch_up(self) -> None:
        if self._is_late:
            self._is_late = False
            self._timer.start()
