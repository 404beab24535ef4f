"""Keys do what the buttons say, wherever the focus is."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_sam2._widget import AnnotateWidget

POINTS, LABELS = "SAM 2 points", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


@pytest.mark.parametrize("layer", ["blobs", POINTS])
def test_keys_work_whichever_layer_is_selected(window, docked, qtbot, layer, hand):
    hand.add_points(docked, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    window.layers.selection.active = window.layers[layer]

    hand.press(window, Qt.Key.Key_N)
    assert docked.panels.objects.current() == 2
    docked.panels.objects.make_current(1)
    hand.press(window, Qt.Key.Key_T)
    assert not docked.panels.prompts.positive
    hand.press(window, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: LABELS in window.layers, timeout=WAIT)
    assert hand.previewed(window) == set()
    hand.press(window, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    hand.press(window, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    hand.wait_until_idle(docked)
    assert hand.frames_with_labels(window) == list(range(8))
    hand.press(window, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert len(window.layers[POINTS].data) == 0


def test_escape_cancels(window, docked, gate, hand):
    hand.add_points(docked, [0, 30, 40])
    gate.closes_at = 2
    docked.annotator.propagate()
    assert gate.entered.wait(10)

    hand.press(window, Qt.Key.Key_Escape)

    assert docked.panels.track.propagate_button.isEnabled()
    gate.open.set()


def test_letters_typed_on_a_box_reach_the_viewer(window, docked, qtbot):
    box = docked.panels.model.names
    chosen = box.currentIndex()
    box.setFocus()

    qtbot.keyClick(box, Qt.Key.Key_N)

    assert box.currentIndex() == chosen
    assert docked.panels.objects.current() == 2


def test_keys_are_given_back(viewer, tiny_model, qtbot, hand):
    def earlier(viewer):
        """Stand for what somebody else bound."""

    viewer.bind_key("S", earlier)
    before = dict(viewer.keymap)
    widget = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(widget)
    points = hand.add_points(widget, [0, 30, 40])
    assert viewer.keymap != before
    assert points.keymap

    widget.annotator.shut()

    assert viewer.keymap == before
    assert all(layer.keymap == {} for layer in viewer.layers)


def test_layers_have_their_keys_back_when_they_are_left(dock, viewer, hand):
    points = hand.add_points(dock, [0, 30, 40])

    viewer.layers.selection.active = viewer.layers["blobs"]

    assert points.keymap == {}
    assert viewer.layers["blobs"].keymap
