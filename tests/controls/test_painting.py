"""Objects are painted with a brush, or begun with labels that are there."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hand import settle
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_sam2 import _painted
from napari_sam2._controls.painting import NAME
from napari_sam2.results.labels import mask_prompts

PREVIEW, LABELS = "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def paint(dock, viewer, frame, row, column, size=9):
    """Dab with the brush, as napari does for a hand."""
    button = dock.panels.prompts.tools["brush"]
    if not button.isChecked():
        button.click()
    layer = viewer.layers[NAME]
    layer.brush_size = size
    viewer.dims.set_point(0, frame)
    with layer.block_history():
        layer.paint((frame, row, column), layer.selected_label)
    return layer


def shown(viewer):
    return viewer.layers[PREVIEW].data[0] if PREVIEW in viewer.layers else None


def wait(qtbot, dock):
    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)


def test_painted_pixels_are_the_mask(window, docked, qtbot, hand):
    docked.panels.prompts.tools["brush"].click()
    layer = window.layers[NAME]
    layer.brush_size = 7

    hand.drag(window, (15, 20), (15, 30))

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    assert layer.data.any()
    np.testing.assert_array_equal(shown(window), layer.data[0])


def test_stroke_taken_back_is_taken_out_of_the_mask(window, docked, qtbot, hand):
    docked.panels.prompts.tools["brush"].click()
    hand.drag(window, (15, 20), (15, 30))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)

    hand.press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    qtbot.waitUntil(lambda: hand.previewed(window) == set(), timeout=WAIT)


def test_brush_paints_the_current_object(dock, viewer, qtbot, hand):
    paint(dock, viewer, 0, 30, 40)
    dock.annotator.new_object()
    paint(dock, viewer, 0, 60, 90)

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1, 2}, timeout=WAIT)
    np.testing.assert_array_equal(shown(viewer), viewer.layers[NAME].data[0])


def test_colour_that_is_picked_up_makes_its_object_the_current_one(dock, viewer):
    paint(dock, viewer, 0, 30, 40)
    dock.annotator.new_object()

    viewer.layers[NAME].selected_label = 1

    assert dock.panels.objects.current() == 1


def test_brush_is_the_tool_in_hand_until_another_is_taken(dock, viewer):
    tools = dock.panels.prompts.tools
    tools["brush"].click()
    assert [name for name, button in tools.items() if button.isChecked()] == ["brush"]

    tools["point"].click()

    assert [name for name, button in tools.items() if button.isChecked()] == ["point"]


def test_only_the_current_object_is_cleared_from_the_frame(dock, viewer, qtbot, hand):
    paint(dock, viewer, 0, 60, 90)
    dock.annotator.new_object()
    paint(dock, viewer, 3, 30, 40)
    layer = paint(dock, viewer, 0, 30, 40)

    dock.annotator.clear_prompts()

    assert set(np.unique(layer.data[0])) == {0, 1}
    assert set(np.unique(layer.data[3])) == {0, 2}
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)


def test_removed_object_is_painted_nowhere(dock, viewer, qtbot):
    paint(dock, viewer, 0, 60, 90)
    layer = paint(dock, viewer, 2, 60, 90)

    dock.panels.objects.remove_selected()

    assert not layer.data.any()
    wait(qtbot, dock)


def test_painted_object_is_followed_from_its_frame(dock, viewer, qtbot, hand):
    layer = paint(dock, viewer, 2, 34, 40, size=15)
    dock.panels.track.direction.setCurrentText("Forward →")
    hand.follow(dock)

    labels = viewer.layers[LABELS].data
    np.testing.assert_array_equal(labels[2], layer.data[2])
    assert hand.frames_with_labels(viewer)[0] == 2
    assert hand.frames_with_labels(viewer)[-1] > 2


def test_frames_painted_earlier_are_still_prompts(dock, viewer, qtbot):
    for frame in (0, 4, 6):
        paint(dock, viewer, frame, 30, 40)
        wait(qtbot, dock)

    task = dock.annotator._read()

    assert sorted(task.prompts[1]) == [0, 4, 6]


def test_painting_beside_a_point_is_refused_with_a_reason(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    paint(dock, viewer, 0, 30, 40)

    text = dock.panels.status.label.text
    qtbot.waitUntil(lambda: "A mask is taken as it is" in text(), timeout=WAIT)


@pytest.fixture
def cells(viewer, blobs):
    """Labels of both discs, as a segmentation would give them: 7 and 9."""
    given = np.where(blobs[1] == 1, 7, np.where(blobs[1] == 2, 9, 0)).astype(np.int32)
    return viewer.add_labels(given, name="cells", scale=(1, 0.5, 0.5))


def test_labels_of_a_frame_are_what_objects_begin_with(dock, viewer, cells, blobs, qtbot, hand):
    viewer.dims.set_point(0, 2)
    dock.panels.prompts.labels.pick(cells)

    dock.panels.prompts.use_frame.click()

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {7, 9}, timeout=WAIT)
    np.testing.assert_array_equal(shown(viewer), cells.data[2])
    assert set(dock.panels.objects.names()) >= {7, 9}
    assert dock.annotator._read().prompts[7].keys() == {2}


def test_labels_of_all_frames_are_prompts_on_each(dock, viewer, cells, qtbot):
    dock.panels.prompts.labels.pick(cells)

    dock.panels.prompts.use_all.click()

    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=WAIT)
    qtbot.waitUntil(lambda: np.array_equal(viewer.layers[NAME].data, cells.data), timeout=WAIT)
    wait(qtbot, dock)
    assert sorted(dock.annotator._read().prompts[9]) == list(range(8))


def test_flat_labels_are_of_the_frame_that_is_shown(dock, viewer, cells, qtbot, hand):
    flat = viewer.add_labels(cells.data[5], name="flat")
    viewer.dims.set_point(0, 5)
    dock.panels.prompts.labels.pick(flat)

    dock.panels.prompts.use_frame.click()

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {7, 9}, timeout=WAIT)
    np.testing.assert_array_equal(viewer.layers[NAME].data[5], cells.data[5])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((8, 90, 128), np.int32), "has shape"),
        (np.full((96, 128), 70_000, np.int32), "objects are numbered 1 to 65535"),
    ],
    ids=["shape", "number"],
)
def test_labels_that_do_not_fit_are_refused(dock, viewer, qtbot, told, data, message):
    dock.panels.prompts.labels.pick(viewer.add_labels(data, name="other"))

    dock.panels.prompts.use_frame.click()

    qtbot.waitUntil(lambda: any(message in text for text in told), timeout=WAIT)


def test_labels_that_do_not_fit_on_a_later_frame_leave_none_painted(
    dock, viewer, cells, told, qtbot
):
    cells.data[4, 0, 0] = 70_000
    painted = paint(dock, viewer, 0, 80, 20)
    before = painted.data.copy()
    wait(qtbot, dock)
    dock.panels.prompts.labels.pick(cells)

    dock.panels.prompts.use_all.click()
    qtbot.waitUntil(lambda: any("on frame 4" in text for text in told), timeout=WAIT)
    wait(qtbot, dock)

    np.testing.assert_array_equal(painted.data, before)
    assert list(dock.annotator._read().prompts) == [1]


def test_labels_that_are_taken_over_are_read_in_no_time_of_the_window(
    dock, cells, qtbot, monkeypatch
):
    threads = []

    def noting(frame, labels):
        threads.append(threading.current_thread())
        return mask_prompts(frame, labels)

    monkeypatch.setattr(_painted, "mask_prompts", noting)
    dock.panels.prompts.labels.pick(cells)

    dock.panels.prompts.use_all.click()
    settle(dock)

    assert sorted(dock.annotator._read().prompts[9]) == list(range(8))
    assert len(threads) == 8
    assert threading.main_thread() not in threads


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Which frames are read as masks, in this order."""
    frames: list[int] = []

    def noting(frame, labels):
        frames.append(frame)
        return mask_prompts(frame, labels)

    monkeypatch.setattr(_painted, "mask_prompts", noting)
    return frames


