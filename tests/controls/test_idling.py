"""Frames beside the current one are encoded while nothing else is to be done."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Shapes

from napari_sam2 import PointPrompt, Session
from napari_sam2.predictors.features import FeatureCache

WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def encoded(monkeypatch):
    """Frames and windows that were encoded, in this order."""
    encoded = []
    get = FeatureCache.__getitem__

    def noting(self, key):
        if key not in self._kept:
            encoded.append(key)
        return get(self, key)

    monkeypatch.setattr(FeatureCache, "__getitem__", noting)
    return encoded


def features(dock):
    made = dock.annotator._bench._made[dock.panels.image.image()]
    return {frame for frame, _ in made.session._work.tracker.segmenter.features._kept}


def test_neighbours_are_encoded_after_a_preview(dock, viewer, qtbot, hand):
    viewer.dims.set_point(0, 3)
    hand.add_points(dock, [3, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    qtbot.waitUntil(lambda: {2, 3, 4} <= features(dock), timeout=WAIT)


def test_first_look_at_a_click_on_a_neighbour_encodes_nothing(dock, viewer, qtbot, hand, encoded):
    outline = hand.take_up(dock, "outline", Shapes)
    outline.add_polygons(np.array(hand.rectangle(20, 30, 40, 50)))
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    qtbot.waitUntil(lambda: features(dock) >= {0, 1}, timeout=WAIT)
    idle = dock.annotator.idle
    qtbot.waitUntil(lambda: not (idle._timer.isActive() or idle._job.is_running), timeout=WAIT)
    encoded.clear()
    tracker = dock.annotator._bench._made[dock.panels.image.image()].session._work.tracker
    viewer.dims.set_point(0, 1)

    hand.add_points(dock, [1, 29.5, 39.5])  # the middle of the object on the frame before
    dock.annotator.segment()

    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
    looked_at_first = tracker.windows.first([PointPrompt(1, 29.5, 39.5)])
    assert not {(1, window) for window in looked_at_first} & set(encoded)


def test_what_lies_under_the_mouse_is_encoded(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    session = dock.annotator._bench._made[dock.panels.image.image()].session
    tracker = session._work.tracker
    dock.panels.objects.begin()
    wanted = {(0, one) for one in tracker.windows.first([PointPrompt(0, 60, 90)])}
    qtbot.waitUntil(lambda: not dock.annotator.idle._timer.isActive(), timeout=WAIT)
    assert not wanted <= set(tracker.segmenter.features._kept)

    viewer.cursor.position = (0, 30, 45)  # pixels are half as large

    qtbot.waitUntil(lambda: wanted <= set(tracker.segmenter.features._kept), timeout=WAIT)


def test_mouse_that_would_not_click_has_nothing_encoded(dock, viewer, qtbot, hand, encoded):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    dock.annotator.layers.put_down()
    idle = dock.annotator.idle
    qtbot.waitUntil(lambda: not (idle._timer.isActive() or idle._job.is_running), timeout=WAIT)
    encoded.clear()

    viewer.cursor.position = (0, 30, 45)
    qtbot.wait(400)

    assert not encoded


def test_nothing_is_encoded_before_the_first_prompt(dock, viewer, qtbot, encoded):
    viewer.dims.set_point(0, 2)
    qtbot.wait(700)

    assert not encoded


def test_what_is_computed_ahead_gives_way_at_once(tiny_model, blobs):
    session = Session(blobs[0], tiny_model)
    session.add_object()
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 1

    assert not session.prepare(1, 3, stop)
    assert len(asked) == 2  # before the second block it was over
    assert not session._work.tracker.segmenter.features._kept


def test_others_are_not_stopped_by_it(tiny_model, blobs):
    session, other = Session(blobs[0], tiny_model), Session(blobs[0], tiny_model)
    for one in (session, other):
        one.add_points(one.add_object(), 0, [[30, 40]])
    found = []

    def stop():
        if not found:
            worker = threading.Thread(target=lambda: found.append(other.segment(1, 0)))
            worker.start()
            worker.join()
        return True

    assert not session.prepare(1, 3, stop)
    assert found[0].best.area >= 0


def test_frame_that_is_not_there_is_refused(tiny_model, blobs):
    session = Session(blobs[0], tiny_model)
    session.add_object()

    with pytest.raises(IndexError, match="no frame 8"):
        session.prepare(1, 8)
