"""What is painted is taken back, in the order in which it was done."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle, wait_until
from qtpy.QtCore import Qt

from napari_sam2._controls.painting import NAME

POINTS = "SAM 2 points"
WAIT = 10_000  #: ms, for what a worker does
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def brush(window, docked, hand, keys):
    """Drag the brush, as a hand does, from (row, column) to another in the world."""

    def drag(start, end):
        docked.panels.prompts.take_up("brush")
        window.layers[NAME].brush_size = 7
        hand.drag(window, start, end)
        settle(docked)
        return window.layers[NAME]

    return drag


def told(docked):
    return docked.panels.undo.undo_button.toolTip()


def test_strokes_and_clicks_are_undone_in_their_order(window, docked, hand, keys, brush):
    layer = brush((15, 20), (15, 30))
    first = layer.data.copy()
    docked.annotator.new_object()
    points = hand.add_points(docked, [3, 60, 90])
    settle(docked)
    brush((30, 40), (30, 50))
    second = layer.data.copy()
    assert set(np.unique(second)) == {0, 1, 2}
    assert told(docked) == "Undo: paint object 2"

    keys.undo()
    np.testing.assert_array_equal(layer.data, first)
    assert len(points.data) == 1
    keys.undo()
    assert not len(points.data)
    np.testing.assert_array_equal(layer.data, first)
    keys.undo()
    keys.undo()
    assert not layer.data.any()
    for _ in range(4):
        keys.redo()

    np.testing.assert_array_equal(layer.data, second)
    assert len(points.data) == 1


def test_stroke_is_one_step_however_long_it_takes(window, docked, qtbot, hand, keys):
    docked.panels.prompts.take_up("brush")
    hand.drag(window, (15, 20), (15, 40), pause=160)  # longer than a preview waits
    settle(docked)

    keys.undo()

    assert not window.layers[NAME].data.any()


def test_cleared_paint_comes_back(window, docked, qtbot, hand, keys, brush):
    layer = brush((15, 20), (15, 30))
    painted = layer.data.copy()
    docked.annotator.clear_prompts()
    settle(docked)
    assert not layer.data.any()
    assert told(docked) == "Undo: clear what is painted"

    keys.undo()
    np.testing.assert_array_equal(layer.data, painted)
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    keys.redo()

    assert not layer.data.any()


def test_removed_object_comes_back_with_its_paint_in_one_step(docked, keys, brush):
    layer = brush((15, 20), (15, 30))
    painted = layer.data.copy()
    docked.panels.objects.remove([1])
    settle(docked)
    assert not layer.data.any()

    keys.undo()

    np.testing.assert_array_equal(layer.data, painted)
    assert docked.panels.objects.names() == {1: "object 1"}
    keys.redo()
    assert not layer.data.any()


def test_layer_of_paint_that_was_removed_comes_back(window, docked, keys, brush):
    layer = brush((15, 20), (15, 30))
    window.layers.remove(layer)
    settle(docked)

    keys.undo()

    assert layer in window.layers
    assert docked.annotator.session().objects[1].prompts.keys() == {0}
    keys.redo()
    assert layer not in window.layers


def test_labels_that_were_taken_over_are_taken_back(window, docked, blobs, qtbot, keys):
    given = window.add_labels(np.where(blobs[1] == 1, 7, 0).astype(np.int32), name="cells")
    docked.panels.prompts.labels.pick(given)
    docked.panels.prompts.use_all.click()
    qtbot.waitUntil(lambda: NAME in window.layers, timeout=WAIT)
    settle(docked)
    layer = window.layers[NAME]
    np.testing.assert_array_equal(layer.data, given.data)

    while docked.panels.undo.undo_button.isEnabled():
        keys.undo()
    assert NAME not in window.layers
    assert list(docked.panels.objects.names()) == [1]
    while docked.panels.undo.redo_button.isEnabled():
        keys.redo()

    np.testing.assert_array_equal(window.layers[NAME].data, given.data)
    assert 7 in docked.panels.objects.names()


def test_no_more_strokes_are_offered_than_can_be_undone(dock, hand):
    points = hand.add_points(dock, [0, 60, 90])
    dock.panels.prompts.take_up("brush")
    layer = dock.annotator.painting.layer
    layer.brush_size = 1
    for i in range(103):
        layer.paint((0, 20 + i // 50, 20 + i % 50), 1)
    settle(dock)

    n_undone = 0
    while dock.panels.undo.undo_button.isEnabled():
        dock.annotator.timeline.undo()
        wait_until(lambda: not dock.annotator._edits.is_running)
        n_undone += 1

    assert n_undone == 100
    assert np.count_nonzero(layer.data) == 3
    assert len(points.data) == 1  # it came before strokes that stay
