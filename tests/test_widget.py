"""The dock, driven as a hand would: in a real window where mouse or keys are meant."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import QPoint, Qt, QThreadPool

from napari_sam2._controls.prompt_layers import GREEN, RED
from napari_sam2._layers import alignment
from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.tracker import Tracker

POINTS, SHAPES, PREVIEW, LABELS = "SAM 2 points", "SAM 2 shapes", "SAM 2 preview", "SAM 2 labels"
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

    def pass_through(self, frame: int) -> None:
        self.threads.add(threading.current_thread())
        if frame == self.closes_at:
            self.open.clear()
        if not self.open.is_set():
            self.entered.set()
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def _one_thread():
    """Leave the other cores to the window."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
def told(monkeypatch) -> list[str]:
    """What pops up."""
    messages: list[str] = []
    monkeypatch.setattr("napari_sam2._controls.annotator.show_error", messages.append)
    return messages


@pytest.fixture
def viewer(blobs) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(blobs[0], name="blobs", scale=(1, 0.5, 0.5))
    viewer.dims.set_point(0, 0)
    return viewer


@pytest.fixture
def dock(viewer, tiny_model, qtbot):
    """A dock without a window: for what needs neither mouse nor keys."""
    widget = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(widget, before_close_func=lambda widget: widget.annotator.shut())
    yield widget
    widget.annotator.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)


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


def rectangle(row0, column0, row1, column1, frame=0):
    return [
        [frame, r, c]
        for r, c in ((row0, column0), (row0, column1), (row1, column1), (row1, column0))
    ]


def add_points(dock, *points):
    """Take the point tool up, and add points in pixels of the image: (frame, row, column)."""
    if not dock.panels.prompts.tools["point"].isChecked():
        dock.panels.prompts.tools["point"].click()
    layer = next(layer for layer in dock.annotator.layers.layers() if isinstance(layer, Points))
    for point in points:
        layer.add(point)
    return layer


def add_boxes(dock, *boxes):
    """Take the box tool up, and add boxes."""
    if not dock.panels.prompts.tools["box"].isChecked():
        dock.panels.prompts.tools["box"].click()
    layer = next(layer for layer in dock.annotator.layers.layers() if isinstance(layer, Shapes))
    for box in boxes:
        layer.add_rectangles(box)
    return layer


def previewed(viewer) -> set[int]:
    return set(np.unique(viewer.layers[PREVIEW].data)) - {0} if PREVIEW in viewer.layers else set()


def frames_with_labels(viewer) -> list[int]:
    return np.flatnonzero(viewer.layers[LABELS].data.any(axis=(1, 2))).tolist()


def wait_until_idle(dock, qtbot):
    qtbot.waitUntil(dock.panels.track.propagate_button.isEnabled, timeout=WAIT)


def screen_position(viewer, world):
    """Where a place of the world is on the canvas."""
    canvas = viewer.window._qt_viewer.canvas
    transform = canvas.view.scene.transform
    x, y, *_ = transform.map([world[-1], world[-2], 0, 1])
    return QPoint(round(float(x)), round(float(y)))


def click(viewer, qtbot, world):
    native = viewer.window._qt_viewer.canvas.native
    position = screen_position(viewer, world)
    qtbot.mouseMove(native, position)
    qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=position)


def drag(viewer, qtbot, start, end):
    native = viewer.window._qt_viewer.canvas.native
    a, b = screen_position(viewer, start), screen_position(viewer, end)
    qtbot.mouseMove(native, a)
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=a)
    for share in (0.3, 0.6, 1.0):
        qtbot.mouseMove(native, a + (b - a) * share)
        qtbot.wait(20)
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=b)


def press(viewer, qtbot, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)


# --- prompts and previews


def test_opening_the_dock_adds_no_layer(dock, viewer):
    assert [layer.name for layer in viewer.layers] == ["blobs"]


def test_clicks_on_the_canvas_become_points_and_a_preview(window, docked, qtbot):
    docked.panels.prompts.tools["point"].click()
    click(window, qtbot, (15, 20))
    press(window, qtbot, Qt.Key.Key_T)
    click(window, qtbot, (40, 40))

    points = window.layers[POINTS]
    np.testing.assert_allclose(points.data, [[0, 30, 40], [0, 80, 80]], atol=1)
    assert points.features["positive"].tolist() == [True, False]
    qtbot.waitUntil(lambda: previewed(window) == {1}, timeout=WAIT)


