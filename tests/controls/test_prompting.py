"""Prompts are drawn, and previews appear."""

from __future__ import annotations

import threading

import numpy as np
from napari.layers import Points
from qtpy.QtCore import Qt

from napari_sam2._controls.prompt_features import GREEN, RED
from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.tracker import Tracker

POINTS, SHAPES, PREVIEW, LABELS = "SAM 2 points", "SAM 2 shapes", "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def test_opening_the_dock_adds_no_layer(dock, viewer):
    assert [layer.name for layer in viewer.layers] == ["blobs"]


def test_clicks_on_the_canvas_become_points_and_a_preview(window, docked, qtbot, hand):
    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))
    hand.press(window, Qt.Key.Key_T)
    hand.click(window, (40, 40))

    points = window.layers[POINTS]
    np.testing.assert_allclose(points.data, [[0, 30, 40], [0, 80, 80]], atol=1)
    assert points.features["positive"].tolist() == [True, False]
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)


def test_colours_follow_the_sign(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])
    dock.annotator.toggle_sign()
    hand.add_points(dock, [0, 80, 80])

    expected = [[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in (GREEN, RED)]
    np.testing.assert_allclose(points.face_color[:, :3], expected, atol=0.01)


def test_dragging_draws_a_box(window, docked, qtbot, hand):
    docked.panels.prompts.tools["box"].click()

    hand.drag(window, (6, 11), (24, 30))

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    (box,) = window.layers[SHAPES].data
    np.testing.assert_allclose(
        [box.min(axis=0)[1:], box.max(axis=0)[1:]], [[12, 22], [48, 60]], atol=1.5
    )


def test_further_boxes_on_a_frame_begin_new_objects(dock, viewer, qtbot, hand):
    shapes = hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1, 2}, timeout=WAIT)

    assert shapes.features["object"].tolist() == [1, 2]
    assert dock.panels.objects.current() == 2


def test_box_on_another_frame_belongs_to_the_same_object(dock, viewer, hand):
    shapes = hand.add_boxes(
        dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(10, 20, 50, 60, frame=3)
    )
    dock.annotator.segment()

    assert shapes.features["object"].tolist() == [1, 1]


def test_outline_is_taken_as_the_mask(dock, viewer, qtbot, hand):
    dock.panels.prompts.tools["outline"].click()

    viewer.layers[SHAPES].add_polygons(np.array(hand.rectangle(10, 20, 50, 60)))

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    found = viewer.layers[PREVIEW].data[0] > 0
    assert found[15:45, 25:55].mean() > 0.9
    assert found[60:].mean() < 0.1


def test_preview_goes_when_its_prompts_go(dock, viewer, qtbot, hand):
    points = hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    points.remove_selected()

    qtbot.waitUntil(lambda: hand.previewed(viewer) == set(), timeout=WAIT)


def test_flipping_a_selected_point_changes_its_sign_and_not_the_next(dock, viewer, hand):
    points = hand.add_points(dock, [0, 30, 40], [0, 31, 41])
    points.mode, points.selected_data = "select", {0}

    dock.annotator.toggle_sign()

    assert points.features["positive"].tolist() == [False, True]
    assert dock.panels.prompts.positive


def test_point_that_was_just_added_is_not_flipped(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])

    dock.annotator.toggle_sign()

    assert points.features["positive"].tolist() == [True]
    assert not dock.panels.prompts.positive


def test_selecting_a_point_makes_its_object_the_current_one(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])

    points.selected_data = {0}

    assert dock.panels.objects.current() == 1


def test_points_are_of_the_current_object(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])

    assert points.features["object"].tolist() == [1, 2]


def test_tool_stays_in_hand_when_results_appear(dock, viewer, qtbot, hand):
    points = hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    hand.follow(dock)

    assert viewer.layers.selection.active is points
    assert dock.panels.prompts.tools["point"].isChecked()


def test_prompts_lie_above_preview_and_preview_above_labels(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    hand.follow(dock)

    assert [layer.name for layer in viewer.layers] == ["blobs", LABELS, PREVIEW, POINTS]


def test_status_tells_quality_and_candidates(dock, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])

    qtbot.waitUntil(lambda: "predicted IoU" in dock.panels.status.label.text(), timeout=WAIT)

    assert "3 candidates" in dock.panels.status.label.text()


def test_own_layers_are_read_and_left_alone(dock, viewer, qtbot, hand):
    own = viewer.add_points([[0, 30, 40]], name="mine", scale=(1, 0.5, 0.5))

    dock.panels.prompts.pickers[Points].pick(own)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    assert own.features.empty
    assert POINTS not in viewer.layers


def test_objects_named_in_a_layer_are_listed(dock, viewer, qtbot, hand):
    own = viewer.add_points(
        [[0, 30, 40], [0, 60, 90]],
        features={"object": [4, 6], "positive": [True, True]},
        scale=(1, 0.5, 0.5),
    )

    dock.panels.prompts.pickers[Points].pick(own)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {4, 6}, timeout=WAIT)

    assert list(dock.panels.objects.names()) == [1, 4, 6]


def test_clearing_removes_only_what_the_object_has_on_this_frame(dock, hand):
    points = hand.add_points(dock, [0, 30, 40], [1, 32, 40])
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])
    dock.panels.objects.make_current(1)

    dock.annotator.clear_prompts()

    np.testing.assert_array_equal(points.data, [[1, 32, 40], [0, 60, 90]])


