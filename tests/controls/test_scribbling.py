"""Lines along an object stand for points; outlines are drawn corner by corner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from skimage.draw import polygon2mask

from napari_sam2._reading import MOST_POINTS, along
from napari_sam2.prompts import MaskPrompt, PointPrompt

SHAPES = "SAM 2 shapes"
WAIT = 10_000  #: ms, for what a worker does


def prompts(dock, frame=0, object_id=1):
    return dock.annotator._read().prompts[object_id][frame]


def test_scribble_in_the_window_is_points_along_it(window, docked, qtbot, hand):
    docked.panels.prompts.tools["scribble"].click()

    hand.drag(window, (10, 20), (20, 20))

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    found = prompts(docked)
    assert len(found) > 1
    assert all(isinstance(one, PointPrompt) and one.positive for one in found)
    np.testing.assert_allclose([one.column for one in found], 40, atol=1.5)
    assert all(19 < one.row < 41 for one in found)


def test_scribble_beside_the_object_is_negative(window, docked, qtbot, hand):
    docked.panels.prompts.tools["point"].click()
    hand.click(window, (15, 20))
    docked.panels.prompts.tools["scribble"].click()
    hand.press(window, Qt.Key.Key_T)

    hand.drag(window, (40, 10), (40, 40))

    qtbot.waitUntil(lambda: len(prompts(docked)) > 2, timeout=WAIT)
    signs = [one.positive for one in prompts(docked)]
    assert signs[0]
    assert not any(signs[1:])


def test_scribble_is_one_shape_that_can_be_cleared(window, docked, qtbot, hand):
    docked.panels.prompts.tools["scribble"].click()
    hand.drag(window, (10, 20), (20, 20))
    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)

    docked.annotator.clear_prompts()

    assert window.layers[SHAPES].nshapes == 0


def test_polygon_is_drawn_click_by_click_and_taken_as_the_mask(window, docked, qtbot, hand):
    docked.panels.prompts.tools["polygon"].click()
    native = window.window._qt_viewer.canvas.native
    for corner in ((8, 12), (8, 28), (22, 28), (22, 12), (15, 12)):
        hand.click(window, corner)
        qtbot.wait(600)  # or two would be a double click
    assert hand.previewed(window) == set()  # not before it is closed
    place = hand.position(window, (15, 12))
    qtbot.mouseDClick(native, Qt.MouseButton.LeftButton, pos=place)

    qtbot.waitUntil(lambda: hand.previewed(window) == {1}, timeout=WAIT)
    (mask,) = prompts(docked)
    assert isinstance(mask, MaskPrompt)
    # Which corners napari keeps depends on how many moves of the mouse come between the clicks.
    (corners,) = window.layers[SHAPES].data
    np.testing.assert_array_equal(mask.mask, polygon2mask(mask.mask.shape, corners[:, 1:]))
    assert mask.mask.sum() > 150


LINES = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=20
).map(np.array)


@given(LINES)
@settings(max_examples=200, deadline=None)
def test_points_lie_on_the_line_in_its_order(line):
    points = along(line)

    assert 1 <= len(points) <= MOST_POINTS
    starts, steps = line[:-1], np.diff(line, axis=0)
    squares = (steps**2).sum(axis=1)
    reached = -1.0
    for point in points:
        share = ((point - starts) * steps).sum(axis=1) / np.where(squares > 0, squares, 1)
        nearest = starts + share.clip(0, 1)[:, None] * steps
        distance = np.linalg.norm(point - nearest, axis=1)
        assert distance.min() < 1e-6 * (1 + np.abs(line).max())
        reached = max(reached, distance.argmin())


@pytest.mark.parametrize(("length", "count"), [(0.0, 1), (3.0, 1), (13.0, 3), (500.0, MOST_POINTS)])
def test_longer_scribbles_are_more_points_up_to_a_limit(length, count):
    points = along(np.array([[5.0, 2.0], [5.0, 2.0 + length]]))

    assert len(points) == count
    np.testing.assert_allclose(points.mean(axis=0), [5, 2 + length / 2])