def test_colours_follow_the_sign(dock):
    points = add_points(dock, [0, 30, 40])
    dock.annotator.toggle_sign()
    add_points(dock, [0, 80, 80])

    expected = [[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in (GREEN, RED)]
    np.testing.assert_allclose(points.face_color[:, :3], expected, atol=0.01)


def test_dragging_draws_a_box(window, docked, qtbot):
    docked.panels.prompts.tools["box"].click()

    drag(window, qtbot, (6, 11), (24, 30))

    qtbot.waitUntil(lambda: previewed(window) == {1}, timeout=WAIT)
    (box,) = window.layers[SHAPES].data
    np.testing.assert_allclose(
        [box.min(axis=0)[1:], box.max(axis=0)[1:]], [[12, 22], [48, 60]], atol=1.5
    )


def test_further_boxes_on_a_frame_begin_new_objects(dock, viewer, qtbot):
    shapes = add_boxes(dock, rectangle(10, 20, 50, 60), rectangle(45, 75, 75, 105))

    qtbot.waitUntil(lambda: previewed(viewer) == {1, 2}, timeout=WAIT)

    assert shapes.features["object"].tolist() == [1, 2]
    assert dock.panels.objects.current() == 2


def test_box_on_another_frame_belongs_to_the_same_object(dock, viewer, qtbot):
    shapes = add_boxes(dock, rectangle(10, 20, 50, 60), rectangle(10, 20, 50, 60, frame=3))
    dock.annotator.segment()

    assert shapes.features["object"].tolist() == [1, 1]


def test_outline_is_taken_as_the_mask(dock, viewer, qtbot):
    dock.panels.prompts.tools["outline"].click()

    viewer.layers[SHAPES].add_polygons(np.array(rectangle(10, 20, 50, 60)))

    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)
    found = viewer.layers[PREVIEW].data[0] > 0
    assert found[15:45, 25:55].mean() > 0.9
    assert found[60:].mean() < 0.1


def test_preview_goes_when_its_prompts_go(dock, viewer, qtbot):
    points = add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    points.remove_selected()

    qtbot.waitUntil(lambda: previewed(viewer) == set(), timeout=WAIT)


def test_flipping_a_selected_point_changes_its_sign_and_not_the_next(dock, viewer):
    points = add_points(dock, [0, 30, 40], [0, 31, 41])
    points.mode, points.selected_data = "select", {0}

    dock.annotator.toggle_sign()

    assert points.features["positive"].tolist() == [False, True]
    assert dock.panels.prompts.positive


def test_point_that_was_just_added_is_not_flipped(dock):
    points = add_points(dock, [0, 30, 40])

    dock.annotator.toggle_sign()

    assert points.features["positive"].tolist() == [True]
    assert not dock.panels.prompts.positive


def test_selecting_a_point_makes_its_object_the_current_one(dock):
    points = add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    add_points(dock, [0, 60, 90])

    points.selected_data = {0}

    assert dock.panels.objects.current() == 1


def test_points_are_of_the_current_object(dock):
    points = add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    add_points(dock, [0, 60, 90])

    assert points.features["object"].tolist() == [1, 2]


def test_status_tells_quality_and_candidates(dock, qtbot):
    add_points(dock, [0, 30, 40])

    qtbot.waitUntil(lambda: "predicted IoU" in dock.panels.status.label.text(), timeout=WAIT)

    assert "3 candidates" in dock.panels.status.label.text()


def test_own_layers_are_read_and_left_alone(dock, viewer, qtbot):
    own = viewer.add_points([[0, 30, 40]], name="mine", scale=(1, 0.5, 0.5))

    dock.panels.prompts.pickers[Points].pick(own)
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    assert own.features.empty
    assert POINTS not in viewer.layers


def test_objects_named_in_a_layer_are_listed(dock, viewer, qtbot):
    own = viewer.add_points(
        [[0, 30, 40], [0, 60, 90]],
        features={"object": [4, 6], "positive": [True, True]},
        scale=(1, 0.5, 0.5),
    )

    dock.panels.prompts.pickers[Points].pick(own)
    qtbot.waitUntil(lambda: previewed(viewer) == {4, 6}, timeout=WAIT)

    assert list(dock.panels.objects.names()) == [1, 4, 6]


def test_clearing_removes_only_what_the_object_has_on_this_frame(dock):
    points = add_points(dock, [0, 30, 40], [1, 32, 40])
    dock.annotator.new_object()
    add_points(dock, [0, 60, 90])
    dock.panels.objects.make_current(1)

    dock.annotator.clear_prompts()

    np.testing.assert_array_equal(points.data, [[1, 32, 40], [0, 60, 90]])


def test_bad_prompt_is_told_and_pops_nothing_up(dock, told, qtbot):
    dock.annotator.toggle_sign()
    add_points(dock, [0, 30, 40])

    qtbot.waitUntil(lambda: "Negative points" in dock.panels.status.label.text(), timeout=WAIT)

    assert told == []


