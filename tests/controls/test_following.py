"""Previews are accepted, objects are followed, and it may be cancelled or fail."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from napari.layers import Labels
from qtpy.QtCore import Qt, QThreadPool

from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.batches import DeviceMemoryError

PREVIEW, LABELS = "SAM 2 preview", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def test_accept_writes_the_preview_to_the_labels_of_this_frame(dock, viewer, qtbot, hand):
    viewer.dims.set_point(0, 2)
    hand.add_points(dock, [2, 34, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    preview = viewer.layers[PREVIEW].data[0].copy()

    dock.annotator.accept()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    np.testing.assert_array_equal(viewer.layers[LABELS].data[2], preview)
    assert hand.frames_with_labels(viewer) == [2]
    assert hand.previewed(viewer) == set()


def test_accept_without_a_preview_says_what_is_missing(dock):
    dock.annotator.accept()

    assert "Nothing to accept" in dock.panels.status.label.text()


def test_propagate_fills_the_labels_frame_by_frame(dock, viewer, gate, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    gate.closes_at = 3

    dock.panels.track.propagate_button.click()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: dock.panels.status.bar.value() == 3, timeout=WAIT)
    assert hand.frames_with_labels(viewer) == [0, 1, 2]

    gate.closes_at = None
    gate.open.set()
    hand.wait_until_idle(dock)
    assert hand.frames_with_labels(viewer) == list(range(8))
    assert gate.threads
    assert threading.main_thread() not in gate.threads


def test_following_takes_the_place_of_a_preview_that_waits(dock, viewer, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    qtbot.wait(250)

    assert hand.previewed(viewer) == set()


def test_range_and_direction_are_kept(dock, viewer, hand):
    viewer.dims.set_point(0, 4)
    hand.add_points(dock, [4, 38, 40])
    track = dock.panels.track
    track.direction.setCurrentIndex(track.direction.findData("backward"))
    track.first.setValue(2)

    hand.follow(dock)

    assert hand.frames_with_labels(viewer) == [2, 3, 4]


def test_only_selected_objects_are_followed(dock, viewer, hand):
    hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))
    dock.annotator.segment()
    dock.panels.track.objects.setCurrentIndex(1)

    hand.follow(dock)

    assert set(np.unique(viewer.layers[LABELS].data)) == {0, 2}


def test_labels_lie_on_the_image(dock, viewer, hand):
    image = viewer.layers["blobs"]
    image.rotate, image.translate = (0, 0, 30), (0, 5, 7)
    hand.follow(dock, [0, 30, 40])

    labels = viewer.layers[LABELS]
    np.testing.assert_allclose(labels.data_to_world((3, 4, 5)), image.data_to_world((3, 4, 5)))


def test_following_nothing_says_what_is_missing(dock):
    dock.annotator.propagate()

    assert "Nothing to follow" in dock.panels.status.label.text()
    assert dock.panels.track.propagate_button.isEnabled()


def test_cancel_keeps_what_was_found_and_frees_the_buttons(following, viewer, gate, qtbot, hand):
    track = following.panels.track

    track.cancel_button.click()

    assert track.propagate_button.isEnabled()
    assert not track.cancel_button.isEnabled()
    gate.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(50)
    # Nothing was found yet on the frame that was under way.
    assert hand.frames_with_labels(viewer) == [0, 1, 2]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "ran out of memory"),
        (DeviceMemoryError("Use the CPU."), "Use the CPU."),
        (OSError("disk gone"), "disk gone"),
    ],
)
def test_failure_is_told_and_frees_the_buttons(dock, viewer, gate, told, error, message, hand):
    hand.add_points(dock, [0, 30, 40])
    gate.closes_at = 3
    dock.annotator.propagate()
    assert gate.entered.wait(10)

    gate.error = error
    gate.open.set()
    hand.wait_until_idle(dock)

    assert message in dock.panels.status.label.text()
    assert message in told[0]
    assert hand.frames_with_labels(viewer) == [0, 1, 2]


def test_model_that_cannot_be_loaded_is_told(viewer, told, qtbot, monkeypatch, tmp_path, hand):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    widget = AnnotateWidget(viewer)
    qtbot.addWidget(widget)
    names = widget.panels.model.names
    names.setCurrentIndex(names.findData("sam2.1_hiera_large"))
    hand.add_points(widget, [0, 30, 40])

    qtbot.waitUntil(lambda: "not on this computer" in widget.panels.status.label.text())
    widget.annotator.shut()


def test_models_that_are_not_here_say_why(viewer, qtbot, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    widget = AnnotateWidget(viewer)
    qtbot.addWidget(widget)
    names = widget.panels.model.names
    index = names.findData("sam2.1_hiera_large")

    assert "not here" in names.itemText(index)
    assert str(tmp_path) in names.itemData(index, Qt.ItemDataRole.ToolTipRole)
    widget.annotator.shut()


@pytest.mark.parametrize("shape", [(8, 96, 128), (20, 20)], ids=["its shape", "another shape"])
def test_images_beside_it_come_and_go_while_it_is_followed(following, viewer, shape, told):
    beside = viewer.add_image(np.zeros(shape, np.uint8), name="beside")
    viewer.layers.remove(beside)

    assert following.annotator.follower.is_running
    assert told == []


def test_range_stays_when_another_image_is_opened(dock, viewer):
    track = dock.panels.track
    track.choose(first=2, last=5)

    viewer.add_image(np.zeros((8, 96, 128), np.uint8), name="beside")

    assert (track.first.value(), track.last.value()) == (2, 5)


def test_range_is_that_of_another_image_that_is_chosen(dock, viewer):
    track = dock.panels.track
    track.choose(first=2, last=5)
    other = viewer.add_image(np.zeros((8, 20, 20), np.uint8), name="other")

    dock.panels.image.images.pick(other)

    assert (track.first.value(), track.last.value()) == (0, 7)


def test_results_outlive_new_contrast_limits(dock, viewer, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    labels = viewer.layers[LABELS]
    viewer.layers["blobs"].contrast_limits = (7, 77)

    dock.annotator.segment()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    dock.annotator.accept()
    qtbot.wait(200)

    assert [layer for layer in viewer.layers if isinstance(layer, Labels)].count(labels) == 1
    assert LABELS + " [1]" not in viewer.layers
    assert hand.frames_with_labels(viewer) == list(range(8))


def test_object_is_removed_from_frames_found_before_new_contrast_limits(dock, viewer, qtbot, hand):
    hand.follow(dock, [0, 30, 40])
    viewer.layers["blobs"].contrast_limits = (7, 77)

    dock.panels.objects.remove_button.click()

    qtbot.waitUntil(lambda: hand.frames_with_labels(viewer) == [], timeout=WAIT)


def test_removing_an_object_takes_its_prompts_and_pixels(dock, viewer, qtbot, hand):
    shapes = hand.add_boxes(dock, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))
    dock.annotator.segment()
    hand.follow(dock)

    dock.panels.objects.make_current(1)
    dock.panels.objects.remove_button.click()

    qtbot.waitUntil(lambda: set(np.unique(viewer.layers[LABELS].data)) == {0, 2}, timeout=WAIT)
    assert shapes.features["object"].tolist() == [2]
    assert list(dock.panels.objects.names()) == [2]