def test_bad_prompt_is_told_and_pops_nothing_up(dock, told, qtbot, hand):
    dock.annotator.toggle_sign()
    hand.add_points(dock, [0, 30, 40])

    qtbot.waitUntil(lambda: "Negative points" in dock.panels.status.label.text(), timeout=WAIT)

    assert told == []


def test_point_outside_the_image_is_told(dock, qtbot, hand):
    hand.add_points(dock, [0, 300, 40])

    qtbot.waitUntil(lambda: "outside the image" in dock.panels.status.remark.text(), timeout=WAIT)


def test_objects_without_new_prompts_are_not_segmented_again(dock, viewer, prompted, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])
    qtbot.waitUntil(lambda: len(prompted) > 1, timeout=WAIT)
    qtbot.wait(200)

    assert prompted == [(1, 0), (2, 0)]


def test_quick_edits_make_one_preview(dock, viewer, prompted, qtbot, hand):
    for column in (40, 41, 42):
        hand.add_points(dock, [0, 30, column])
        qtbot.wait(20)
    qtbot.waitUntil(lambda: bool(prompted), timeout=WAIT)
    qtbot.wait(200)

    assert prompted == [(1, 0)]


def test_without_live_preview_the_model_waits_for_the_key(dock, viewer, prompted, qtbot, hand):
    dock.panels.prompts.live.setChecked(False)
    hand.add_points(dock, [0, 30, 40])
    qtbot.wait(250)
    assert prompted == []

    dock.annotator.segment()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)


def test_new_contrast_is_seen_by_the_next_preview(dock, viewer, qtbot, monkeypatch, hand):
    seen = []
    read = Tracker.prompt
    monkeypatch.setattr(
        Tracker,
        "prompt",
        lambda self, *args: seen.append(self.source.contrast_limits) or read(self, *args),
    )
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers["blobs"].contrast_limits = (7, 77)
    dock.annotator.segment()
    qtbot.waitUntil(lambda: len(seen) > 1, timeout=WAIT)

    assert seen[-1] == (7, 77)


def test_model_works_off_the_main_thread(dock, viewer, qtbot, monkeypatch, hand):
    threads = set()
    prompt = Tracker.prompt

    def noting(self, *args):
        threads.add(threading.current_thread())
        return prompt(self, *args)

    monkeypatch.setattr(Tracker, "prompt", noting)
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    hand.follow(dock)

    assert threads
    assert threading.main_thread() not in threads


def test_prompt_outside_the_image_holds_up_no_other(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 300, 40], [9, 30, 40])
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {2}, timeout=WAIT)

    assert "2 ignored: prompts outside the image" in dock.panels.status.remark.text()


def test_prompts_that_say_nothing_hold_up_no_other(dock, viewer, told, qtbot, hand):
    dock.panels.prompts.live.setChecked(False)
    dock.annotator.toggle_sign()
    hand.add_points(dock, [0, 30, 40])
    dock.annotator.toggle_sign()
    dock.annotator.new_object()
    hand.add_points(dock, [0, 60, 90])
    dock.panels.objects.make_current(1)
    dock.annotator.segment()

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {2}, timeout=WAIT)
    qtbot.wait(100)

    assert "object 1: Negative points" in dock.panels.status.label.text()
    assert told == []


def test_object_whose_prompts_say_nothing_is_left_out_of_following(dock, viewer, told, hand):
    dock.annotator.toggle_sign()
    hand.add_points(dock, [0, 30, 40])
    dock.annotator.toggle_sign()
    dock.annotator.new_object()
    hand.follow(dock, [0, 60, 90])

    assert set(np.unique(viewer.layers[LABELS].data)) == {0, 2}
    assert "object 1 is not followed: Negative points" in dock.panels.status.remark.text()
    assert told == []


def test_pasted_points_are_noticed(make_napari_viewer, blobs, tiny_model, prompted, qtbot, hand):
    # In one frame: napari 0.9 cannot paste points into stacks.
    window = make_napari_viewer(show=True)
    window.add_image(blobs[0][0])
    widget = AnnotateWidget(window, model=tiny_model)
    window.window.add_dock_widget(widget)
    points = hand.add_points(widget, [30, 40])
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    points.mode, points.selected_data = "select", {0}
    hand.press(window, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)

    hand.press(window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)

    assert len(points.data) == 2
    qtbot.waitUntil(lambda: len(prompted) == 2, timeout=WAIT)
    widget.annotator.shut()


def test_click_with_the_box_tool_leaves_no_box(window, docked, prompted, qtbot, hand):
    docked.panels.prompts.tools["box"].click()

    hand.click(window, (15, 20))
    qtbot.waitUntil(lambda: "Drag" in docked.panels.status.label.text(), timeout=WAIT)
    qtbot.wait(200)

    assert len(window.layers[SHAPES].data) == 0
    assert prompted == []
    hand.drag(window, (6, 11), (24, 30))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)


def test_box_is_read_when_the_hand_lets_go(window, docked, prompted, qtbot, hand):
    docked.panels.prompts.tools["box"].click()

    hand.drag(window, (6, 11), (24, 30), pause=300)
    assert prompted == []

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)


def test_current_object_stands_out_in_the_list(dock):
    dock.annotator.new_object()
    dock.annotator.new_object()
    dock.panels.objects.make_current(2)

    model = dock.panels.objects.model
    fonts = [model.index(row, 1).data(Qt.ItemDataRole.FontRole) for row in range(3)]
    assert [font.bold() for font in fonts] == [False, True, False]
