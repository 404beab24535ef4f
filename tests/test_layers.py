"""Layers to prompts and masks to layers, under every transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import Dims
from napari.layers import Image, Points, Shapes
from skimage.draw import polygon2mask

from napari_sam2._layers import (
    align,
    alignment,
    extra_boxes,
    new_labels,
    new_preview,
    prompts_of,
    read_prompts,
    read_stack,
    write_preview,
)
from napari_sam2.prompts import BoxPrompt, FrameMasks, MaskPrompt, ObjectMask, PointPrompt

SQUARE = np.array([[3.0, 2.0], [3.0, 9.0], [7.0, 9.0], [7.0, 2.0]])
RIGHT = np.array([0.0, 5.0])

finite = st.floats(-50, 50)
scales = st.floats(0.05, 20)


@st.composite
def transforms(draw):
    """Scale, translation, rotation and shear of a (T, Y, X) image, and an affine on top."""
    angle = draw(st.floats(-180, 180))
    matrix = np.eye(4)
    matrix[1:3, 1:3] += [[draw(st.floats(-0.4, 0.4)), draw(st.floats(-0.4, 0.4))], [0, 0]]
    matrix[:3, 3] = [draw(finite) for _ in range(3)]
    return {
        "scale": [draw(scales) for _ in range(3)],
        "translate": [draw(finite) for _ in range(3)],
        "rotate": (0, 0, angle),
        "shear": (0, 0, draw(st.floats(-1, 1))),
        "affine": matrix,
    }


def stack_of(image, frame=0, **kwargs):
    """Give a stack and the dims of a viewer that is at a frame of its first axis."""
    dims = Dims(ndim=image.ndim)
    world = image.data_to_world((frame, *[0] * (image.ndim - 1)))
    # Wide enough for any position; a viewer would take it from its layers.
    dims.range = [(-1e6, 1e6, 1e-6)] * image.ndim
    dims.point = world
    return read_stack(image, dims, **kwargs), dims


def in_world(image, vertices, frame=2):
    """Give vertices in a frame's pixels in the world."""
    return np.array([image.data_to_world((frame, *vertex)) for vertex in vertices])


def read(layer, image, object_id=1, **kwargs):
    stack, dims = stack_of(image, **kwargs)
    return read_prompts(stack, dims, [layer], object_id).prompts


