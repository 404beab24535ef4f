"""Images with channels, as they are played, and labels that lie on them."""

from __future__ import annotations

import numpy as np
import pytest
from layer_steps import stack_of
from napari.layers import Image, Points

from napari_sam2._label_layers import Thickened, lay, shows
from napari_sam2._layers import Channels, new_labels, placed
from napari_sam2._reading import read_prompts
from napari_sam2.predictors.channels import SideBySide
from napari_sam2.prompts import PointPrompt


@pytest.fixture
def volume():
    """(T, C, Z, Y, X), no two lengths alike, with a scale."""
    data = np.arange(4 * 3 * 5 * 6 * 7, dtype=np.uint16).reshape(4, 3, 5, 6, 7)
    return Image(data, scale=(1, 2, 3, 0.5, 0.5), translate=(0, 1, 0, 4, 5))


@pytest.mark.parametrize(
    ("axis", "n_frames", "held"), [(0, 4, {2: 0}), (2, 5, {0: 0})], ids=["time", "depth"]
)
def test_axes_are_those_of_the_layer(volume, axis, n_frames, held):
    stack, _ = stack_of(volume, axis=axis, channels=Channels(1, (2, 0)))

    assert (stack.axis, stack.n_frames) == (axis, n_frames)
    assert stack.held == held
    assert (stack.seen, stack.shape) == ((3, 4), (6, 7))
    assert stack.label_shape == (4, 5, 6, 7)


def test_view_counts_axes_without_that_of_the_channels(volume):
    stack, _ = stack_of(volume, axis=2, channels=Channels(1, (2, 0)))

    assert (stack.view.axis, stack.view.held) == (1, {0: 0})
    assert (stack.view.channel_axis, stack.view.channels) == (1, (2, 0))


def test_labels_are_as_thick_as_all_channels(volume):
    stack, _ = stack_of(volume, channels=Channels(1, (0, 1)))
    labels = new_labels(stack, lay(np.zeros(stack.label_shape, np.uint16), 1), "labels")

    for channel in range(3):
        world = volume.data_to_world((2, channel, 3, 4, 5))
        inside = np.round(labels.world_to_data(world)).astype(int)
        np.testing.assert_array_equal(inside, (2, 0, 3, 4, 5))


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_point_is_on_its_frame_whatever_channel_it_is_drawn_at(volume, channel):
    stack, dims = stack_of(volume, channels=Channels(1, (0, 1)))
    points = Points(ndim=5, **placed(stack))
    points.add(points.world_to_data(volume.data_to_world((2, channel, 0, 4, 5))))

    found = read_prompts(stack, dims, [points], 1).prompts

    assert found == {1: {2: (PointPrompt(2, 4, 5),)}}


def test_layers_that_are_the_same_are_one_place_however_often_they_are_read():
    one, other = Image(np.zeros((3, 5, 6))), Image(np.ones((3, 5, 6)))
    first, _ = stack_of(one, channels=Channels(layers=(one, other)))
    again, _ = stack_of(one, channels=Channels(layers=(one, other)))
    swapped, _ = stack_of(one, channels=Channels(layers=(other, one)))

    assert first.same_pixels(again)
    assert not first.same_place(swapped)


def test_layers_of_other_shapes_are_refused():
    one, other = Image(np.zeros((3, 5, 6))), Image(np.ones((3, 5, 7)))

    with pytest.raises(ValueError, match="images of one shape"):
        stack_of(one, channels=Channels(layers=(one, other)))


def test_side_by_side_reads_one_array_at_a_time():
    one, other = np.zeros((3, 5, 6), np.uint8), np.ones((3, 5, 6), np.uint16)
    both = SideBySide([one, other])

    assert (both.shape, both.dtype) == ((2, 3, 5, 6), np.uint16)
    np.testing.assert_array_equal(both[1, 2, :4, 1:], other[2, :4, 1:])


INDICES = [
    (2, 0, slice(None), 3),
    (slice(1, 3), slice(None), 2),
    (slice(None), 0),
    3,
    (1, slice(None), 2, 4),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_array_that_is_not_in_memory_is_as_one_that_is(index):
    labels = np.arange(4 * 5 * 6).reshape(4, 5, 6)

    found = Thickened(labels, 1)[index]

    np.testing.assert_array_equal(found, np.expand_dims(labels, 1)[index])


def test_what_is_written_into_a_thick_array_is_in_the_labels():
    labels = np.zeros((4, 5, 6), int)
    Thickened(labels, 1)[2, 0, 3] = 7

    assert (labels[2, 3] == 7).all()
    assert labels.sum() == 7 * 6


def test_layer_knows_the_labels_that_it_shows(volume):
    stack, _ = stack_of(volume, channels=Channels(1, (0,)))
    labels, others = (np.zeros(stack.label_shape, np.uint16) for _ in range(2))
    layer = new_labels(stack, lay(labels, 1), "labels")

    assert shows(layer, labels)
    assert not shows(layer, others)
