"""Docks, layers and viewers come and go in real windows, and leave things as they were."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hand import settle
from napari.layers import Points
from qtpy.QtCore import QEvent, Qt, QThreadPool
from qtpy.QtWidgets import QApplication

from napari_sam2._widget import AnnotateWidget

POINTS, PREVIEW, LABELS = "SAM 2 points", "SAM 2 preview", "SAM 2 labels"
NAMES = (POINTS, "SAM 2 shapes", "SAM 2 paint", PREVIEW, LABELS)
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def open_dock(tiny_model, qtbot):
    """Opens docks in windows."""

    def open_dock(viewer, model=tiny_model):
        dock = AnnotateWidget(viewer, model=model)
        viewer.window.add_dock_widget(dock, name="SAM 2")
        qtbot.wait(50)
        return dock

    return open_dock


@pytest.fixture
def close_dock(qtbot):
    """Closes docks for good."""

    def close_dock(viewer, dock):
        viewer.window.remove_dock_widget(dock)
        assert QThreadPool.globalInstance().waitForDone(WAIT)
        dock.annotator.autosaver.wait()
        dock.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        qtbot.wait(20)

    return close_dock


@pytest.fixture
def in_window(docked, window, gate, qtbot, hand):
    """Object 1 is followed in a real window, and frame 3 is being computed."""
    hand.add_points(docked, [0, 30, 40])
    gate.closes_at = 3
    docked.annotator.propagate()
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: LABELS in window.layers, timeout=WAIT)
    gate.closes_at = None
    return docked


def labels_of(viewer):
    return [layer for layer in viewer.layers if layer.name.startswith(LABELS)]


def test_dock_that_is_opened_again_goes_on_with_prompts_and_keys(
    window, open_dock, close_dock, hand, qtbot
):
    first = open_dock(window)
    points = hand.add_points(first, [0, 30, 40])
    settle(first)
    close_dock(window, first)

    second = open_dock(window)
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    hand.press(window, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    hand.wait_until_idle(second)
    settle(second)

    assert second.annotator.layers.layers() == [points]
    assert hand.frames_with_labels(window) == list(range(8))
    assert len(labels_of(window)) == 1


def test_image_renamed_while_following_is_followed_to_the_end(in_window, window, gate, hand):
    window.layers["blobs"].name = "drops"
    gate.open.set()
    hand.wait_until_idle(in_window)

    assert hand.frames_with_labels(window) == list(range(8))
    assert in_window.panels.image.images.currentText() == "drops"


def test_image_removed_while_following_ends_it_without_a_word_of_error(
    in_window, window, gate, qtbot
):
    with qtbot.captureExceptions() as raised:
        window.layers.remove("blobs")
        gate.open.set()
        assert QThreadPool.globalInstance().waitForDone(WAIT)
        qtbot.wait(150)

    assert raised == []
    assert "Stopped" in in_window.panels.status.label.text()
    assert in_window.panels.track.propagate_button.isEnabled()


def test_pixels_edited_while_following_are_those_of_the_frames_to_come(
    in_window, window, gate, hand, qtbot
):
    with qtbot.captureExceptions() as raised:
        window.layers["blobs"].data[5:] = 0
        window.layers["blobs"].refresh()
        gate.open.set()
        hand.wait_until_idle(in_window)

    assert raised == []
    assert gate.passed == list(range(8))


def test_pixels_replaced_while_following_are_followed_anew(
    in_window, window, blobs, gate, hand, qtbot
):
    window.layers["blobs"].data = blobs[0][:, ::-1].copy()
    in_window.annotator.segment()
    gate.open.set()
    hand.wait_until_idle(in_window)
    settle(in_window)
    assert "seen in another way" in in_window.panels.status.label.text() or gate.passed

    hand.follow(in_window)
    settle(in_window)

    assert in_window.session.source.data is window.layers["blobs"].data
    first, second = labels_of(window)  # what was found in the old pixels is kept
    assert second.data.any(axis=(1, 2)).all()
    assert first.data is not second.data


def test_pixels_of_another_shape_have_labels_of_their_own(
    in_window, window, blobs, gate, hand, qtbot
):
    with qtbot.captureExceptions() as raised:
        window.layers["blobs"].data = blobs[0][:5, :80].copy()
        gate.open.set()
        hand.wait_until_idle(in_window)
        settle(in_window)
        assert in_window.panels.track.last.value() == 4
        hand.follow(in_window)
        settle(in_window)

    assert raised == []
    assert [layer.data.shape for layer in labels_of(window)] == [(8, 96, 128), (5, 80, 128)]
    assert labels_of(window)[-1].data.any(axis=(1, 2)).all()


def test_two_viewers_do_not_know_of_each_other(
    window, make_napari_viewer, open_dock, blobs, hand, qtbot
):
    # Not shown: Mesa's OpenGL at times draws two canvases of a process into each other.
    other = make_napari_viewer(show=False)
    other.add_image(blobs[0], name="blobs")
    other.dims.set_point(0, 0)
    one, two = open_dock(window), open_dock(other)
    hand.add_points(one, [0, 30, 40])
    hand.add_points(two, [0, 60, 90])
    for dock in (one, two):
        dock.annotator.propagate()
    for dock in (one, two):
        hand.wait_until_idle(dock)
        settle(dock)
    first, second = labels_of(window)[0].data.copy(), labels_of(other)[0].data
    assert not np.array_equal(first, second)

    other.close()
    hand.follow(one)
    settle(one)

    assert labels_of(window)[0].data.any(axis=(1, 2)).all()


def test_two_docks_in_a_window_write_labels_of_their_own(window, open_dock, hand, qtbot):
    one = open_dock(window)
    hand.add_points(one, [0, 30, 40])
    settle(one)
    two = open_dock(window)  # goes on with the prompts that are there
    for dock in (one, two):
        hand.follow(dock)
        settle(dock)

    first, second = (layer.data for layer in labels_of(window))
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
def test_keys_are_as_before_in_whatever_order_docks_are_closed(
    window, open_dock, close_dock, order
):
    def earlier(viewer):
        """Stand for what somebody else bound."""

    window.bind_key("S", earlier)
    before = dict(window.keymap)
    docks = [open_dock(window), open_dock(window)]

    for place in order:
        close_dock(window, docks[place])

    assert dict(window.keymap) == before
    assert all(layer.keymap == {} for layer in window.layers)


def test_layers_of_the_user_with_our_names_are_left_alone(window, open_dock, hand, blobs, qtbot):
    theirs = [
        window.add_points(np.full((2, 3), 9.0), name=POINTS),
        *(window.add_labels(np.full((8, 96, 128), 5, np.uint8), name=name) for name in NAMES[2:]),
    ]
    before = [np.array(layer.data) for layer in theirs]
    dock = open_dock(window)
    hand.add_points(dock, [0, 30, 40])
    dock.panels.prompts.take_up("brush")
    settle(dock)
    hand.follow(dock)
    settle(dock)

    assert [layer.name for layer in theirs] == [POINTS, *NAMES[2:]]
    for layer, data in zip(theirs, before, strict=True):
        np.testing.assert_array_equal(layer.data, data)
    assert len(labels_of(window)) == 2


def test_prompt_layer_deleted_under_the_hand_is_made_anew(window, docked, hand, qtbot):
    docked.panels.prompts.take_up("point")
    hand.click(window, (15, 20))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    window.layers.remove(POINTS)
    qtbot.waitUntil(lambda: hand.previewed(window) == set(), timeout=WAIT)
    assert not docked.panels.prompts.tools["point"].isChecked()

    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    np.testing.assert_allclose(window.layers[POINTS].data, [[0, 30, 40]], atol=1)


def watchers(viewer, *layers):
    """Count who listens to a viewer and its layers, by event."""
    emitters = {
        f"{place} {name}": emitter
        for place, group in enumerate(
            [viewer.dims.events, viewer.layers.events, viewer.layers.selection.events]
            + [layer.events for layer in layers]
        )
        for name, emitter in group.emitters.items()
    }
    return {name: len(emitter.callbacks) for name, emitter in emitters.items()}


def test_layers_and_viewer_are_given_back_as_they_were(window, open_dock, close_dock, hand, qtbot):
    def own(layer, event):
        """Stand for what a user's plugin does with the mouse."""

    theirs = window.add_points(np.zeros((0, 3)), name="mine", ndim=3, scale=(1, 0.5, 0.5))
    theirs.mouse_drag_callbacks.append(own)
    theirs.bind_key("T", own)
    image = window.layers["blobs"]
    window.layers.selection.active = image

    def state():
        mouse = [
            list(getattr(owner, f"mouse_{kind}_callbacks"))
            for owner in (window, image, theirs)
            for kind in ("drag", "move", "wheel", "double_click")
        ]
        keymaps = [dict(owner.keymap) for owner in (window, image, theirs)]
        looks = [image.scale.tolist(), image.contrast_limits, image.colormap.name, image.opacity]
        return mouse, keymaps, looks, watchers(window, image, theirs)

    dock = open_dock(window)  # what napari makes with the first dock is made
    close_dock(window, dock)
    before = state()
    dock = open_dock(window)
    dock.panels.prompts.pickers[Points].pick(theirs)
    window.layers.selection.active = theirs
    theirs.add([0, 30, 40])
    settle(dock)
    hand.follow(dock)
    assert state()[1:] != before[1:]

    close_dock(window, dock)
    window.layers.remove(LABELS)
    window.layers.remove(PREVIEW)
    window.layers.selection.active = image

    after = state()
    assert after[:3] == before[:3]
    assert {n: (before[3][n], k) for n, k in after[3].items() if k > before[3][n]} == {}


def our_threads():
    """Give the threads that Python has begun: Qt keeps those of its pool."""
    return [t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]


def test_docks_that_were_closed_leave_neither_widgets_nor_threads(
    window, open_dock, close_dock, hand, qtbot
):
    def round_trip():
        dock = open_dock(window)
        hand.follow(dock, [0, 30, 40])
        settle(dock)
        close_dock(window, dock)
        for layer in window.layers[1:]:
            window.layers.remove(layer)

    round_trip()  # napari makes some of its own with the first
    gc.collect()
    widgets, threads = len(QApplication.allWidgets()), len(our_threads())
    for _ in range(3):
        round_trip()
    qtbot.wait(100)
    gc.collect()

    assert len(QApplication.allWidgets()) <= widgets
    assert len(our_threads()) <= threads
