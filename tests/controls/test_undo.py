"""What is done in the dock is undone and redone with keys."""

from __future__ import annotations

import numpy as np
from hand import settle
from napari.layers import Points
from qtpy.QtCore import Qt

from napari_sam2._controls import entries
from napari_sam2._controls.object_model import Column

POINTS, SHAPES, LABELS = "SAM 2 points", "SAM 2 shapes", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def propagate(docked, keys, hand):
    hand.follow(docked)
    settle(docked)


def told(docked):
    undo = docked.panels.undo
    return undo.undo_button.toolTip(), undo.redo_button.toolTip()


def test_click_is_taken_from_the_layer_and_put_back_with_its_features(
    window, docked, qtbot, hand, keys
):
    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))
    qtbot.wait(50)
    hand.press(window, Qt.Key.Key_T)
    hand.click(window, (40, 40))
    settle(docked)
    points = window.layers[POINTS]
    drawn, features = points.data.copy(), points.features.copy()
    assert told(docked)[0] == "Undo: add a point"

    keys.undo()
    assert np.array_equal(points.data, drawn[:1])
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    keys.undo()
    assert not len(points.data)
    assert told(docked) == ("There is nothing to undo", "Redo: add a point")
    qtbot.waitUntil(lambda: hand.previewed(window) == set(), timeout=WAIT)
    keys.redo()
    keys.redo()

    assert np.array_equal(points.data, drawn)
    assert points.features.equals(features)
    assert points.mode == "add"


def test_boxes_and_the_objects_begun_for_them_go_together(window, docked, hand, keys):
    hand.add_boxes(docked, hand.rectangle(10, 20, 50, 60))
    settle(docked)
    shapes = hand.add_boxes(docked, hand.rectangle(45, 75, 75, 105))
    settle(docked)
    drawn, features = [one.copy() for one in shapes.data], shapes.features.copy()
    assert list(docked.panels.objects.names()) == [1, 2]

    keys.undo()
    assert shapes.nshapes == 1
    assert list(docked.panels.objects.names()) == [1]
    keys.undo()
    keys.redo()
    keys.redo()

    assert all(map(np.array_equal, shapes.data, drawn))
    assert shapes.features.equals(features)
    assert list(docked.panels.objects.names()) == [1, 2]
    assert docked.panels.objects.current() == 2


def test_run_is_undone_in_all_frames(window, docked, hand, keys):
    hand.add_points(docked, [0, 30, 40])
    propagate(docked, keys, hand)
    labels = window.layers[LABELS].data
    found = labels.copy()
    assert found.any(axis=(1, 2)).all()
    assert told(docked)[0] == "Undo: propagate object 1 over 8 frames"

    keys.undo()
    assert not labels.any()
    assert told(docked) == ("Undo: add a point", "Redo: propagate object 1 over 8 frames")
    keys.redo()

    assert np.array_equal(labels, found)


def test_everything_is_undone_in_the_order_in_which_it_was_done(window, docked, hand, keys):
    points = hand.add_points(docked, [0, 30, 40])
    settle(docked)
    docked.annotator.accept()
    settle(docked)
    hand.add_points(docked, [3, 36, 40])
    propagate(docked, keys, hand)
    docked.annotator.new_object()
    settle(docked)
    hand.add_points(docked, [0, 60, 90])
    settle(docked)
    propagate(docked, keys, hand)
    labels = window.layers[LABELS].data
    end = labels.copy(), points.data.copy(), points.features.copy()

    seen = []
    while docked.panels.undo.undo_button.isEnabled():
        seen.append(told(docked)[0])
        keys.undo()
    assert seen == [
        "Undo: propagate 2 objects over 8 frames",
        "Undo: add a point",
        "Undo: add object 2",
        "Undo: propagate object 1 over 8 frames",
        "Undo: add a point",
        "Undo: accept object 1 on frame 0",
        "Undo: add a point",
    ]
    assert not labels.any()
    assert not len(points.data)
    assert list(docked.panels.objects.names()) == [1]
    while docked.panels.undo.redo_button.isEnabled():
        keys.redo()

    assert np.array_equal(labels, end[0])
    assert np.array_equal(points.data, end[1])
    assert points.features.equals(end[2])


def test_removed_object_comes_back_with_prompts_row_and_pixels(window, docked, hand, keys):
    points = hand.add_points(docked, [0, 30, 40])
    docked.annotator.new_object()
    hand.add_points(docked, [0, 60, 90])
    propagate(docked, keys, hand)
    labels, drawn = window.layers[LABELS].data, points.data.copy()
    found = labels.copy()
    docked.panels.objects.make_current(1)
    docked.panels.objects.remove_button.click()
    settle(docked)
    assert set(np.unique(labels)) == {0, 2}
    assert told(docked)[0] == "Undo: remove object 1"

    keys.undo()
    assert np.array_equal(labels, found)
    assert np.array_equal(points.data, drawn)
    assert docked.panels.objects.names() == {1: "object 1", 2: "object 2"}
    keys.redo()
    assert set(np.unique(labels)) == {0, 2}
    assert len(points.data) == 1
    keys.undo()
    assert np.array_equal(labels, found)


def test_undo_during_a_run_stops_it_and_then_takes_it_back(window, docked, qtbot, hand, keys, gate):
    hand.add_points(docked, [0, 30, 40])
    settle(docked)
    gate.closes_at = 3
    docked.annotator.propagate()
    qtbot.waitUntil(gate.entered.is_set, timeout=WAIT)
    hand.press(window, Qt.Key.Key_Z, CTRL)
    assert "Undo once more" in docked.panels.status.label.text()
    gate.closes_at = None
    gate.open.set()
    hand.wait_until_idle(docked)
    settle(docked)
    labels = window.layers[LABELS].data
    assert hand.frames_with_labels(window)[:3] == [0, 1, 2]

    keys.undo()
    assert not labels.any()
    assert len(window.layers[POINTS].data) == 1


