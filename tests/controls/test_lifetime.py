"""Layers, docks and viewers come and go, also while objects are followed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QThreadPool

from napari_sam2._controls.tidying import tidy_once
from napari_sam2._layers import alignment
from napari_sam2._widget import AnnotateWidget

POINTS, PREVIEW, LABELS = "SAM 2 points", "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def only_asked_for():
    """Let Python's garbage collection run where it is asked for, and not by itself."""
    gc.disable()
    yield
    gc.enable()


def test_what_loading_left_is_cleared_away_as_the_first_dock_opens(
    viewer, tiny_model, qtbot, only_asked_for
):
    tidy_once.cache_clear()
    counts = []
    for _ in range(2):
        before = gc.get_stats()[2]["collections"]
        widget = AnnotateWidget(viewer, model=tiny_model)
        counts.append(gc.get_stats()[2]["collections"] - before)
        qtbot.addWidget(widget)
        widget.annotator.shut()

    assert counts == [1, 0]


def test_prompt_layer_deleted_by_hand_is_made_anew(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers.remove(POINTS)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == set(), timeout=WAIT)
    hand.add_points(dock, [0, 31, 41])

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)


def test_preview_layer_deleted_by_hand_is_made_anew(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    viewer.layers.remove(PREVIEW)
    hand.add_points(dock, [0, 31, 41])

    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)


