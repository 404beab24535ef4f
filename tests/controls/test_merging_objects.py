"""Objects are merged and deleted in the table."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle
from qtpy.QtCore import Qt

POINTS, SHAPES, LABELS, PAINT = "SAM 2 points", "SAM 2 shapes", "SAM 2 labels", "SAM 2 paint"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def two(docked, window, hand, qtbot):
    """Two objects in the labels of all frames, both prompted on the first."""
    hand.add_points(docked, [0, 30, 40])
    docked.annotator.new_object()
    hand.follow(docked, [0, 60, 90], [2, 60, 84])
    settle(docked)
    assert set(np.unique(window.layers[LABELS].data)) == {0, 1, 2}
    return docked


def test_delete_removes_the_selected_objects_and_undo_brings_them_back(two, window, qtbot):
    found = window.layers[LABELS].data.copy()
    two.panels.objects.select([1, 2])
    two.panels.objects.table.setFocus()

    qtbot.keyClick(two.panels.objects.table, Qt.Key.Key_Delete)
    settle(two)
    assert not window.layers[LABELS].data.any()
    assert not len(window.layers[POINTS].data)
    two.annotator.timeline.undo()
    settle(two)

    np.testing.assert_array_equal(window.layers[LABELS].data, found)
    assert list(two.panels.objects.names()) == [1, 2]


def test_merging_is_offered_for_several_objects(two):
    two.panels.objects.select([1])
    assert not two.panels.objects.merge_button.isEnabled()

    two.panels.objects.select([1, 2])

    assert two.panels.objects.merge_button.isEnabled()


def test_merged_objects_are_one_in_table_layers_and_session(two, window, qtbot):
    found = window.layers[LABELS].data.copy()
    two.panels.objects.select([1, 2])

    two.panels.objects.merge_button.click()
    settle(two)

    np.testing.assert_array_equal(window.layers[LABELS].data, found > 0)
    assert two.panels.objects.names() == {1: "object 1"}
    assert set(window.layers[POINTS].features["object"]) == {1}
    points = {tuple(point) for point in window.layers[POINTS].data}
    assert points == {(0, 30, 40), (0, 60, 90), (2, 60, 84)}
    assert {f: len(p) for f, p in two.session.objects[1].prompts.items()} == {0: 2, 2: 1}


def test_merging_is_undone_and_redone_at_once(two, window, qtbot):
    found = window.layers[LABELS].data.copy()
    drawn = window.layers[POINTS].data.copy(), window.layers[POINTS].features.copy()
    two.panels.objects.select([1, 2])
    two.panels.objects.merge_button.click()
    settle(two)
    merged = window.layers[POINTS].data.copy()
    assert two.panels.undo.undo_button.toolTip() == "Undo: merge object 2 into object 1"

    two.annotator.timeline.undo()
    settle(two)
    np.testing.assert_array_equal(window.layers[LABELS].data, found)
    np.testing.assert_array_equal(window.layers[POINTS].data, drawn[0])
    assert window.layers[POINTS].features.equals(drawn[1])
    assert {i: len(o.prompts) for i, o in two.session.objects.items()} == {1: 1, 2: 2}
    two.annotator.timeline.redo()
    settle(two)

    np.testing.assert_array_equal(window.layers[POINTS].data, merged)
    np.testing.assert_array_equal(window.layers[LABELS].data, found > 0)
    assert list(two.session.objects) == [1]


def test_boxes_of_merged_objects_are_one_box(docked, window, hand, qtbot):
    boxes = hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105)
    shapes = hand.add_boxes(docked, *boxes)
    settle(docked)
    docked.panels.objects.select([1, 2])

    docked.panels.objects.merge_button.click()
    settle(docked)

    (box,) = shapes.data
    assert box.min(axis=0).tolist() == [0, 10, 20]
    assert box.max(axis=0).tolist() == [0, 75, 105]
    assert hand.previewed(window) <= {1}


def test_paint_of_merged_objects_is_of_one(docked, window, qtbot):
    docked.panels.prompts.take_up("brush")
    layer = window.layers[PAINT]
    layer.paint((0, 30, 40), 1)
    layer.paint((3, 30, 40), 2)
    layer.paint((0, 60, 90), 2)
    settle(docked)
    painted = layer.data.copy()
    docked.panels.objects.select([1, 2])

    docked.panels.objects.merge_button.click()
    settle(docked)
    np.testing.assert_array_equal(layer.data, painted > 0)
    docked.annotator.timeline.undo()
    settle(docked)

    np.testing.assert_array_equal(layer.data, painted)
    assert list(docked.panels.objects.names()) == [1, 2]
