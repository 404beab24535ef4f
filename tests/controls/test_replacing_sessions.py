"""A session that is opened over another one of the same image takes the place of its layers."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle, shut, wait_until
from napari.layers import Labels, Points

from napari_sam2.autosave import Autosave, find_unsaved
from napari_sam2.session import Session

POINTS, SHAPES, LABELS = "SAM 2 points", "SAM 2 shapes", "SAM 2 labels"


@pytest.fixture
def other(viewer, tiny_model):
    """Another session of the image, of one clicked object."""
    session = Session(viewer.layers["blobs"].data, tiny_model)
    session.add_points(session.add_object("of a script"), 0, [[60, 90]])
    return session


@pytest.fixture
def offered(dock):
    """Waits until the session of before is in a file, and offered."""

    def offered():
        wait_until(lambda: not dock.panels.unsaved.isHidden())
        settle(dock)

    return offered


def names(viewer):
    return {layer.name for layer in viewer.layers}


def paint(dock, *position):
    dock.panels.prompts.take_up("brush")
    layer = dock.annotator.painting.layer
    layer.paint(position, layer.selected_label)
    settle(dock)
    return layer


def test_layers_of_the_session_before_are_gone_once_it_is_offered(
    worked, viewer, hand, other, offered
):
    before = [viewer.layers[name] for name in (POINTS, LABELS)]
    before.append(hand.add_boxes(worked, hand.rectangle(45, 75, 75, 105)))
    before.append(paint(worked, 0, 10, 10))

    worked.adopt(other)
    offered()

    assert not [layer for layer in before if layer in viewer.layers]
    assert viewer.layers[POINTS].data.tolist() == [[0, 60, 90]]
    assert viewer.layers[LABELS].data is other.labels
    assert not [layer for layer in viewer.layers if "(before)" in layer.name]


def test_layers_of_the_session_before_come_back_with_it(worked, viewer, hand, other, offered):
    drawn, found = viewer.layers[POINTS].data.copy(), viewer.layers[LABELS].data.copy()
    worked.adopt(other)
    offered()

    worked.panels.unsaved.restore_button.click()
    wait_until(lambda: worked.panels.objects.names() == {1: "object 1"})
    offered()

    np.testing.assert_array_equal(viewer.layers[POINTS].data, drawn)
    np.testing.assert_array_equal(viewer.layers[LABELS].data, found)
    assert sum(isinstance(layer, Points) for layer in viewer.layers) == 1


def test_session_of_before_is_offered_although_saving_it_failed_at_first(
    worked, other, offered, monkeypatch
):
    save, failures = Autosave.save, [OSError("the disk is full")]

    def failing(self, *args):
        if failures:
            raise failures.pop()
        save(self, *args)

    monkeypatch.setattr(Autosave, "save", failing)
    worked.adopt(other)
    offered()

    assert not failures
    assert len(find_unsaved()) == 1


def test_layers_are_only_hidden_until_the_session_is_in_a_file(
    worked, viewer, other, offered, qtbot
):
    points, labels = viewer.layers[POINTS], viewer.layers[LABELS]
    with worked.annotator._bench.standstill():
        worked.adopt(other)
        qtbot.wait(100)

        assert points in viewer.layers
        assert not points.visible
        assert labels in viewer.layers
        assert labels.name == "SAM 2 labels (before)"
    offered()

    assert labels not in viewer.layers


def test_layers_of_the_users_own_stay_as_they_are(worked, viewer, other, offered):
    mine = viewer.add_points([[0, 30, 40]], name="mine")
    theirs = viewer.add_labels(np.zeros((8, 96, 128), np.uint8), name="theirs")
    worked.panels.prompts.pickers[Points].pick(mine)
    settle(worked)

    worked.adopt(other)
    offered()

    assert {"mine", "theirs"} <= names(viewer)
    assert mine.visible
    assert theirs.visible


def test_prompts_that_are_in_no_session_stay_on_their_layer(dock, viewer, hand, other):
    mine = hand.add_points(dock, [0, 30, 40])

    dock.adopt(other)
    settle(dock)

    assert mine in viewer.layers
    assert mine.visible


def test_session_that_is_adopted_again_is_not_drawn_twice(worked, viewer):
    session = worked.session

    worked.adopt(session)
    worked.adopt(session)
    settle(worked)

    assert [type(layer) for layer in viewer.layers].count(Points) == 1
    assert len(session.prompts(1, 0)) == 1
    assert viewer.layers[LABELS].data is session.labels


def test_labels_that_were_only_painted_on_stay(dock, viewer, other):
    session = dock.session
    dock.annotator.results.show_labels(dock.panels.image.stack(), session.labels)
    labels = viewer.layers[LABELS]
    labels.paint((0, 90, 120), 9)

    dock.adopt(other)
    settle(dock)

    assert labels in viewer.layers
    assert labels.visible


def test_file_that_is_opened_twice_is_shown_once(worked, viewer, path):
    worked.annotator.files.save_to(path)
    wait_until(worked.panels.save.save_button.isEnabled)
    for _ in range(2):
        worked.annotator.files.open_file(path)
        wait_until(worked.panels.save.save_button.isEnabled)
        settle(worked)
    wait_until(lambda: not [one for one in viewer.layers if "(before)" in one.name])

    results = [one for one in viewer.layers if isinstance(one, Labels) and LABELS in one.name]
    assert len(results) == 1
    assert [type(layer) for layer in viewer.layers].count(Points) == 1
    shut(worked)
    assert find_unsaved() == []