def test_point_outside_the_image_is_told(dock, qtbot):
    add_points(dock, [0, 300, 40])

    qtbot.waitUntil(lambda: "outside the image" in dock.panels.status.label.text(), timeout=WAIT)


def test_new_contrast_is_seen_by_the_next_preview(dock, viewer, qtbot, monkeypatch):
    seen = []
    read = Tracker.prompt
    monkeypatch.setattr(
        Tracker,
        "prompt",
        lambda self, *args: seen.append(self.source.contrast_limits) or read(self, *args),
    )
    add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers["blobs"].contrast_limits = (7, 77)
    dock.annotator.segment()
    qtbot.waitUntil(lambda: len(seen) > 1, timeout=WAIT)

    assert seen[-1] == (7, 77)


def test_model_works_off_the_main_thread(dock, viewer, qtbot, monkeypatch):
    threads = set()
    prompt = Tracker.prompt

    def noting(self, *args):
        threads.add(threading.current_thread())
        return prompt(self, *args)

    monkeypatch.setattr(Tracker, "prompt", noting)
    add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    assert threads
    assert threading.main_thread() not in threads


# --- accepting and following


def test_accept_writes_the_preview_to_the_labels_of_this_frame(dock, viewer, qtbot):
    viewer.dims.set_point(0, 2)
    add_points(dock, [2, 34, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)
    preview = viewer.layers[PREVIEW].data[0].copy()

    dock.annotator.accept()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    np.testing.assert_array_equal(viewer.layers[LABELS].data[2], preview)
    assert frames_with_labels(viewer) == [2]
    assert previewed(viewer) == set()


def test_accept_without_a_preview_says_what_is_missing(dock):
    dock.annotator.accept()

    assert "Nothing to accept" in dock.panels.status.label.text()


def test_propagate_fills_the_labels_frame_by_frame(dock, viewer, gate, qtbot):
    add_points(dock, [0, 30, 40])
    gate.closes_at = 3

    dock.panels.track.propagate_button.click()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: dock.panels.status.bar.value() == 3, timeout=WAIT)
    assert frames_with_labels(viewer) == [0, 1, 2]

    gate.closes_at = None
    gate.open.set()
    wait_until_idle(dock, qtbot)
    assert frames_with_labels(viewer) == list(range(8))
    assert gate.threads
    assert threading.main_thread() not in gate.threads


def test_range_and_direction_are_kept(dock, viewer, qtbot):
    viewer.dims.set_point(0, 4)
    add_points(dock, [4, 38, 40])
    track = dock.panels.track
    track.direction.setCurrentIndex(track.direction.findData("backward"))
    track.first.setValue(2)

    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    assert frames_with_labels(viewer) == [2, 3, 4]


def test_only_selected_objects_are_followed(dock, viewer, qtbot):
    add_boxes(dock, rectangle(10, 20, 50, 60), rectangle(45, 75, 75, 105))
    dock.annotator.segment()
    dock.panels.track.objects.setCurrentIndex(1)

    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    assert set(np.unique(viewer.layers[LABELS].data)) == {0, 2}


def test_labels_lie_on_the_image(dock, viewer, qtbot):
    image = viewer.layers["blobs"]
    image.rotate, image.translate = (0, 0, 30), (0, 5, 7)
    add_points(dock, [0, 30, 40])

    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    labels = viewer.layers[LABELS]
    np.testing.assert_allclose(labels.data_to_world((3, 4, 5)), image.data_to_world((3, 4, 5)))


def test_following_nothing_says_what_is_missing(dock):
    dock.annotator.propagate()

    assert "Nothing to follow" in dock.panels.status.label.text()
    assert dock.panels.track.propagate_button.isEnabled()


def test_cancel_keeps_what_was_found_and_frees_the_buttons(dock, viewer, gate, qtbot):
    add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: dock.panels.status.bar.value() == 3, timeout=WAIT)

    dock.panels.track.cancel_button.click()

    assert dock.panels.track.propagate_button.isEnabled()
    assert not dock.panels.track.cancel_button.isEnabled()
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(50)
    # The frame that was under way is finished, no other is begun.
    assert frames_with_labels(viewer) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "ran out of memory"),
        (OSError("disk gone"), "disk gone"),
    ],
)
def test_failure_is_told_and_frees_the_buttons(dock, viewer, gate, told, qtbot, error, message):
    add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)

    gate.error = error
    gate.open.set()
    wait_until_idle(dock, qtbot)

    assert message in dock.panels.status.label.text()
    assert message in told[0]
    assert frames_with_labels(viewer) == [0, 1, 2]


