"""Work is asked for while objects are followed."""

from __future__ import annotations

import copy
import threading
import time

import numpy as np
import pytest
from qtpy.QtCore import QThreadPool, QTimer

from napari_sam2._layers import read_stack
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.session import Session
from napari_sam2.workspace.workspace import Workspace

PREVIEW, LABELS = "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def writers(monkeypatch) -> list[tuple[Workspace, int]]:
    """Which session's workspace wrote each frame of labels, in this order."""
    written: list[tuple[Workspace, int]] = []
    write = Workspace.write

    def noting(self, masks):
        written.append((self, masks.frame))
        write(self, masks)

    monkeypatch.setattr(Workspace, "write", noting)
    return written


class Pulse:
    """Measures how long the window does not answer."""

    def __init__(self) -> None:
        self._last, self.longest = time.monotonic(), 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now


@pytest.mark.parametrize("change", ["contrast", "model"])
def test_session_is_replaced_only_when_following_has_stopped(
    writers, told, following, viewer, gate, tiny_model, qtbot, hand, change
):
    if change == "contrast":
        viewer.layers["blobs"].contrast_limits = (7, 77)
        hand.add_points(following, [0, 31, 41])
    else:
        following.panels.model.names.insertItem(0, "other", copy.deepcopy(tiny_model))
        following.panels.model.names.setCurrentIndex(0)
    pulse = Pulse()
    # The frame that is being computed keeps its thread, but not the window.
    qtbot.wait(400)
    assert hand.previewed(viewer) == set()
    assert following.panels.track.propagate_button.isEnabled()
    assert "Stopped" in told[0]
    assert pulse.longest < 0.3

    gate.open.set()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    old = writers[0][0]
    hand.follow(following)

    sessions = [session for session, _ in writers]
    # No frame of the first after one of the second; nor the one that was under way.
    assert [frame for session, frame in writers if session is old] == [0, 1, 2]
    assert sessions == [old] * 3 + [sessions[-1]] * 8
    assert sessions[-1] is not old
    assert sessions[-1].labels.array is old.labels.array
    assert hand.frames_with_labels(viewer) == list(range(8))


def test_run_that_nobody_stopped_ends_where_its_session_is_replaced(
    writers, following, viewer, gate, hand, qtbot
):
    """The engine's own guard, for whatever the window forgets."""
    annotator = following.annotator
    viewer.layers["blobs"].contrast_limits = (7, 77)
    annotator.follower.give_way = lambda *args: None
    annotator.segment()
    qtbot.wait(50)

    gate.open.set()
    hand.wait_until_idle(following)
    assert QThreadPool.globalInstance().waitForDone(WAIT)

    assert [frame for _, frame in writers] == [0, 1, 2, 3]


def test_contrast_can_be_changed_while_nothing_is_asked_for(following, viewer, gate, hand):
    viewer.layers["blobs"].contrast_limits = (7, 77)

    gate.open.set()
    hand.wait_until_idle(following)

    assert hand.frames_with_labels(viewer) == list(range(8))
    assert "Done" in following.panels.status.label.text()


class Shutter:
    """Stands before each frame that is read."""

    def __init__(self) -> None:
        self.open, self.waiting = threading.Event(), threading.Event()
        self.open.set()
        self.closed_for: set[int] = set()

    def pass_through(self, frame: int) -> None:
        if frame in self.closed_for and not self.open.is_set():
            self.waiting.set()
            assert self.open.wait(20)


@pytest.fixture
def shutter(monkeypatch):
    shutter, read = Shutter(), FrameSource.read

    def gated(self, frame, *region):
        shutter.pass_through(frame)
        return read(self, frame, *region)

    monkeypatch.setattr(FrameSource, "read", gated)
    yield shutter
    shutter.open.set()


def test_preview_while_following_neither_freezes_nor_spoils(
    dock, viewer, blobs, tiny_model, shutter, writers, qtbot, hand, monkeypatch
):
    expected = labels_without_interruption(blobs[0], tiny_model, viewer)
    hand.add_points(dock, [0, 30, 40])
    shutter.closed_for = {3}
    shutter.open.clear()
    dock.annotator.propagate()
    assert shutter.waiting.wait(10)

    pulse = Pulse()
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])
    qtbot.wait(400)
    assert pulse.longest < 0.3
    assert hand.previewed(viewer) == set()
    n_written = len(writers)
    asked_at, prompt = [], Tracker.prompt
    # In the thread that computes: when the window shows it depends on what else the cores do.
    monkeypatch.setattr(
        Tracker, "prompt", lambda *args: asked_at.append(len(writers)) or prompt(*args)
    )
    shutter.open.set()
    hand.wait_until_idle(dock)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {2}, timeout=WAIT)

    # It is the preview's turn after the frame under way, not after the run.
    assert asked_at[0] <= n_written + 3
    np.testing.assert_array_equal(viewer.layers[LABELS].data, expected)


def labels_without_interruption(stack, model, viewer):
    view = read_stack(viewer.layers["blobs"], viewer.dims).view
    session = Session(stack, model, view=view)
    session.add_points(session.add_object(), 0, [[30, 40]])
    for _ in session.propagate():
        pass
    return session.labels


def test_accepting_while_following_keeps_both(following, viewer, gate, qtbot, hand):
    following.annotator.new_object()
    hand.add_points(following, [0, 60, 90])
    gate.open.set()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {2}, timeout=WAIT)
    following.annotator.accept()
    hand.wait_until_idle(following)
    qtbot.waitUntil(lambda: 2 in viewer.layers[LABELS].data, timeout=WAIT)

    assert hand.frames_with_labels(viewer) == list(range(8))
    assert np.unique(viewer.layers[LABELS].data[1:]).tolist() == [0, 1]


def test_going_back_to_an_image_finds_its_objects_again(dock, viewer, blobs, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    other = viewer.add_image(blobs[0][:, ::-1], name="other", scale=(1, 0.5, 0.5))
    dock.panels.image.images.pick(other)
    hand.add_points(dock, [0, 30, 88])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    dock.panels.image.images.pick(viewer.layers["blobs"])
    dock.panels.objects.remove_button.click()

    qtbot.waitUntil(lambda: not viewer.layers[LABELS].data.any(), timeout=WAIT)


def test_choosing_another_model_stops_following_at_once(
    following, viewer, gate, told, tiny_model, hand
):
    following.panels.prompts.live.setChecked(False)
    following.panels.model.use(copy.deepcopy(tiny_model))

    assert following.panels.track.propagate_button.isEnabled()
    assert "Stopped, as another model was chosen: 3 of 8 frames" in told[0]
    gate.open.set()
