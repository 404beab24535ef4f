"""A dock, a window, and a hand to drive them."""

from __future__ import annotations

import threading

import pytest
from hand import Hand, settle, shut
from napari.components import ViewerModel
from qtpy.QtCore import Qt, QThreadPool

from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.tracker import Tracker

POINTS, SHAPES, PREVIEW, LABELS = "SAM 2 points", "SAM 2 shapes", "SAM 2 preview", "SAM 2 labels"
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
WAIT = 10_000  #: ms, for what a worker does
KEYS = ("S", "Shift-S", "T", "C", "Shift-C", "N")


class Gate:
    """Stands before each frame that is tracked."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.open.set()
        self.threads: set[threading.Thread] = set()
        self.error: Exception | None = None
        self.closes_at: int | None = None
        self.passed: list[int] = []  #: frames

    def pass_through(self, frame: int) -> None:
        self.threads.add(threading.current_thread())
        if frame == self.closes_at:
            self.open.clear()
        if not self.open.is_set():
            self.entered.set()
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error
        self.passed.append(frame)


@pytest.fixture(autouse=True)
def _cores_for_the_window(one_thread):
    pass


@pytest.fixture
def gate(monkeypatch):
    gate, step = Gate(), Tracker.step

    def gated(self, object_ids, frame, *, reverse=False):
        gate.pass_through(frame)
        return step(self, object_ids, frame, reverse=reverse)

    monkeypatch.setattr(Tracker, "step", gated)
    yield gate
    gate.open.set()


@pytest.fixture
def following(dock, gate, qtbot, hand):
    """Object 1 is followed, and frame 3 is being computed."""
    hand.add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: dock.panels.status.bar.value() == 3, timeout=WAIT)
    gate.closes_at = None
    return dock


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What pops up."""
    messages: list[str] = []
    for kind in ("show_error", "show_info"):
        monkeypatch.setattr(f"napari_sam2._controls.status.{kind}", messages.append)
    return messages


@pytest.fixture
def viewer(blobs) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(blobs[0], name="blobs", scale=(1, 0.5, 0.5))
    viewer.dims.set_point(0, 0)
    return viewer


@pytest.fixture
def open_dock(tiny_model, qtbot):
    """Opens docks that are shut again, without a window."""
    docks = []

    def open_dock(viewer):
        dock = AnnotateWidget(viewer, model=tiny_model)
        qtbot.addWidget(dock, before_close_func=lambda dock: dock.annotator.shut())
        docks.append(dock)
        return dock

    yield open_dock
    for dock in docks:
        shut(dock)


@pytest.fixture
def dock(viewer, open_dock):
    """A dock without a window: for what needs neither mouse nor keys."""
    return open_dock(viewer)


@pytest.fixture
def worked(dock, hand):
    """A dock in which an object was followed."""
    hand.follow(dock, [0, 30, 40])
    return dock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.sam2"


@pytest.fixture
def window(make_napari_viewer, blobs, qtbot):
    """A real window with a stack of blobs."""
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1100, 800)
    viewer.add_image(blobs[0], name="blobs", scale=(1, 0.5, 0.5))
    viewer.dims.set_point(0, 0)
    qtbot.wait(50)
    yield viewer
    assert QThreadPool.globalInstance().waitForDone(WAIT)


@pytest.fixture
def docked(window, tiny_model, qtbot):
    """The dock in the window."""
    widget = AnnotateWidget(window, model=tiny_model)
    window.window.add_dock_widget(widget, name="SAM 2")
    qtbot.wait(50)
    return widget


@pytest.fixture
def prompted(monkeypatch) -> list[tuple[int, int]]:
    """Which object the model was asked for, on which frame, in this order."""
    asked: list[tuple[int, int]] = []
    prompt = Tracker.prompt

    def noting(self, object_id, frame, *args):
        asked.append((object_id, frame))
        return prompt(self, object_id, frame, *args)

    monkeypatch.setattr(Tracker, "prompt", noting)
    return asked


@pytest.fixture
def hand(qtbot) -> Hand:
    return Hand()


@pytest.fixture
def keys(window, docked, hand):
    """Presses keys in the window, and waits until all is done."""

    class Presses:
        def press(self, key, modifier):
            hand.press(window, key, modifier)
            settle(docked)

        def undo(self):
            self.press(Qt.Key.Key_Z, CTRL)

        def redo(self):
            self.press(Qt.Key.Key_Z, CTRL | SHIFT)

    return Presses()