def test_model_that_cannot_be_loaded_is_told(viewer, told, qtbot, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    widget = AnnotateWidget(viewer)
    qtbot.addWidget(widget)
    names = widget.panels.model.names
    names.setCurrentIndex(names.findData("sam2.1_hiera_large"))
    add_points(widget, [0, 30, 40])

    qtbot.waitUntil(lambda: "not on this computer" in widget.panels.status.label.text())
    widget.annotator.shut()


def test_models_that_are_not_here_are_grey_and_say_why(viewer, qtbot, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    widget = AnnotateWidget(viewer)
    qtbot.addWidget(widget)
    names = widget.panels.model.names
    index = names.findData("sam2.1_hiera_large")

    assert not names.model().item(index).isEnabled()
    assert str(tmp_path) in names.itemData(index, Qt.ItemDataRole.ToolTipRole)
    widget.annotator.shut()


def test_results_outlive_new_contrast_limits(dock, viewer, qtbot):
    add_points(dock, [0, 30, 40])
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)
    labels = viewer.layers[LABELS]
    viewer.layers["blobs"].contrast_limits = (7, 77)

    dock.annotator.segment()
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)
    dock.annotator.accept()
    qtbot.wait(200)

    assert [layer for layer in viewer.layers if isinstance(layer, Labels)].count(labels) == 1
    assert LABELS + " [1]" not in viewer.layers
    assert frames_with_labels(viewer) == list(range(8))


def test_removing_an_object_takes_its_prompts_and_pixels(dock, viewer, qtbot):
    shapes = add_boxes(dock, rectangle(10, 20, 50, 60), rectangle(45, 75, 75, 105))
    dock.annotator.segment()
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    dock.panels.objects.make_current(1)
    dock.panels.objects.remove_button.click()

    qtbot.waitUntil(lambda: set(np.unique(viewer.layers[LABELS].data)) == {0, 2}, timeout=WAIT)
    assert shapes.features["object"].tolist() == [2]
    assert list(dock.panels.objects.names()) == [2]


# --- keys


@pytest.mark.parametrize("layer", ["blobs", POINTS])
def test_keys_work_whichever_layer_is_selected(window, docked, qtbot, layer):
    add_points(docked, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(window) == {1}, timeout=WAIT)
    window.layers.selection.active = window.layers[layer]

    press(window, qtbot, Qt.Key.Key_N)
    assert docked.panels.objects.current() == 2
    docked.panels.objects.make_current(1)
    press(window, qtbot, Qt.Key.Key_T)
    assert not docked.panels.prompts.positive
    press(window, qtbot, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: LABELS in window.layers, timeout=WAIT)
    assert previewed(window) == set()
    press(window, qtbot, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: previewed(window) == {1}, timeout=WAIT)
    press(window, qtbot, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    wait_until_idle(docked, qtbot)
    assert frames_with_labels(window) == list(range(8))
    press(window, qtbot, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert len(window.layers[POINTS].data) == 0


def test_escape_cancels(window, docked, gate, qtbot):
    add_points(docked, [0, 30, 40])
    gate.closes_at = 2
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    press(window, qtbot, Qt.Key.Key_Escape)

    assert docked.panels.track.propagate_button.isEnabled()
    gate.open.set()


def test_letters_typed_on_a_box_reach_the_viewer(window, docked, qtbot):
    box = docked.panels.model.names
    chosen = box.currentIndex()
    box.setFocus()

    qtbot.keyClick(box, Qt.Key.Key_N)

    assert box.currentIndex() == chosen
    assert docked.panels.objects.current() == 2


def test_keys_are_given_back(viewer, tiny_model, qtbot):
    def earlier(viewer):
        """Stand for what somebody else bound."""

    viewer.bind_key("S", earlier)
    before = dict(viewer.keymap)
    widget = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(widget)
    points = add_points(widget, [0, 30, 40])
    assert viewer.keymap != before
    assert points.keymap

    widget.annotator.shut()

    assert viewer.keymap == before
    assert all(layer.keymap == {} for layer in viewer.layers)


def test_layers_have_their_keys_back_when_they_are_left(dock, viewer):
    points = add_points(dock, [0, 30, 40])

    viewer.layers.selection.active = viewer.layers["blobs"]

    assert points.keymap == {}
    assert viewer.layers["blobs"].keymap


# --- life and death


def test_prompt_layer_deleted_by_hand_is_made_anew(dock, viewer, qtbot):
    add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers.remove(POINTS)
    qtbot.waitUntil(lambda: previewed(viewer) == set(), timeout=WAIT)
    add_points(dock, [0, 31, 41])

    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)


def test_preview_layer_deleted_by_hand_is_made_anew(dock, viewer, qtbot):
    add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers.remove(PREVIEW)
    add_points(dock, [0, 31, 41])

    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)


