"""The table of objects: what it shows, and that it and the layers agree."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hand import settle
from napari.layers import Points
from napari.utils.colormaps import label_colormap
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QLineEdit

from napari_sam2._controls.object_model import Column
from napari_sam2._controls.object_table import ObjectTable

PREVIEW, LABELS = "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def cell(dock, object_id, column) -> QModelIndex:
    model = dock.panels.objects.model
    return model.index(model.place(object_id), column)


def text(dock, object_id, column) -> str:
    return cell(dock, object_id, column).data(Qt.ItemDataRole.DisplayRole)


def click(dock, qtbot, object_id, column, *, double=False):
    table = dock.panels.objects.table
    position = table.visualRect(cell(dock, object_id, column)).center()
    for press in (qtbot.mouseClick, qtbot.mouseDClick)[: 1 + double]:
        press(table.viewport(), Qt.MouseButton.LeftButton, pos=position)


@pytest.fixture
def two(dock, viewer, hand, qtbot):
    """Two objects in the labels of all frames, each in a box."""
    hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))
    dock.annotator.segment()
    hand.follow(dock)
    dock.resize(320, 900)
    dock.show()
    return dock


def test_prompted_frames_are_counted(dock, hand, qtbot):
    hand.add_points(dock, [0, 30, 40], [0, 31, 41], [2, 34, 40])

    qtbot.waitUntil(lambda: text(dock, 1, Column.PROMPTED) == "2", timeout=WAIT)


def test_prompted_frames_are_counted_without_live_previews(dock, hand, qtbot):
    dock.panels.prompts.live.setChecked(False)
    hand.add_points(dock, [0, 30, 40])

    qtbot.waitUntil(lambda: text(dock, 1, Column.PROMPTED) == "1", timeout=WAIT)


def test_score_is_that_of_the_frame_that_is_shown(two, viewer, qtbot):
    reviewer = two.annotator.reviewer
    qtbot.waitUntil(lambda: len(reviewer.summary.rows) == 2, timeout=WAIT)
    viewer.dims.set_point(0, 5)

    found = reviewer.summary.rows[2]
    assert text(two, 2, Column.SCORE) == f"{found['iou'][found['frame'] == 5][0]:.2f}"


def test_number_of_prompts_leads_to_the_first_of_them(dock, viewer, hand, qtbot):
    dock.show()
    hand.add_points(dock, [6, 42, 40], [3, 36, 40])
    qtbot.waitUntil(lambda: text(dock, 1, Column.PROMPTED) == "2", timeout=WAIT)

    click(dock, qtbot, 1, Column.PROMPTED, double=True)

    assert viewer.dims.current_step[0] == 3


def test_name_is_edited_in_place(dock, qtbot):
    dock.show()
    click(dock, qtbot, 1, Column.NAME, double=True)
    editor = dock.panels.objects.table.viewport().findChild(QLineEdit)
    editor.setText("mother")
    qtbot.keyClick(editor, Qt.Key.Key_Return)

    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "mother"}, timeout=WAIT)


def test_empty_name_changes_nothing(dock):
    assert not dock.panels.objects.model.setData(cell(dock, 1, Column.NAME), "  ")
    assert dock.panels.objects.names() == {1: "object 1"}


def test_row_selects_the_label(two, viewer, qtbot):
    click(two, qtbot, 2, Column.NAME)

    assert viewer.layers[LABELS].selected_label == 2


def test_label_that_is_picked_selects_the_row(two, viewer):
    viewer.layers[LABELS].selected_label = 2

    assert two.panels.objects.current() == 2
    assert two.panels.objects.selected() == (2,)


def test_point_that_is_selected_selects_the_row_and_the_label(two, viewer, hand):
    two.panels.objects.make_current(2)
    points = hand.add_points(two, [0, 60, 90])
    two.panels.objects.make_current(1)
    points.mode = "select"
    points.selected_data = set()

    points.selected_data = {0}

    assert two.panels.objects.current() == 2
    assert viewer.layers[LABELS].selected_label == 2


def test_label_that_is_no_object_changes_nothing(two, viewer):
    two.panels.objects.make_current(2)
    viewer.layers[LABELS].selected_label = 77

    assert two.panels.objects.current() == 2


def test_eye_hides_an_object_without_changing_data(two, viewer, qtbot):
    labels = viewer.layers[LABELS]
    data, shown = labels.data.copy(), labels.colormap.map(np.array([1, 2]))

    click(two, qtbot, 1, Column.VISIBLE)

    colors = labels.colormap.map(np.array([1, 2]))
    assert colors[0, 3] == 0
    np.testing.assert_allclose(colors[1], shown[1], atol=0.01)
    np.testing.assert_array_equal(labels.data, data)


def test_eye_hides_prompts_that_still_count(two, viewer, hand, qtbot):
    points = hand.add_points(two, [0, 30, 40], [0, 31, 41])
    points.mode = "pan_zoom"
    qtbot.waitUntil(lambda: text(two, 2, Column.PROMPTED) == "1", timeout=WAIT)
    shapes = viewer.layers["SAM 2 shapes"]

    owner = two.panels.objects.current()
    click(two, qtbot, owner, Column.VISIBLE)

    assert not points.shown.any()
    assert len(points.data) == 2
    owners = shapes.features["object"].to_numpy()
    np.testing.assert_array_equal(shapes.edge_color[:, 3] == 0, owners == owner)


def test_eye_shows_what_it_hid_in_the_same_colours(two, viewer, qtbot):
    labels = viewer.layers[LABELS]
    colormap = labels.colormap
    for _ in range(2):
        click(two, qtbot, 1, Column.VISIBLE)

    assert labels.colormap is colormap
    assert (viewer.layers["SAM 2 shapes"].edge_color[:, 3] == 1).all()


def test_shuffled_colours_reach_the_table_and_hide_what_was_hidden(two, viewer, qtbot):
    labels, model = viewer.layers[LABELS], two.panels.objects.model
    click(two, qtbot, 1, Column.VISIBLE)

    labels.colormap = label_colormap(49, seed=0.3)

    assert labels.colormap.map(1)[3] == 0
    np.testing.assert_allclose(model.color(2).getRgbF(), labels.colormap.map(2), atol=0.01)
    np.testing.assert_allclose(labels.colormap.map(2), label_colormap(49, seed=0.3).map(2))


def test_hidden_object_that_is_prompted_is_shown_again(two, viewer, hand, qtbot):
    two.panels.objects.make_current(1)
    click(two, qtbot, 1, Column.VISIBLE)
    assert two.panels.objects.hidden() == {1}

    points = hand.take_up(two, "point", Points)
    points.add([0, 30, 40])

    assert two.panels.objects.hidden() == frozenset()
    assert points.shown.all()


def test_closed_dock_leaves_nothing_hidden(two, viewer, qtbot):
    click(two, qtbot, 1, Column.VISIBLE)

    two.annotator.shut()

    assert viewer.layers[LABELS].colormap.map(1)[3] == 1


def test_removed_rows_are_told_at_once(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.include(range(1, 7))
    told = []
    table.removed.connect(told.append)
    table.table.selectRow(1)
    selection = table.table.selectionModel()
    flags = selection.SelectionFlag.Select | selection.SelectionFlag.Rows
    selection.select(table.model.index(4, 0), flags)

    table.remove_selected()

    assert told == [(2, 5)]
    assert table.model.ids() == [1, 3, 4, 6]
    assert table.current() in table.model.ids()


def test_there_is_always_a_current_object(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.include(range(1, 4))
    table.table.selectAll()

    table.remove_selected()

    assert table.model.ids() == [4]
    assert table.current() == 4


def test_a_thousand_objects_do_not_freeze_the_window(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.show()
    took = []
    for step in (
        lambda: table.include(range(1, 1001)),
        lambda: table.make_current(700),
        lambda: table.model.show_scores(dict.fromkeys(range(1, 1001), 0.5)),
        lambda: table.model.show_prompts({i: [0] for i in range(1, 1001)}),
        lambda: table.model.set_visible([500], visible=False),
        table.table.viewport().repaint,
    ):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)

    assert max(took) < 0.05


def test_late_answer_of_another_object_is_not_told_as_the_current_ones(
    dock, viewer, qtbot, hand, monkeypatch
):
    said = []
    monkeypatch.setattr(dock.panels.status, "say", said.append)
    hand.add_points(dock, [0, 30, 40])
    dock.annotator.segment()
    dock.annotator.new_object()

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    qtbot.wait(50)

    assert not [line for line in said if "object 1" in line]


def test_status_tells_of_the_current_object_whichever_is_answered_last(dock, viewer, qtbot, hand):
    hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1, 2}, timeout=WAIT)
    current = dock.panels.objects.current()
    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)

    assert dock.panels.status.label.text().startswith(f"object {current}, frame 0")


@pytest.fixture
def nameless(dock, viewer):
    """Points of the user's own that do not say whose they are: the current object's, of two."""
    mine = viewer.add_points([[0, 30, 40], [3, 30, 40]], name="mine", scale=(1, 0.5, 0.5))
    dock.panels.prompts.pickers[Points].pick(mine)
    dock.annotator.new_object()
    dock.panels.objects.make_current(1)
    settle(dock)
    return mine


def test_removed_object_leaves_points_of_no_one_by_name_to_the_current_one(dock, nameless):
    dock.panels.objects.remove([2])

    assert len(nameless.data) == 2


def test_removed_object_that_was_current_takes_points_of_no_one_by_name_along(dock, nameless):
    dock.panels.objects.remove([1])

    assert len(nameless.data) == 0


def test_object_that_a_script_removes_leaves_points_of_no_one_by_name(dock, nameless):
    dock.session.remove_object(2)
    settle(dock)

    assert list(dock.panels.objects.names()) == [1]
    assert len(nameless.data) == 2
