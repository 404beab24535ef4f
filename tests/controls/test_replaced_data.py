"""An image whose pixels are replaced is another image; what was found in the old ones is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle
from qtpy.QtCore import QThreadPool

from napari_sam2._controls import autosaver
from napari_sam2._layers import Channels
from napari_sam2.autosave import find_unsaved
from napari_sam2.session import Session

WAIT = 10_000  #: ms, for what a worker does
POINTS, LABELS = "SAM 2 points", "SAM 2 labels"


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(autosaver, "EVERY_MS", 100)


def test_a_layer_that_is_replaced_while_it_is_followed_stops_that(
    told, following, viewer, gate, qtbot
):
    layer = viewer.layers["blobs"]
    layer.data = layer.data[:, ::-1]
    gate.open.set()
    settle(following)

    assert any(one.startswith("Stopped, as the image or its axis was changed") for one in told)
    assert following.panels.track.propagate_button.isEnabled()


def test_the_range_is_that_of_the_new_pixels(dock, viewer):
    layer = viewer.layers["blobs"]
    layer.data = layer.data[:5]

    assert dock.panels.track.last.value() == 4
    assert dock.panels.image.axes.itemText(0) == "axis 0 (5 frames)"


@pytest.mark.parametrize("n_frames", [8, 5], ids=["same shape", "other shape"])
def test_what_was_found_in_the_old_pixels_is_put_aside(
    dock, viewer, blobs, tiny_model, qtbot, hand, n_frames
):
    hand.follow(dock, [0, 30, 40])
    dock.annotator.reviewer.toggle_lock()
    settle(dock)
    first = viewer.layers[LABELS]
    before = first.data.copy()

    viewer.layers["blobs"].data = np.ascontiguousarray(blobs[0][:n_frames, ::-1])
    settle(dock)
    hand.follow(dock)
    settle(dock)
    dock.annotator.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    dock.annotator.autosaver.wait()

    np.testing.assert_array_equal(first.data, before)
    second = viewer.layers[f"{LABELS} [1]"]
    assert second.data.shape == (n_frames, 96, 128)
    old, new = sorted(
        find_unsaved(), key=lambda one: len(locked_in(one, viewer, blobs, tiny_model)), reverse=True
    )
    assert np.array_equal(Session.load(old.path, blobs[0], tiny_model).labels, before)
    assert locked_in(old, viewer, blobs, tiny_model) == [0]
    assert locked_in(new, viewer, blobs, tiny_model) == []


def locked_in(one, viewer, blobs, model):
    for data in (blobs[0], viewer.layers["blobs"].data):
        try:
            return Session.load(one.path, data, model).locked(1)
        except ValueError:
            continue
    raise AssertionError(one)


def test_layers_that_differ_in_shape_are_told_of_once_and_not_at_each_step(
    dock, viewer, blobs, qtbot, hand
):
    green = viewer.add_image(blobs[0][:, ::-1], name="green")
    dock.panels.image.choose(
        viewer.layers["blobs"], 0, Channels(layers=(viewer.layers["blobs"], green))
    )
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    green.data = green.data[:, :50]

    with qtbot.captureExceptions() as raised:
        for frame in (1, 2, 0):
            viewer.dims.set_point(0, frame * 1.0)
        dock.panels.objects.begin()
        dock.panels.objects.remove([2])
        dock.annotator.before._button.setChecked(True)
        dock.annotator.choosing.choose(0)
        dock.annotator.reviewer.go_to(2)
        dock.panels.image.channels.changed.emit()
        qtbot.wait(700)
        dock.annotator.propagate()

    assert raised == []
    assert "shape" in dock.panels.status.label.text()
