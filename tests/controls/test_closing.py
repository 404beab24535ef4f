"""What was done just before the end is not lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from time import monotonic

import numpy as np
import pytest
from hand import settle
from qtpy.QtCore import QThreadPool

from napari_sam2._controls.bench import Bench
from napari_sam2._controls.timeline import RETRY_MS
from napari_sam2._worker import Call, Queue, Steps, ignore
from napari_sam2.autosave import find_unsaved
from napari_sam2.session import Session

LABELS = "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def saved(dock, data, model):
    """Give the session that is in the one file of unsaved work."""
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    dock.annotator.autosaver.wait()
    (found,) = find_unsaved()
    return Session.load(found.path, data, model)


@pytest.fixture
def just_clicked(docked, hand):
    """Object 1 was followed, and has just been clicked again."""
    hand.follow(docked, [0, 30, 40])
    settle(docked)
    hand.add_points(docked, [3, 36, 40])


@pytest.mark.usefixtures("just_clicked")
def test_click_before_the_dock_is_closed_is_saved(window, docked, blobs, tiny_model):
    window.window.remove_dock_widget(docked)

    assert list(saved(docked, blobs[0], tiny_model).objects[1].prompts) == [0, 3]
    docked.deleteLater()


def test_first_click_before_the_dock_is_closed_is_saved(window, docked, hand, blobs, tiny_model):
    hand.add_points(docked, [0, 30, 40])

    window.window.remove_dock_widget(docked)

    assert list(saved(docked, blobs[0], tiny_model).objects[1].prompts) == [0]
    docked.deleteLater()


@pytest.mark.usefixtures("just_clicked")
def test_click_before_the_viewer_is_closed_is_saved(window, docked, blobs, tiny_model):
    window.close()

    assert list(saved(docked, blobs[0], tiny_model).objects[1].prompts) == [0, 3]


def test_prompts_of_all_layers_stay_when_the_viewer_is_closed(
    window, docked, hand, qtbot, blobs, tiny_model
):
    hand.add_points(docked, [0, 30, 40])
    docked.annotator.new_object()
    hand.add_boxes(docked, hand.rectangle(45, 75, 75, 105))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1, 2}, timeout=WAIT)
    qtbot.waitUntil(lambda: not docked.annotator.is_busy, timeout=WAIT)

    window.close()  # takes the layers out one by one

    session = saved(docked, blobs[0], tiny_model)
    assert [len(session.prompts(object_id, 0)) for object_id in (1, 2)] == [1, 1]


def test_edits_that_wait_when_the_dock_is_closed_are_made(
    window, docked, hand, qtbot, blobs, tiny_model, monkeypatch
):
    hand.follow(docked, [0, 30, 40])
    qtbot.waitUntil(lambda: not docked.annotator.is_busy, timeout=WAIT)
    free, use = threading.Event(), Bench.use

    def held(self, task, act):
        assert free.wait(20)
        yield from use(self, task, act)

    monkeypatch.setattr(Bench, "use", held)
    docked.annotator.reviewer.toggle_lock()
    window.dims.set_point(0, 2)
    docked.annotator.reviewer.toggle_lock()
    before = monotonic()

    window.window.remove_dock_widget(docked)

    assert monotonic() - before < 0.5
    free.set()
    assert saved(docked, blobs[0], tiny_model).locked(1) == [0, 2]
    docked.deleteLater()


def test_nothing_is_saved_of_a_dock_without_work(window, docked):
    window.window.remove_dock_widget(docked)
    docked.annotator.autosaver.wait()

    assert find_unsaved() == []
    docked.deleteLater()


def count(done, n):
    done.append(n)
    yield n


def test_steps_are_gone_through_once():
    done = []
    steps = Steps(partial(count, done, 1))
    list(steps())

    steps.finish()

    assert done == [1]


def test_steps_that_nobody_has_begun_are_finished_here():
    done = []

    Steps(partial(count, done, 1)).finish()

    assert done == [1]


def test_queue_hands_over_what_is_not_done(qtbot):
    done, entered, free, queue = [], threading.Event(), threading.Event(), Queue()

    def slow():
        entered.set()
        assert free.wait(20)
        done.append(0)
        yield

    ignore = partial(lambda outcome: None)
    queue.add(Call(slow, ignore, ignore))
    for n in (1, 2):
        queue.add(Call(partial(count, done, n), ignore, ignore))
    assert entered.wait(10)

    rest = queue.hand_over()
    threading.Timer(0.1, free.set).start()
    for steps in rest:
        steps.finish()

    assert done == [0, 1, 2]
    assert not queue.is_running
    assert QThreadPool.globalInstance().waitForDone(WAIT)


@pytest.fixture
def in_channels(window, docked, blobs, hand, qtbot):
    """A run on an image with an axis of channels, (T, C, Y, X)."""
    window.layers.clear()
    data = np.stack([blobs[0], blobs[0] // 2], axis=1)
    image = window.add_image(data, name="two channels")
    docked.panels.image.channels.kinds.setCurrentIndex(
        docked.panels.image.channels.kinds.findData(1)
    )
    docked.panels.image.channels.kinds.activated.emit(0)
    docked.panels.prompts.take_up("point")
    window.dims.set_point(0, 0)
    layer = next(layer for layer in docked.annotator.layers.layers())
    layer.add(layer.world_to_data(image.data_to_world((0, 0, 30, 40))))
    hand.follow(docked)
    qtbot.wait(300)
    return data


def test_strokes_on_labels_of_channels_are_saved(in_channels, window, docked, tiny_model):
    layer = window.layers[LABELS]
    assert layer.data.shape == (8, 1, 96, 128)
    layer.brush_size = 5
    layer.paint((6, 0, 80, 20), 9)

    docked.annotator.shut()

    docked.annotator.autosaver.wait()
    (found,) = find_unsaved()
    loaded = Session.load(found.path, in_channels, tiny_model)
    assert loaded.labels[6, 80, 20] == 9
    np.testing.assert_array_equal(loaded.labels, layer.data[:, 0])


def test_strokes_on_labels_of_channels_are_undone_in_their_turn(
    in_channels, window, docked, hand, qtbot
):
    from qtpy.QtCore import Qt

    layer = window.layers[LABELS]
    window.layers.selection.active = layer
    before = layer.data.copy()
    layer.paint((0, 0, 90, 120), 9)
    painted = layer.data.copy()
    docked.annotator.new_object()
    qtbot.wait(100)

    hand.press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.wait(100)
    np.testing.assert_array_equal(layer.data, painted)
    assert list(docked.panels.objects.names()) == [1]
    hand.press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.wait(100)

    np.testing.assert_array_equal(layer.data, before)


def test_undo_that_waits_when_the_dock_is_closed_does_nothing(dock, hand, qtbot):
    points = hand.add_points(dock, [0, 30, 40])
    settle(dock)
    under_way = threading.Event()

    def work():
        yield under_way.wait(WAIT / 1000)

    dock.annotator._edits.add(Call(work, ignore, ignore))
    dock.annotator.timeline.undo()

    dock.annotator.shut()
    under_way.set()
    qtbot.wait(5 * RETRY_MS)

    assert len(points.data) == 1


ENDING = """
import sys
import numpy as np
from napari.components import ViewerModel
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from napari_sam2._widget import AnnotateWidget

application = QApplication([])
viewer = ViewerModel()
viewer.add_image(np.load(sys.argv[1]), name="blobs")
dock = AnnotateWidget(viewer)
dock.panels.prompts.live.setChecked(False)
dock.panels.prompts.tools["point"].click()
viewer.layers["SAM 2 points"].add([0, 30, 40])
dock.annotator.session()
dock.annotator.autosaver.save()
dock.annotator.autosaver.wait()
viewer.layers["SAM 2 points"].add([3, 36, 40])
"""


def test_click_before_a_script_ends_with_the_dock_open_is_saved(blobs, tmp_path, tiny_model):
    np.save(tmp_path / "stack.npy", blobs[0])
    command = [sys.executable, "-c", ENDING, str(tmp_path / "stack.npy")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    (found,) = find_unsaved()
    session = Session.load(found.path, blobs[0], tiny_model)
    assert list(session.objects[1].prompts) == [0, 3]


def test_last_save_is_made_where_no_thread_can_be_begun(dock, hand, blobs, tiny_model):
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    dock.annotator.autosaver._thread.shutdown()

    dock.annotator.shut()

    assert list(saved(dock, blobs[0], tiny_model).objects[1].prompts) == [0]