def test_labels_deleted_while_following_are_made_anew(dock, viewer, gate, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    viewer.layers.remove(LABELS)
    gate.closes_at = None
    gate.open.set()
    hand.wait_until_idle(dock)

    assert hand.frames_with_labels(viewer) == list(range(8))


def test_renamed_layers_are_still_the_same(dock, viewer, hand):
    hand.follow(dock, [0, 30, 40])
    viewer.layers[LABELS].name = "mine now"
    viewer.layers[POINTS].name = "my points"
    viewer.layers["blobs"].name = "drops"

    hand.follow(dock)

    names = {layer.name for layer in viewer.layers}
    assert names == {"drops", "my points", "mine now", PREVIEW} & names
    assert dock.panels.image.images.currentText() == "drops"


def test_image_removed_while_following_stops_it(dock, viewer, gate, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)

    viewer.layers.remove("blobs")
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(150)

    assert dock.panels.track.propagate_button.isEnabled()
    assert "Stopped" in dock.panels.status.label.text()


def test_nothing_of_a_removed_image_is_kept(dock, viewer, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    labels = viewer.layers[LABELS]
    labels.brush_size = 5
    labels.paint((2, 20, 20), 1)
    kept = [weakref.ref(one) for one in (viewer.layers["blobs"], labels, labels.data)]
    del labels

    viewer.layers.remove("blobs")
    viewer.layers.remove(LABELS)
    qtbot.wait(200)
    dock.annotator.autosaver.wait()
    dock.annotator.autosaver.save()
    dock.annotator.autosaver.wait()
    gc.collect()

    assert [one() for one in kept] == [None, None, None]


def test_nothing_of_an_image_that_was_refused_is_kept(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    hand.add_points(dock, [0, 30, 40])
    points = viewer.layers[POINTS]
    points.features = {"object": [1, 1], "positive": [False, False]}
    dock.annotator.segment()
    text = dock.panels.status.label.text
    qtbot.waitUntil(lambda: text().startswith("object 1:"), timeout=WAIT)
    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
    image = weakref.ref(viewer.layers["blobs"])

    viewer.layers.remove("blobs")
    qtbot.wait(200)
    dock.annotator.autosaver.wait()
    gc.collect()

    assert image() is None


def test_another_image_has_labels_of_its_own(dock, viewer, blobs, hand):
    hand.follow(dock, [0, 30, 40])
    first = viewer.layers[LABELS]
    before = first.data.copy()

    other = viewer.add_image(blobs[0][:, ::-1], name="other", scale=(1, 0.5, 0.5))
    dock.panels.image.images.pick(other)
    hand.follow(dock, [0, 30, 88])

    np.testing.assert_array_equal(first.data, before)
    assert hand.frames_with_labels(viewer) == list(range(8))
    assert len([layer for layer in viewer.layers if layer.name.startswith(LABELS)]) == 2


def test_any_axis_can_be_played(dock, viewer, hand):
    dock.panels.image.axes.setCurrentIndex(2)
    dock.panels.image.axes.activated.emit(2)
    assert viewer.dims.order == (2, 0, 1)
    assert dock.panels.track.last.value() == 127
    dock.panels.track.first.setValue(40)
    dock.panels.track.last.setValue(42)
    viewer.dims.set_point(2, 20)
    hand.follow(dock, [3, 34, 40])

    labels = viewer.layers[LABELS].data
    assert np.flatnonzero(labels.any(axis=(0, 1))).tolist() == [40, 41, 42]


def test_dock_closed_while_following_leaves_nothing_behind(window, docked, gate, qtbot, hand):
    before = window.layers["blobs"].keymap
    points = hand.add_points(docked, [0, 30, 40])
    gate.closes_at = 3
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    window.window.remove_dock_widget(docked)
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(150)
    points.add([0, 31, 41])

    assert gate.passed == [0, 1, 2, 3]
    assert not any(str(key) in {"S", "Shift+S", "T", "C", "N", "Escape"} for key in window.keymap)
    assert points.keymap == {}
    assert before == {}
    docked.deleteLater()


def parts_of(dock):
    annotator = dock.annotator
    bench = annotator._bench
    (made,) = bench._made.values()
    parts = dock, annotator, bench, annotator.timeline, annotator.autosaver, made.session
    return [weakref.ref(part) for part in parts]


@pytest.mark.parametrize("is_busy", [False, True], ids=["at rest", "while following"])
def test_nothing_of_a_closed_dock_is_kept(window, tiny_model, qtbot, hand, is_busy):
    dock = AnnotateWidget(window, model=tiny_model)
    window.window.add_dock_widget(dock, name="SAM 2")
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    dock.annotator.propagate()
    hand.wait_until_idle(dock)
    if is_busy:
        hand.add_points(dock, [3, 60, 40])
        dock.annotator.propagate()
    kept, autosaver = parts_of(dock), dock.annotator.autosaver

    window.window.remove_dock_widget(dock)
    dock.deleteLater()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    autosaver.wait()
    del dock, autosaver
    qtbot.wait(150)
    gc.collect()

    assert [one() for one in kept] == [None] * len(kept)


def test_viewer_closed_while_following_leaves_no_thread(window, docked, gate, qtbot, hand):
    hand.add_points(docked, [0, 30, 40])
    gate.closes_at = 3
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    with qtbot.captureExceptions() as raised:
        window.close()
        gate.open.set()
        assert QThreadPool.globalInstance().waitForDone(WAIT)
        qtbot.wait(150)

    assert raised == []


def test_a_second_dock_goes_on_with_the_prompts_of_the_first(viewer, tiny_model, qtbot, hand):
    first = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(first)
    points = hand.add_points(first, [0, 30, 40])
    first.annotator.shut()

    second = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(second)
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    assert second.annotator.layers.layers() == [points]
    second.annotator.shut()


def test_two_dimensional_images_work_in_place(tiny_model, blobs, qtbot, hand):
    viewer = ViewerModel()
    viewer.add_image(blobs[0][0], name="one frame")
    widget = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(widget)
    hand.add_points(widget, [30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    widget.annotator.accept()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    assert viewer.layers[LABELS].data.shape == (96, 128)
    widget.annotator.shut()


def test_user_layers_are_left_as_they_are(dock, viewer, blobs, hand):
    image = viewer.layers["blobs"]
    before = image.data.copy(), alignment(image)["scale"].tolist(), image.contrast_limits
    hand.follow(dock, [0, 30, 40])

    np.testing.assert_array_equal(image.data, before[0])
    assert (image.scale.tolist(), image.contrast_limits) == (before[1], before[2])
    assert isinstance(image, Image)