def test_labels_deleted_while_following_are_made_anew(dock, viewer, gate, qtbot):
    add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    viewer.layers.remove(LABELS)
    gate.closes_at = None
    gate.open.set()
    wait_until_idle(dock, qtbot)

    assert frames_with_labels(viewer) == list(range(8))


def test_renamed_layers_are_still_the_same(dock, viewer, qtbot):
    add_points(dock, [0, 30, 40])
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)
    viewer.layers[LABELS].name = "mine now"
    viewer.layers[POINTS].name = "my points"
    viewer.layers["blobs"].name = "drops"

    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    names = {layer.name for layer in viewer.layers}
    assert names == {"drops", "my points", "mine now", PREVIEW} & names
    assert dock.panels.image.images.currentText() == "drops"


def test_image_removed_while_following_stops_it(dock, viewer, gate, qtbot):
    add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)

    viewer.layers.remove("blobs")
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(150)

    assert dock.panels.track.propagate_button.isEnabled()
    assert "Cancelled" in dock.panels.status.label.text()


def test_another_image_has_labels_of_its_own(dock, viewer, qtbot, blobs):
    add_points(dock, [0, 30, 40])
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)
    first = viewer.layers[LABELS]
    before = first.data.copy()

    other = viewer.add_image(blobs[0][:, ::-1], name="other", scale=(1, 0.5, 0.5))
    dock.panels.image.images.pick(other)
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    np.testing.assert_array_equal(first.data, before)
    assert frames_with_labels(viewer) == list(range(8))
    assert len([layer for layer in viewer.layers if layer.name.startswith(LABELS)]) == 2


def test_any_axis_can_be_played(dock, viewer, qtbot):
    dock.panels.image.axes.setCurrentIndex(2)
    dock.panels.image.axes.activated.emit(2)
    assert viewer.dims.order == (2, 0, 1)
    assert dock.panels.track.last.value() == 127
    dock.panels.track.last.setValue(42)
    viewer.dims.set_point(2, 20)
    add_points(dock, [3, 34, 40])

    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    labels = viewer.layers[LABELS].data
    assert np.flatnonzero(labels.any(axis=(0, 1))).tolist() == [40, 41, 42]


def test_dock_closed_while_following_leaves_nothing_behind(window, docked, gate, qtbot):
    before = window.layers["blobs"].keymap
    points = add_points(docked, [0, 30, 40])
    gate.closes_at = 3
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    window.window.remove_dock_widget(docked)
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(150)
    points.add([0, 31, 41])

    assert not any(str(key) in {"S", "Shift+S", "T", "C", "N", "Escape"} for key in window.keymap)
    assert points.keymap == {}
    assert before == {}
    docked.deleteLater()


def test_viewer_closed_while_following_leaves_no_thread(window, docked, gate, qtbot):
    add_points(docked, [0, 30, 40])
    gate.closes_at = 3
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    with qtbot.captureExceptions() as raised:
        window.close()
        gate.open.set()
        assert QThreadPool.globalInstance().waitForDone(WAIT)
        qtbot.wait(150)

    assert raised == []


def test_a_second_dock_goes_on_with_the_prompts_of_the_first(viewer, tiny_model, qtbot):
    first = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(first)
    points = add_points(first, [0, 30, 40])
    first.annotator.shut()

    second = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(second)
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    assert second.annotator.layers.layers() == [points]
    second.annotator.shut()


def test_two_dimensional_images_work_in_place(tiny_model, blobs, qtbot):
    viewer = ViewerModel()
    viewer.add_image(blobs[0][0], name="one frame")
    widget = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(widget)
    add_points(widget, [30, 40])
    qtbot.waitUntil(lambda: previewed(viewer) == {1}, timeout=WAIT)

    widget.annotator.accept()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    assert viewer.layers[LABELS].data.shape == (96, 128)
    widget.annotator.shut()


def test_user_layers_are_left_as_they_are(dock, viewer, qtbot, blobs):
    image = viewer.layers["blobs"]
    before = image.data.copy(), alignment(image)["scale"].tolist(), image.contrast_limits
    add_points(dock, [0, 30, 40])
    dock.annotator.propagate()
    wait_until_idle(dock, qtbot)

    np.testing.assert_array_equal(image.data, before[0])
    assert (image.scale.tolist(), image.contrast_limits) == (before[1], before[2])
    assert isinstance(image, Image)