def test_napari_undoes_in_labels_of_the_user(window, docked, hand, keys):
    hand.add_points(docked, [0, 30, 40])
    settle(docked)
    theirs = window.add_labels(np.zeros((8, 96, 128), np.uint8), name="mine")
    theirs.fill((0, 5, 5), 3)
    window.layers.selection.active = theirs

    keys.undo()

    assert not theirs.data.any()
    assert len(window.layers[POINTS].data) == 1
    keys.redo()
    assert theirs.data.any()


def test_turning_to_3d_stays_naparis(window, docked, hand):
    hand.press(window, Qt.Key.Key_Y, CTRL)

    assert window.dims.ndisplay == 3


def test_strokes_on_our_labels_are_undone_in_their_turn(window, docked, hand, keys):
    hand.add_points(docked, [0, 30, 40])
    propagate(docked, keys, hand)
    layer = window.layers[LABELS]
    before = layer.data.copy()
    layer.paint((0, 90, 120), 9)
    painted = layer.data.copy()
    hand.add_points(docked, [0, 31, 41])
    settle(docked)
    window.layers.selection.active = layer

    keys.undo()
    assert np.array_equal(layer.data, painted)
    assert len(window.layers[POINTS].data) == 1
    keys.undo()
    assert np.array_equal(layer.data, before)
    keys.redo()
    assert np.array_equal(layer.data, painted)


def test_name_is_undone(docked, keys):
    model = docked.panels.objects.model
    model.setData(model.index(0, Column.NAME), "nucleus")
    settle(docked)
    assert told(docked)[0] == "Undo: rename object 1 to nucleus"

    keys.undo()
    assert docked.panels.objects.names() == {1: "object 1"}
    keys.redo()
    assert docked.panels.objects.names() == {1: "nucleus"}


def test_prompt_layer_that_was_removed_comes_back(window, docked, hand, keys):
    points = hand.add_points(docked, [0, 30, 40], [0, 31, 41])
    settle(docked)
    window.layers.remove(points)
    settle(docked)

    keys.undo()

    assert points in window.layers
    assert len(points.data) == 2
    assert docked.panels.prompts.pickers[Points].layer() is points


def test_something_new_leaves_nothing_to_redo(docked, hand, keys):
    hand.add_points(docked, [0, 30, 40])
    settle(docked)
    keys.undo()
    hand.add_points(docked, [0, 50, 40])
    settle(docked)

    assert told(docked) == ("Undo: add a point", "There is nothing to redo")


def test_undo_without_live_preview(window, docked, hand, keys):
    docked.panels.prompts.live.setChecked(False)
    points = hand.add_points(docked, [0, 30, 40])
    settle(docked)
    hand.add_points(docked, [0, 31, 41])
    propagate(docked, keys, hand)
    found = window.layers[LABELS].data.copy()
    for _ in range(3):
        keys.undo()
    for _ in range(3):
        keys.redo()

    assert len(points.data) == 2
    assert np.array_equal(window.layers[LABELS].data, found)


def test_keys_are_given_back(window, docked, hand, keys):
    points = hand.add_points(docked, [0, 30, 40])
    settle(docked)
    docked.annotator.shut()

    hand.press(window, Qt.Key.Key_Z, CTRL)

    assert len(points.data) == 1


def test_object_of_a_script_is_not_taken_back_with_what_was_done_before(dock, hand):
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    session = dock.session
    with session.apart_from_history():
        cell = session.add_object("of a script")
    settle(dock)
    _ = dock.session  # and only now the dock hears of it
    settle(dock)
    assert cell in dock.panels.objects.names()

    dock.annotator.timeline.undo()
    settle(dock)

    assert dock.panels.objects.names()[cell] == "of a script"


def test_points_that_stay_where_they_are_are_kept_once(dock, hand):
    hand.add_points(dock, *([0, 30, 20 + i % 60] for i in range(50)))
    dock.annotator.timeline.capture()
    before = dock.annotator.timeline.past.now.drawn[Points]

    hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60))
    dock.annotator.timeline.capture()
    after = dock.annotator.timeline.past.now.drawn[Points]

    assert after.vertices is before.vertices
    assert after.features is before.features
    assert after.looks["size"] is before.looks["size"]


def test_what_was_done_first_is_forgotten_when_all_of_it_takes_too_much_room(
    dock, hand, monkeypatch
):
    hand.add_points(dock, *([0, 30, 20 + i % 60] for i in range(50)))
    dock.annotator.timeline.capture()
    monkeypatch.setattr(entries, "MOST_BYTES", 4 * dock.annotator.timeline.past.done[-1].size)

    for i in range(8):
        hand.add_points(dock, [0, 40, 20 + i])
        dock.annotator.timeline.capture()

    done = dock.annotator.timeline.past.done
    assert 1 <= len(done) <= 4
    assert len(done[-1].after.drawn[Points].vertices) == 58


def test_points_that_are_moved_after_undo_are_not_moved_in_what_is_kept(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])
    dock.annotator.timeline.capture()
    hand.add_points(dock, [0, 31, 41])
    settle(dock)
    dock.annotator.timeline.undo()
    settle(dock)
    points._data[0] = [0, 5, 5]  # as a drag does, before anyone hears of it
    points.data = points.data
    settle(dock)

    dock.annotator.timeline.undo()
    settle(dock)

    np.testing.assert_array_equal(points.data, [[0, 30, 40]])
