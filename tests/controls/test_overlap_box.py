"""The rule of overlaps is chosen in the dock."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.session import Overlap, Session

LABELS = "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def overlapping(dock, viewer, qtbot, hand):
    """Two objects that were found apart, in outlines that overlap."""
    dock.panels.prompts.tools["outline"].click()
    shapes = next(layer for layer in viewer.layers if layer.name == "SAM 2 shapes")
    for number, box in enumerate([(10, 20, 50, 60), (30, 40, 70, 90)]):
        if number:
            dock.annotator.new_object()
        shapes.add_polygons(np.array(hand.rectangle(*box)))
        qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
        dock.annotator.accept()
        qtbot.waitUntil(lambda: not dock.annotator._edits.is_running, timeout=WAIT)
    return dock


def choose(dock, rule, qtbot):
    box = dock.panels.overlap.box
    box.setCurrentIndex(box.findData(rule))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: not dock.annotator._edits.is_running, timeout=WAIT)


def test_labels_follow_the_rule_and_undo(overlapping, viewer, qtbot):
    labels = viewer.layers[LABELS].data
    assert labels[0, 40, 50] == 1

    choose(overlapping, Overlap.OVERWRITE, qtbot)
    assert labels[0, 40, 50] == 2
    overlapping.annotator.timeline.undo()
    qtbot.waitUntil(lambda: not overlapping.annotator._edits.is_running, timeout=WAIT)

    assert labels[0, 40, 50] == 1
    assert overlapping.panels.overlap.rule() is Overlap.HIGHEST


def test_highest_score_wins_unless_a_rule_is_chosen(dock, viewer, qtbot, hand):
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    stack = dock.panels.image.stack()
    assert dock.panels.overlap.rule() is Overlap.HIGHEST
    assert dock.annotator._bench.overlap_of(stack) is Overlap.HIGHEST


def test_rule_that_is_chosen_first_is_that_of_the_session(dock, viewer, qtbot, hand):
    choose(dock, Overlap.OVERWRITE, qtbot)
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    stack = dock.panels.image.stack()
    assert dock.annotator._bench.overlap_of(stack) is Overlap.OVERWRITE


def test_rule_of_an_adopted_session_is_shown(dock, blobs, tiny_model):
    session = Session(blobs[0], tiny_model)
    session.set_overlap("overwrite")

    dock.adopt(session)

    assert dock.panels.overlap.rule() is Overlap.OVERWRITE