def test_paint_of_another_plane_is_read_once(blobs, open_dock, read):
    viewer = ViewerModel()
    viewer.add_image(np.stack([blobs[0][:4]] * 3, axis=1))  # (T, Z, Y, X)
    viewer.dims.set_point([0, 1], [0, 0])
    dock = open_dock(viewer)
    dock.panels.prompts.take_up("brush")
    painted = viewer.layers[NAME].data
    painted[:, 0, 20:40, 30:50] = 1

    for plane in (0, 1, 0):
        viewer.dims.set_point(1, plane)
        prompts = dock.annotator._read().prompts
    assert read == [0, 1, 2, 3]
    assert sorted(prompts[1]) == [0, 1, 2, 3]
    painted[2, 0, 30:60, 30:50] = 1
    viewer.dims.set_point(1, 1)
    assert not dock.annotator._read().prompts
    viewer.dims.set_point(1, 0)

    assert dock.annotator._read().prompts[1][2][0].part.shape == (40, 20)
    assert read == [0, 1, 2, 3, 2]


def test_result_can_be_mended_with_the_brush(dock, viewer, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    wait(qtbot, dock)
    viewer.dims.set_point(0, 4)
    found = viewer.layers[LABELS].data[4].copy()
    dock.panels.prompts.labels.pick(viewer.layers[LABELS])
    dock.panels.prompts.use_frame.click()
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=WAIT)
    qtbot.waitUntil(lambda: np.array_equal(viewer.layers[NAME].data[4], found), timeout=WAIT)

    painted = paint(dock, viewer, 4, 80, 20)

    qtbot.waitUntil(lambda: np.array_equal(shown(viewer), painted.data[4]), timeout=WAIT)
    assert painted.data[4, 80, 20] == 1


def test_paint_of_a_closed_dock_is_read_by_the_next(dock, viewer, tiny_model, qtbot):
    from napari_sam2._widget import AnnotateWidget

    paint(dock, viewer, 3, 30, 40)
    wait(qtbot, dock)
    dock.annotator.shut()

    again = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(again, before_close_func=lambda widget: widget.annotator.shut())

    assert again.annotator._read().prompts[1].keys() == {3}
    again.annotator.shut()


def test_layer_of_paint_that_is_removed_takes_its_prompts_along(dock, viewer, qtbot, hand):
    layer = paint(dock, viewer, 0, 30, 40)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers.remove(layer)

    qtbot.waitUntil(lambda: hand.previewed(viewer) == set(), timeout=WAIT)


def test_image_that_paint_has_no_room_for_says_so(dock, viewer):
    planes = np.broadcast_to(np.zeros((512, 512), np.uint8), (10**9, 512, 512))
    image = viewer.add_image(planes, name="endless", contrast_limits=(0, 1), multiscale=False)
    dock.panels.image.images.pick(image)
    dock.panels.prompts.tools["brush"].click()

    assert "There is no room to paint on an image" in dock.panels.status.label.text()
    assert not dock.panels.prompts.tools["brush"].isChecked()
