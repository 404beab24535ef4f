"""Objects and prompts are an image's own: another image that is chosen knows nothing of them."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle
from napari.layers import Points

from napari_sam2._layers import Channels

POINTS, LABELS = "SAM 2 points", "SAM 2 labels"


@pytest.fixture
def other(viewer, blobs):
    """A second image of another shape, which is not chosen yet."""
    return viewer.add_image(np.ascontiguousarray(blobs[0][:6, :90, ::-1]), name="other")


@pytest.fixture
def choose(dock):
    """Chooses an image by name, and waits until all that follows is done."""

    def choose(name):
        dock.panels.image.images.pick(dock.annotator._viewer.layers[name])
        settle(dock)

    return choose


@pytest.fixture
def tracked(dock, viewer, other, hand):
    """Two objects, followed through the first image."""
    hand.add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    hand.follow(dock, [0, 60, 90])
    settle(dock)
    return dock


def paint(dock, *position):
    dock.panels.prompts.take_up("brush")
    layer = dock.annotator.painting.layer
    layer.brush_size = 9
    with layer.block_history():
        layer.paint(position, layer.selected_label)
    settle(dock)
    return layer


def test_clearing_the_table_of_one_image_leaves_the_other_as_it_was(tracked, viewer, choose):
    labels, drawn = viewer.layers[LABELS].data, viewer.layers[POINTS].data.copy()
    before = labels.copy()
    choose("other")

    tracked.panels.objects.remove(list(tracked.panels.objects.names()))
    settle(tracked)
    choose("blobs")

    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(viewer.layers[POINTS].data, drawn)
    assert sorted(tracked.session.objects) == [1, 2]


def test_prompts_of_an_image_are_not_looked_for_in_another(tracked, viewer, choose, prompted):
    prompted.clear()

    choose("other")

    assert list(tracked.panels.objects.names().values()) == ["object 1"]
    assert tracked.annotator._read().prompts == {}
    assert prompted == []


def test_each_image_has_its_own_names_current_object_and_hidden_ones(tracked, choose):
    objects = tracked.panels.objects
    objects.model.show_names({1: "nucleus"})
    objects.model.set_visible([1], visible=False)
    objects.make_current(2)
    choose("other")
    assert objects.names() == {1: "object 1"}

    choose("blobs")

    assert objects.names() == {1: "nucleus", 2: "object 2"}
    assert (objects.current(), objects.hidden()) == (2, frozenset({1}))


def test_number_of_an_object_that_was_removed_is_not_given_again(tracked, choose):
    tracked.panels.objects.remove([2])
    choose("other")
    choose("blobs")

    assert tracked.panels.objects.begin() == 3


def test_drawn_prompts_are_hidden_while_another_image_is_chosen(tracked, viewer, choose):
    points = viewer.layers[POINTS]
    choose("other")
    assert not points.visible

    choose("blobs")

    assert points.visible


def test_tool_in_hand_draws_on_the_image_that_is_chosen_now(tracked, viewer, choose, other):
    tracked.panels.prompts.take_up("point")
    before = viewer.layers[POINTS]
    choose("other")

    active = viewer.layers.selection.active
    assert active is not before
    assert (active.mode, before.mode) == ("add", "pan_zoom")
    assert tracked.panels.prompts.tools["point"].isChecked()


def test_layer_of_the_users_own_is_read_for_every_image(dock, viewer, other, choose):
    mine = viewer.add_points([[0, 30, 40]], name="mine")
    dock.panels.prompts.pickers[Points].pick(mine)
    settle(dock)

    choose("other")

    assert dock.panels.prompts.pickers[Points].layer() is mine
    assert mine.visible
    assert list(dock.annotator._read().prompts) == [1]


def test_prompts_go_on_with_the_image_that_takes_the_place_of_theirs(dock, viewer, blobs, hand):
    points = hand.add_points(dock, [0, 30, 40])
    settle(dock)
    viewer.layers.remove("blobs")

    viewer.add_image(blobs[0], name="mended", scale=(1, 0.5, 0.5))
    settle(dock)

    assert list(dock.session.objects[1].prompts) == [0]
    assert points.visible


def test_point_that_is_drawn_as_another_image_is_chosen_is_in_the_session(
    dock, viewer, other, choose, hand
):
    session = dock.session
    hand.add_points(dock, [3, 30, 40])

    choose("other")

    assert list(session.objects[1].prompts) == [3]


def test_next_dock_finds_the_layers_of_each_image(tracked, viewer, other, choose, hand, open_dock):
    points = viewer.layers[POINTS]
    choose("other")
    hand.add_points(tracked, [0, 30, 80])
    settle(tracked)
    tracked.annotator.shut()

    again = open_dock(viewer)
    assert again.annotator.layers.layers() == [points]
    again.panels.image.images.pick(other)
    settle(again)

    assert len(again.session.objects[1].prompts[0]) == 1
    assert points not in again.annotator.layers.layers()


def test_paint_of_an_image_outlives_the_brush_on_another(dock, viewer, other, choose):
    first = paint(dock, 0, 30, 40)
    choose("other")
    assert dock.annotator.painting.layer is not first
    second = paint(dock, 0, 30, 80)

    choose("blobs")
    assert list(dock.session.objects[1].prompts) == [0]
    assert dock.annotator.painting.layer is first
    choose("other")

    assert dock.annotator.painting.layer is second
    assert [one.visible for one in (first, second)] == [False, True]


def test_paint_is_at_hand_again_when_channels_are_told_apart_as_before(dock, viewer):
    image = viewer.add_image(np.random.default_rng(0).random((3, 2, 40, 50)), name="channels")
    dock.panels.image.images.pick(image)
    layer = paint(dock, 0, 1, 20, 20)
    dock.panels.image.channels.choose(Channels(1, (0, 1)))
    settle(dock)

    dock.panels.image.channels.choose(Channels())
    settle(dock)

    assert dock.annotator.painting.layer is layer