@settings(max_examples=40, deadline=None)
@given(transforms(), st.lists(st.tuples(st.floats(0, 11), st.floats(0, 14)), min_size=1))
def test_points_arrive_in_image_pixels_under_every_transform(transform, positions):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    points = Points(in_world(image, positions))

    found = read(points, image)[1][2]

    assert all(isinstance(prompt, PointPrompt) for prompt in found)
    np.testing.assert_allclose([(p.row, p.column) for p in found], positions, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(transforms())
def test_boxes_arrive_in_image_pixels_under_every_transform(transform):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    shapes = Shapes(ndim=3, **alignment(image))
    shapes.add_rectangles(np.insert(SQUARE, 0, 2, axis=1))

    (box,) = read(shapes, image)[1][2]

    assert isinstance(box, BoxPrompt)
    corners = [box.row0, box.column0, box.row1, box.column1]
    np.testing.assert_allclose(corners, [3, 2, 7, 9], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(transforms())
def test_outlines_become_masks_in_image_pixels_under_every_transform(transform):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    triangle = np.array([[1.3, 1.3], [9.7, 4.2], [3.4, 12.6]])
    shapes = Shapes([in_world(image, triangle)], shape_type="polygon")

    (prompt,) = read(shapes, image)[1][2]

    assert isinstance(prompt, MaskPrompt)
    np.testing.assert_array_equal(prompt.mask, polygon2mask((12, 15), triangle))


@settings(max_examples=40, deadline=None)
@given(transforms())
def test_preview_lies_on_the_same_place_of_the_world_as_the_frame(transform):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    stack, _ = stack_of(image)
    preview = new_preview(stack, "preview")

    write_preview(preview, stack, FrameMasks(3, (12, 15), ()))

    for pixel in ((0, 0), (11, 0), (5, 14)):
        np.testing.assert_allclose(
            preview.data_to_world((0, *pixel)), image.data_to_world((3, *pixel)), atol=1e-6
        )


@settings(max_examples=20, deadline=None)
@given(transforms())
def test_labels_lie_on_the_image(transform):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    stack, _ = stack_of(image)

    labels = new_labels(stack, np.zeros((4, 12, 15), np.uint16), "labels")

    np.testing.assert_allclose(
        labels.data_to_world((3, 11, 4)), image.data_to_world((3, 11, 4)), atol=1e-9
    )


@pytest.fixture
def image() -> Image:
    return Image(np.zeros((4, 12, 15), np.uint8), scale=(1, 0.5, 0.25), name="image")


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


def test_features_say_whose_a_prompt_is_and_its_sign(image):
    points = Points(
        [[0, 1, 1], [0, 2, 2]],
        features={"object": [3, 4], "positive": [True, False]},
        **alignment(image),
    )

    assert read(points, image) == {
        3: {0: (PointPrompt(0, 1, 1),)},
        4: {0: (PointPrompt(0, 2, 2, positive=False),)},
    }


def test_prompts_without_features_are_positive_and_of_the_current_object(image):
    points = Points([[0, 1, 1]], **alignment(image))

    assert read(points, image, object_id=9) == {9: {0: (PointPrompt(0, 1, 1),)}}


@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_values_are_read_like_missing_features(image, missing):
    points = Points([[0, 1, 1]], features={"object": [missing]}, **alignment(image))

    assert list(read(points, image, object_id=9)) == [9]


def test_feature_that_is_no_number_names_the_layer(image):
    points = Points([[0, 1, 1]], features={"object": ["cell"]}, name="mine", **alignment(image))

    with pytest.raises(ValueError, match="'object' of 'mine': An object has a whole number"):
        read(points, image)


@pytest.mark.parametrize("number", [3, 3.0, "3"])
def test_objects_are_whole_numbers_in_any_spelling(image, number):
    points = Points([[0, 1, 1]], features={"object": [number]}, **alignment(image))

    assert list(read(points, image)) == [3]


@pytest.mark.parametrize("positive", [False, 0, 0.0, "False", "no", "0"])
def test_negative_is_read_in_any_spelling(image, positive):
    points = Points([[0, 1, 1]], features={"positive": [positive]}, **alignment(image))

    assert not read(points, image)[1][0][0].positive


def test_sign_that_says_neither_is_refused(image):
    points = Points([[0, 1, 1]], features={"positive": ["maybe"]}, name="mine", **alignment(image))

    with pytest.raises(ValueError, match=r"'positive' of 'mine': .* got 'maybe'"):
        read(points, image)


@pytest.mark.parametrize("object_id", [0, -1, 65536])
def test_objects_that_labels_cannot_hold_are_refused(image, object_id):
    points = Points([[0, 1, 1]], features={"object": [object_id]}, **alignment(image))

    with pytest.raises(ValueError, match="numbered 1 to 65535"):
        read(points, image)


def test_ellipses_count_as_their_bounding_box(image):
    shapes = Shapes(ndim=3, **alignment(image))
    shapes.add_ellipses(np.insert(SQUARE, 0, 2, axis=1))

    assert read(shapes, image) == {1: {2: (BoxPrompt(2, 3, 2, 7, 9),)}}


def test_outlines_of_one_object_make_one_mask(image):
    shapes = Shapes(
        [np.insert(SQUARE, 0, 2, axis=1), np.insert(SQUARE + RIGHT, 0, 2, axis=1)],
        shape_type="polygon",
        **alignment(image),
    )

    (prompt,) = read(shapes, image)[1][2]

    expected = polygon2mask((12, 15), SQUARE) | polygon2mask((12, 15), SQUARE + RIGHT)
    np.testing.assert_array_equal(prompt.mask, expected)


def test_outline_that_crosses_itself_is_what_it_surrounds(image):
    bow_tie = np.array([[2, 2, 2], [2, 9, 9], [2, 2, 9], [2, 9, 2]])
    shapes = Shapes([bow_tie], shape_type="polygon", **alignment(image))

    (prompt,) = read(shapes, image)[1][2]

    assert prompt.mask[5, 3]
    assert prompt.mask[5, 8]
    assert not prompt.mask[3, 5]
    assert not prompt.mask[8, 5]


@pytest.mark.parametrize(
    ("kind", "positive", "vertices", "notice"),
    [
        ("path", True, SQUARE, "lines and paths"),
        ("rectangle", False, SQUARE, "negative boxes"),
        ("rectangle", True, SQUARE * 0.05, "thinner than a pixel"),
        ("polygon", True, SQUARE + 100, "without a pixel"),
    ],
)
def test_shapes_that_say_nothing_are_told_of(image, kind, positive, vertices, notice):
    shapes = Shapes(
        [np.insert(vertices, 0, 2, axis=1)],
        shape_type=kind,
        features={"object": [1], "positive": [positive]},
        **alignment(image),
    )
    stack, dims = stack_of(image)

    reading = read_prompts(stack, dims, [shapes], 1)

    assert reading.prompts == {}
    assert notice in reading.notices[0]


def test_second_box_of_an_object_on_a_frame_is_extra(image):
    shapes = Shapes(ndim=3, **alignment(image))
    for frame, shift in ((2, 0), (1, 0), (2, 4)):
        shapes.add_rectangles(np.insert(SQUARE + shift, 0, frame, axis=1))
    stack, dims = stack_of(image)

    assert extra_boxes(stack, dims, shapes, 1) == [2]


def test_prompts_of_an_object_are_found_by_frame(image):
    points = Points(
        [[0, 1, 1], [0, 2, 2], [1, 3, 3]],
        features={"object": [1, 2, 1], "positive": [True] * 3},
        **alignment(image),
    )
    stack, dims = stack_of(image)

    assert prompts_of(stack, dims, points, 1, 0) == [0]
    assert prompts_of(stack, dims, points, 1) == [0, 2]


def test_labels_follow_an_image_that_is_moved(image):
    stack, _ = stack_of(image)
    labels = new_labels(stack, np.zeros((4, 12, 15), np.uint16), "labels")
    image.translate = (0, 5, 6)

    align(labels, image)

    assert labels.data_to_world((1, 2, 3)) == image.data_to_world((1, 2, 3))
