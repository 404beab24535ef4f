"""A user before a real window: what they do there with mouse and keys, and what they see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hand import LABELS, Hand, wait_until
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QScrollArea
from windows import choose_in_menu

from napari_sam2._widget import AnnotateWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    from qtpy.QtWidgets import QWidget

DOCK = ("Plugins", "napari-sam2", "SAM 2 (napari-sam2)")
WINDOW = (1280, 800)  #: pixels
PATIENCE = 60_000  #: ms, for one step of the model
DRAG_STEPS = 6


class Camera:
    """Watches a user, and takes no pictures."""

    def look(self, user: User, what: str) -> None:
        """See what something has led to."""

    def glimpse(self, user: User) -> None:
        """See what is going on: called again and again while something is waited for."""

    def follow(self, user: User, place: QPoint) -> None:
        """See where the hand is, on the screen, before it clicks."""


class User:
    """Uses a window.

    Parameters
    ----------
    open_window : callable
        Gives an empty window of napari.
    camera : Camera, optional
    size : sequence of int
        Width and height of the window, in pixels.
    is_bare : bool
        Whether napari's own lists at the left are put away.
    """

    viewer: napari.Viewer
    dock: AnnotateWidget

    def __init__(
        self,
        open_window: Callable[[], napari.Viewer],
        camera: Camera | None = None,
        size: Sequence[int] = WINDOW,
        *,
        is_bare: bool = False,
    ) -> None:
        self._open_window, self._size, self._is_bare = open_window, size, is_bare
        self.camera, self.hand = camera or Camera(), Hand()

    # -- what is seen

    @property
    def frame(self) -> int:
        """Which one is shown."""
        return int(self.viewer.dims.current_step[0])

    @property
    def said(self) -> str:
        """What the dock has said last."""
        return self.dock.panels.status.label.text()

    def labels(self) -> np.ndarray:
        """What is in the labels, (T, Y, X)."""
        return np.asarray(self.viewer.layers[LABELS].data)

    # -- what is done

    def open_window(self) -> None:
        self.viewer = self._open_window()
        self.viewer.window.resize(*self._size)
        if self._is_bare:
            window = self.viewer.window._qt_viewer
            for part in (window.dockLayerList, window.dockLayerControls):
                part.hide()

    def open_dock(self) -> None:
        choose_in_menu(self.viewer, *DOCK)
        self.dock = self.viewer.window._qt_window.findChild(AnnotateWidget)
        QTest.qWait(200)  # the dock takes room from the image
        self.viewer.reset_view()

    def show(self, widget: QWidget) -> None:
        """Scroll the dock to a part of it."""
        QTest.qWait(50)  # for what has just been unfolded
        parent = widget.parentWidget()
        while parent is not None:
            if isinstance(parent, QScrollArea):
                parent.ensureWidgetVisible(widget)
            parent = parent.parentWidget()
        QTest.qWait(50)

    def press(self, button: QAbstractButton) -> None:
        """Click a button that can be seen."""

        def is_seen() -> bool:  # what is unfolded just now is scrolled to, too
            self.show(button)
            return not button.visibleRegion().isEmpty()

        self.wait(is_seen)
        assert button.isEnabled()
        middle = button.rect().center()
        self.camera.follow(self, button.mapToGlobal(middle))
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=middle)

    def click(self, place: tuple[float, float]) -> None:
        """Click a place of the image: (row, column)."""
        self._point_at(place)
        self.hand.click(self.viewer, place)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the button at a place of the image, and let it go at another."""
        native, left = self.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.LeftButton
        a, b = (self.hand.position(self.viewer, place) for place in (start, end))
        self._point_at(start)
        QTest.mouseMove(native, a)
        QTest.mousePress(native, left, pos=a)
        for step in range(1, DRAG_STEPS + 1):
            here = a + (b - a) * (step / DRAG_STEPS)
            QTest.mouseMove(native, here)
            QTest.qWait(20)
            self.camera.follow(self, native.mapToGlobal(here))
        QTest.mouseRelease(native, left, pos=b)

    def move_slider(self, frame: int) -> None:
        self.viewer.window._qt_viewer.dims.slider_widgets[0].slider.setValue(frame)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        QTest.qWait(100)

    def wait(self, condition: Callable[[], object]) -> None:
        def watch() -> object:
            self.camera.glimpse(self)
            return condition()

        wait_until(watch, PATIENCE)

    def wait_for_answers(self) -> None:
        """Wait for previews."""
        self.wait(lambda: not self.dock.annotator.is_busy)

    def wait_for_run(self) -> None:
        """Wait until objects have been followed."""
        self.wait(self.dock.panels.track.propagate_button.isEnabled)

    def _point_at(self, place: tuple[float, float]) -> None:
        canvas = self.viewer.window._qt_viewer.canvas.native
        self.camera.follow(self, canvas.mapToGlobal(self.hand.position(self.viewer, place)))
