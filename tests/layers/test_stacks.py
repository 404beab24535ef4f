"""Which frames an image layer has, how the model sees them, and where results lie."""

from __future__ import annotations

import numpy as np
import pytest
from layer_steps import read, stack_of
from napari.components import Dims
from napari.layers import Image, Points

from napari_sam2._layers import align, alignment, new_labels, new_preview, read_stack, write_preview
from napari_sam2._reading import read_prompts
from napari_sam2.prompts import FrameMasks, ObjectMask, PointPrompt


def test_preview_shows_each_object_where_its_mask_is(image):
    stack, _ = stack_of(image)
    preview = new_preview(stack, "preview")
    logits = np.ones((2, 3), np.float16)
    mask = ObjectMask(7, origin=(4, 5), logits=logits, iou=0.9, object_score=3.0)

    write_preview(preview, stack, FrameMasks(1, (12, 15), (mask,)))

    expected = np.zeros((1, 12, 15))
    expected[0, 4:6, 5:8] = 7
    np.testing.assert_array_equal(preview.data, expected)


def test_frames_are_those_of_the_played_axis(image):
    stack, dims = stack_of(image, axis=2)
    points = Points([[3, 5, 11]], **alignment(image))

    assert read_prompts(stack, dims, [points], 1).prompts == {1: {11: (PointPrompt(11, 3, 5),)}}


def test_preview_lies_along_the_played_axis(image):
    stack, _ = stack_of(image, axis=2)
    preview = new_preview(stack, "preview")

    write_preview(preview, stack, FrameMasks(11, (4, 12), ()))

    assert preview.data.shape == (4, 12, 1)
    np.testing.assert_allclose(preview.data_to_world((3, 5, 0)), image.data_to_world((3, 5, 11)))


def test_flat_layers_speak_of_the_current_frame(image):
    points = Points([[5, 7]], scale=(0.5, 0.25))

    assert read(points, image, frame=3) == {1: {3: (PointPrompt(3, 5, 7),)}}


def test_points_off_the_held_position_are_not_read():
    image = Image(np.zeros((4, 6, 12, 15), np.uint8))
    dims = Dims(ndim=4, range=((0, 3, 1), (0, 5, 1), (0, 11, 1), (0, 14, 1)), point=(1, 2, 0, 0))
    stack = read_stack(image, dims, axis=0)
    points = Points([[3, 2, 5, 7], [3, 4, 6, 8]])

    assert stack.view.held == {1: 2}
    assert read_prompts(stack, dims, [points], 1).prompts == {1: {3: (PointPrompt(3, 5, 7),)}}


def test_preview_lies_at_the_held_position():
    image = Image(np.zeros((4, 6, 12, 15), np.uint8))
    dims = Dims(ndim=4, range=((0, 3, 1), (0, 5, 1), (0, 11, 1), (0, 14, 1)), point=(1, 2, 0, 0))
    stack = read_stack(image, dims, axis=0)
    preview = new_preview(stack, "preview")

    write_preview(preview, stack, FrameMasks(3, (12, 15), ()))

    assert preview.data_to_world((0, 0, 5, 7)) == (3, 2, 5, 7)


def test_images_without_a_time_axis_have_one_frame():
    image = Image(np.zeros((12, 15), np.uint8), translate=(10, 20))
    points = Points([[15, 27]])

    assert read(points, image) == {1: {0: (PointPrompt(0, 5, 7),)}}


def test_colour_is_not_an_axis():
    image = Image(np.zeros((4, 12, 15, 3), np.uint8), rgb=True)
    stack, dims = stack_of(image)

    assert stack.shape == (12, 15)
    assert read_prompts(stack, dims, [Points([[2, 5, 7]])], 1).prompts[1] == {
        2: (PointPrompt(2, 5, 7),)
    }


def test_pyramids_are_read_at_full_resolution():
    levels = [np.zeros((4, 24, 30), np.uint8), np.zeros((4, 12, 15), np.uint8)]
    image = Image(levels, multiscale=True, scale=(1, 0.5, 0.5), contrast_limits=(0, 255))
    stack, dims = stack_of(image)

    assert stack.shape == (24, 30)
    assert read_prompts(stack, dims, [Points([[2, 5, 7]])], 1).prompts[1] == {
        2: (PointPrompt(2, 10, 14),)
    }


def test_model_sees_the_contrast_of_the_layer(image):
    image.contrast_limits, image.gamma = (20, 120), 0.7

    stack, _ = stack_of(image)

    assert (stack.view.contrast_limits, stack.view.gamma) == ((20.0, 120.0), 0.7)


@pytest.mark.parametrize(("colormap", "inverted"), [("magenta", False), ("gray_r", True)])
def test_model_sees_dark_on_bright_where_the_layer_does(image, colormap, inverted):
    image.colormap = colormap

    assert stack_of(image)[0].view.inverted is inverted


def test_colour_is_seen_as_it_is():
    image = Image(np.zeros((12, 15, 3), np.uint8), rgb=True)

    stack, _ = stack_of(image)

    assert (stack.view.contrast_limits, stack.view.gamma) == (None, 1.0)


def test_new_contrast_is_another_view_of_the_same_pixels(image):
    before, _ = stack_of(image)
    image.contrast_limits = (3, 9)
    after, _ = stack_of(image)

    assert after.same_place(before)
    assert not after.same_pixels(before)


def test_labels_follow_an_image_that_is_moved(image):
    stack, _ = stack_of(image)
    labels = new_labels(stack, np.zeros((4, 12, 15), np.uint16), "labels")
    image.translate = (0, 5, 6)

    align(labels, stack)

    assert labels.data_to_world((1, 2, 3)) == image.data_to_world((1, 2, 3))
