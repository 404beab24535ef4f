"""Masks offered for a click are shown side by side, and one of them is taken."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt

from napari_sam2 import MaskPrompt, ObjectMask
from napari_sam2._controls.choosing import surroundings
from napari_sam2.prompts import Candidates

PREVIEW, LABELS, POINTS = "SAM 2 preview", "SAM 2 labels", "SAM 2 points"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def strip(dock):
    return dock.panels.prompts.candidates


@pytest.fixture
def offered(dock, strip, qtbot, hand):
    """The masks that are offered for a click on the first frame."""
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: not strip.isHidden(), timeout=WAIT)
    return candidates(dock)


def candidates(dock):
    stack = dock.panels.image.stack()
    return dock.annotator.results.candidates(stack, dock.panels.objects.current(), 0)


def shown(viewer):
    return viewer.layers[PREVIEW].data[0] > 0


def taken(strip):
    return [button.isChecked() for button in strip.buttons].index(True)


def test_click_offers_three_masks_best_first(offered, strip):
    texts = [button.text() for button in strip.buttons]

    assert texts == [f"{n}:  IoU {one.iou:.2f}" for n, one in enumerate(offered.masks, start=1)]
    assert taken(strip) == 0
    assert not any(button.icon().isNull() for button in strip.buttons)


def test_key_takes_the_mask_of_its_number(window, docked, qtbot, hand):
    strip = docked.panels.prompts.candidates
    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))
    qtbot.waitUntil(strip.isVisible, timeout=WAIT)
    masks = candidates(docked).masks

    hand.press(window, Qt.Key.Key_3)

    qtbot.waitUntil(lambda: not docked.annotator.is_busy, timeout=WAIT)
    assert np.array_equal(shown(window), masks[2].full((96, 128)))
    assert taken(strip) == 2
    assert window.layers[POINTS].mode == "add"  # napari's own 3 would have taken the arrow


def test_mouse_takes_the_mask_that_is_clicked(dock, viewer, offered, strip, qtbot):
    qtbot.mouseClick(strip.buttons[1], Qt.MouseButton.LeftButton)

    assert np.array_equal(shown(viewer), offered.masks[1].full((96, 128)))


def test_mask_that_was_taken_is_accepted(dock, viewer, offered, strip, qtbot):
    strip.buttons[2].click()

    dock.annotator.accept()

    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)
    expected = offered.masks[2].full((96, 128))
    qtbot.waitUntil(lambda: np.array_equal(viewer.layers[LABELS].data[0] == 1, expected))


def test_mask_that_was_taken_is_followed(dock, viewer, offered, strip, hand):
    strip.buttons[2].click()

    hand.follow(dock)
    assert np.array_equal(viewer.layers[LABELS].data[0] == 1, offered.masks[2].full((96, 128)))


def test_choice_stays_when_a_further_click_corrects_it(dock, viewer, offered, strip, qtbot, hand):
    strip.buttons[2].click()
    points = hand.add_points(dock, [0, 60, 90])
    qtbot.waitUntil(strip.isHidden, timeout=WAIT)

    assert points.features["candidate"].tolist() == [offered.numbers[2], -1]


def test_choice_for_a_selected_point_is_not_meant_for_the_next(dock, offered, strip, hand):
    strip.buttons[2].click()
    (points,) = (layer for layer in dock.annotator.layers.layers() if isinstance(layer, Points))
    points.selected_data = {0}
    points.selected_data = set()

    hand.add_points(dock, [1, 30, 40])

    assert points.features["candidate"].tolist()[1] == -1


@pytest.mark.parametrize("leave", ["object", "frame"])
def test_masks_of_another_object_or_frame_are_not_offered(dock, viewer, offered, strip, leave):
    if leave == "object":
        dock.annotator.new_object()
    else:
        viewer.dims.set_point(0, 3)

    assert strip.isHidden()
    assert "1" not in {str(key) for key in viewer.keymap}


def test_masks_are_offered_again_on_the_way_back(dock, viewer, offered, strip, qtbot):
    viewer.dims.set_point(0, 3)
    viewer.dims.set_point(0, 0)

    qtbot.waitUntil(lambda: not strip.isHidden(), timeout=WAIT)


def test_choice_of_an_adopted_session_is_kept(dock, viewer, tiny_model, qtbot, blobs):
    from napari_sam2 import Session

    session = Session(viewer.layers[0].data, tiny_model)
    session.add_points(session.add_object(), 0, [[30, 40]])
    session.choose(1, 0, 2)
    expected = session.prompts(1, 0)

    dock.adopt(session)
    dock.annotator.segment()

    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
    assert session.prompts(1, 0) == expected
    assert candidates(dock).chosen == 2


def test_dragged_point_takes_the_preview_along(window, docked, qtbot, hand):
    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    before = shown(window)
    window.layers[POINTS].mode = "select"

    hand.drag(window, (15, 20), (30, 45))

    qtbot.waitUntil(lambda: not np.array_equal(shown(window), before), timeout=WAIT)
    np.testing.assert_allclose(window.layers[POINTS].data, [[0, 60, 90]], atol=1.5)


def offer(*boxes, shape=(400, 300)):
    masks = []
    for row0, column0, row1, column1 in boxes:
        mask = np.zeros(shape, dtype=bool)
        mask[row0:row1, column0:column1] = True
        masks.append(ObjectMask.given(1, MaskPrompt(0, mask)))
    return Candidates(0, shape, tuple(masks))


@pytest.mark.parametrize(
    "boxes",
    [
        [(10, 10, 14, 14), (5, 5, 60, 20)],
        [(390, 290, 400, 300)],
        [(0, 0, 400, 300)],
        [(200, 0, 201, 300)],
        [(0, 0, 0, 0)],
    ],
    ids=["inside", "corner", "everything", "line", "nothing"],
)
def test_picture_holds_all_masks(boxes):
    offered = offer(*boxes)

    (rows, columns), _ = surroundings(offered)

    for one in offered.masks:
        if one.area:
            assert rows.start <= one.region[0].start
            assert rows.stop >= one.region[0].stop
            assert columns.start <= one.region[1].start
            assert columns.stop >= one.region[1].stop
    assert 0 <= rows.start < rows.stop <= 400
    assert 0 <= columns.start < columns.stop <= 300
