"""What was done with an image is undone while it is chosen, whatever was done with others since."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hand import settle
from napari.layers import Points

from napari_sam2._controls import entries
from napari_sam2._layers import Channels

LABELS = "SAM 2 labels"


@pytest.fixture
def other(viewer, blobs):
    """A second image, which is not chosen yet."""
    return viewer.add_image(np.ascontiguousarray(blobs[0][:6, :90, ::-1]), name="other")


@pytest.fixture
def choose(dock, other):
    """Chooses an image by name, and waits until all that follows is done."""

    def choose(name):
        dock.panels.image.images.pick(dock.annotator._viewer.layers[name])
        settle(dock)

    return choose


@pytest.fixture
def timeline(dock):
    """Undoes and redoes, and waits until it is done."""

    class Rewinding:
        def undo(self):
            dock.annotator.timeline.undo()
            settle(dock)

        def redo(self):
            dock.annotator.timeline.redo()
            settle(dock)

    return Rewinding()


def told(dock):
    undo = dock.panels.undo
    return undo.undo_button.toolTip(), undo.redo_button.toolTip()


def follow(dock, hand):
    dock.annotator.propagate()
    hand.wait_until_idle(dock)
    settle(dock)


def test_steps_of_an_image_are_at_hand_again_when_it_is_chosen_again(
    dock, viewer, choose, hand, timeline
):
    points = hand.add_points(dock, [0, 30, 40])
    follow(dock, hand)
    labels = viewer.layers[LABELS].data
    found = labels.copy()
    choose("other")
    assert told(dock) == ("There is nothing to undo", "There is nothing to redo")
    hand.add_points(dock, [0, 30, 80])
    settle(dock)
    assert told(dock)[0] == "Undo: add a point"

    choose("blobs")
    assert told(dock)[0] == "Undo: propagate object 1 over 8 frames"
    timeline.undo()
    assert not labels.any()
    timeline.undo()
    assert not len(points.data)
    timeline.redo()
    timeline.redo()

    assert np.array_equal(labels, found)
    assert len(points.data) == 1


def test_what_was_undone_of_an_image_is_redone_after_another_was_worked_on(
    dock, viewer, choose, hand, timeline
):
    points = hand.add_points(dock, [0, 30, 40])
    settle(dock)
    timeline.undo()
    choose("other")
    hand.add_points(dock, [0, 30, 80])
    settle(dock)
    choose("blobs")
    assert told(dock) == ("There is nothing to undo", "Redo: add a point")

    timeline.redo()

    assert points.data.tolist() == [[0, 30, 40]]


def test_undo_changes_only_the_image_that_is_shown(dock, viewer, choose, hand, timeline):
    first = hand.add_points(dock, [0, 30, 40])
    settle(dock)
    choose("other")
    second = hand.add_points(dock, [0, 30, 80])
    settle(dock)

    for _ in range(3):
        timeline.undo()

    assert (len(first.data), len(second.data)) == (1, 0)
    assert "nothing to undo" in dock.panels.status.label.text()


def test_names_that_objects_were_given_are_undone_in_their_own_image(dock, choose, hand, timeline):
    objects = dock.panels.objects
    objects.model.setData(objects.model.index(0, 1), "nucleus")
    settle(dock)
    choose("other")
    choose("blobs")

    timeline.undo()

    assert objects.names() == {1: "object 1"}


def test_paint_is_undone_after_another_image_was_painted_on(dock, choose, hand, timeline):
    def paint(*position):
        dock.panels.prompts.take_up("brush")
        layer = dock.annotator.painting.layer
        layer.paint(position, layer.selected_label)
        settle(dock)
        return layer

    first = paint(0, 30, 40)
    choose("other")
    second = paint(0, 30, 80)
    choose("blobs")

    timeline.undo()

    assert not np.asarray(first.data).any()
    assert np.asarray(second.data).any()


def test_paint_layer_that_was_removed_comes_back_after_another_image_was_chosen(
    dock, viewer, choose, timeline
):
    dock.panels.prompts.take_up("brush")
    layer = dock.annotator.painting.layer
    layer.paint((0, 30, 40), 1)
    settle(dock)
    viewer.layers.remove(layer)
    settle(dock)
    choose("other")
    choose("blobs")
    assert told(dock)[0] == "Undo: remove what is painted"

    timeline.undo()

    assert layer in viewer.layers


def test_labels_of_an_image_that_are_painted_on_meanwhile_are_undone_with_it(
    dock, viewer, choose, hand, timeline
):
    hand.add_points(dock, [0, 30, 40])
    follow(dock, hand)
    labels = viewer.layers[LABELS]
    found = labels.data.copy()
    choose("other")
    labels.paint((0, 90, 120), 9)
    assert told(dock)[0] == "There is nothing to undo"
    choose("blobs")
    assert told(dock)[0] == "Undo: paint on the labels"

    timeline.undo()

    assert np.array_equal(labels.data, found)


def test_layer_of_the_users_own_loses_nothing_that_was_drawn_for_another_image(
    dock, viewer, choose, hand, timeline
):
    mine = viewer.add_points(np.zeros((0, 3)), name="mine")
    dock.panels.prompts.pickers[Points].pick(mine)
    mine.add([0, 30, 40])
    settle(dock)
    choose("other")
    mine.add([0, 40, 80])
    settle(dock)
    choose("blobs")
    assert told(dock)[0] == "Undo: add a point"

    timeline.undo()
    assert mine.data.tolist() == [[0, 30, 40]]
    timeline.redo()

    assert mine.data.tolist() == [[0, 30, 40], [0, 40, 80]]


def test_step_that_a_session_ends_with_after_another_image_was_chosen_is_undone(
    dock, viewer, choose, hand, timeline
):
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    dock.annotator.accept()
    choose("other")  # while the mask is being written
    choose("blobs")
    assert told(dock)[0] == "Undo: accept object 1 on frame 0"

    timeline.undo()

    assert not viewer.layers[LABELS].data.any()


def test_image_whose_pixels_were_replaced_meanwhile_begins_anew(dock, viewer, choose, hand):
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    choose("other")
    viewer.layers["blobs"].data = viewer.layers["blobs"].data.copy()

    choose("blobs")

    assert told(dock)[0] == "There is nothing to undo"


def test_images_share_the_room_for_what_was_drawn(dock, choose, hand, monkeypatch):
    hand.add_points(dock, *([0, 30, 20 + i % 60] for i in range(50)))
    settle(dock)
    past = dock.annotator.timeline.past
    monkeypatch.setattr(entries, "MOST_BYTES", past.done[-1].size + 100)
    choose("other")
    assert len(past.done) == 1

    hand.add_points(dock, *([0, 30, 20 + i % 60] for i in range(50)))
    settle(dock)

    assert len(dock.annotator.timeline.past.done) == 1
    assert past.done == []


def test_nothing_is_kept_of_what_was_done_with_an_image_that_is_gone(dock, viewer, choose, hand):
    hand.add_points(dock, [0, 30, 40])
    follow(dock, hand)
    choose("other")
    kept = [weakref.ref(viewer.layers[name]) for name in ("blobs", LABELS)]

    for name in ("blobs", LABELS):
        viewer.layers.remove(name)
    settle(dock)
    dock.annotator.autosaver.wait()
    gc.collect()

    assert [one() for one in kept] == [None, None]


def test_image_is_played_as_it_was_left(dock, viewer, choose):
    dock.panels.image.play(2)
    settle(dock)
    choose("other")
    assert dock.panels.image.axes.currentIndex() == 0

    choose("blobs")

    assert dock.panels.image.axes.currentIndex() == 2
    assert dock.panels.image.stack().axis == 2


def test_steps_on_an_image_with_channels_are_at_hand_again(dock, viewer, choose, hand, timeline):
    image = viewer.add_image(np.random.default_rng(0).random((3, 2, 40, 50)), name="channels")
    dock.panels.image.choose(image, 0, Channels(1, (1, 0)))
    points = hand.add_points(dock, [0, 0, 20, 20])
    settle(dock)
    session = dock.session
    choose("other")
    choose("channels")
    assert dock.panels.image.channels.channels() == Channels(1, (1, 0))
    assert dock.session is session

    timeline.undo()

    assert not len(points.data)
