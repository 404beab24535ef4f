"""Layers to prompts and masks to layers, under every transform."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_steps import SQUARE, in_world, read, stack_of
from napari.layers import Image, Points, Shapes
from skimage.draw import polygon2mask

from napari_sam2._layers import alignment, new_labels, new_preview, pixel_at, write_preview
from napari_sam2.prompts import BoxPrompt, FrameMasks, MaskPrompt, PointPrompt

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


@settings(max_examples=40, deadline=None)
@given(transforms(), st.lists(st.tuples(st.floats(0, 11), st.floats(0, 14)), min_size=1))
def test_points_arrive_in_image_pixels_under_every_transform(transform, positions):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    points = Points(in_world(image, positions))

    found = read(points, image)[1][2]

    assert all(isinstance(prompt, PointPrompt) for prompt in found)
    np.testing.assert_allclose([(p.row, p.column) for p in found], positions, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(transforms(), st.tuples(st.floats(-0.4, 11.4), st.floats(-0.4, 14.4)))
def test_place_in_the_world_is_found_in_the_image_under_every_transform(transform, place):
    image = Image(np.zeros((4, 12, 15)), contrast_limits=(0, 1), **transform)
    stack, _ = stack_of(image)
    (world,) = in_world(image, [place])

    # The viewer has one more axis than the image.
    np.testing.assert_allclose(pixel_at(stack, (7.0, *world)), place, atol=1e-6)


def test_place_beside_the_image_is_on_no_pixel(image):
    stack, _ = stack_of(image)

    assert pixel_at(stack, image.data_to_world((0, 12, 3))) is None
    assert pixel_at(stack, image.data_to_world((0, 3, -1))) is None


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
