"""What a hand does in the window, and what an eye sees there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from qtpy.QtCore import QPoint, Qt, QThreadPool
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from collections.abc import Callable

PREVIEW, LABELS = "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def wait_until(condition: Callable[[], Any], timeout: float = WAIT) -> None:
    """Let the window work until something holds; give up after so many ms."""
    deadline = time.monotonic() + timeout / 1000
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"This does not hold after {timeout:.0f} ms: {condition}")
        QTest.qWait(10)


def settle(dock):
    """Wait until all is done that was asked for, also what begins when the hand rests."""
    annotator = dock.annotator
    QTest.qWait(60)
    wait_until(lambda: not (annotator.is_busy or annotator._edits.is_running))
    QTest.qWait(50)


def shut(dock):
    """Close a dock for good, and wait until its threads have ended."""
    dock.annotator.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    dock.annotator.autosaver.wait()


class Hand:
    """What a hand does, and what an eye sees."""

    @staticmethod
    def rectangle(row0, column0, row1, column1, frame=0):
        return [
            [frame, r, c]
            for r, c in ((row0, column0), (row0, column1), (row1, column1), (row1, column0))
        ]

    @staticmethod
    def take_up(dock, tool, kind):
        """Choose a tool as one does, and give the layer it draws on."""
        button = dock.panels.prompts.tools[tool]
        if not button.isChecked():
            button.click()
        return next(layer for layer in dock.annotator.layers.layers() if isinstance(layer, kind))

    def add_points(self, dock, *points):
        """Add points in pixels of the image: (frame, row, column)."""
        layer = self.take_up(dock, "point", Points)
        for point in points:
            layer.add(point)
        return layer

    def add_boxes(self, dock, *boxes):
        layer = self.take_up(dock, "box", Shapes)
        for box in boxes:
            layer.add_rectangles(box)
        return layer

    def follow(self, dock, *points):
        """Add points, if any, and follow what is prompted to the end."""
        if points:
            self.add_points(dock, *points)
        dock.annotator.propagate()
        self.wait_until_idle(dock)

    @staticmethod
    def previewed(viewer) -> set[int]:
        return (
            set(np.unique(viewer.layers[PREVIEW].data)) - {0} if PREVIEW in viewer.layers else set()
        )

    @staticmethod
    def frames_with_labels(viewer) -> list[int]:
        return np.flatnonzero(viewer.layers[LABELS].data.any(axis=(1, 2))).tolist()

    @staticmethod
    def wait_until_idle(dock):
        wait_until(dock.panels.track.propagate_button.isEnabled)

    @staticmethod
    def position(viewer, world):
        """Where a place of the world is on the canvas."""
        canvas = viewer.window._qt_viewer.canvas
        transform = canvas.view.scene.transform
        x, y, *_ = transform.map([world[-1], world[-2], 0, 1])
        return QPoint(round(float(x)), round(float(y)))

    def click(self, viewer, world):
        native = viewer.window._qt_viewer.canvas.native
        position = self.position(viewer, world)
        QTest.mouseMove(native, position)
        QTest.mouseClick(native, Qt.MouseButton.LeftButton, pos=position)

    def drag(self, viewer, start, end, pause=20):
        native = viewer.window._qt_viewer.canvas.native
        a, b = self.position(viewer, start), self.position(viewer, end)
        QTest.mouseMove(native, a)
        QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=a)
        for share in (0.3, 0.6, 1.0):
            QTest.mouseMove(native, a + (b - a) * share)
            QTest.qWait(pause)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=b)

    @staticmethod
    def press(viewer, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)
