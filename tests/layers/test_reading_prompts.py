"""What points and shapes say."""

from __future__ import annotations

import numpy as np
import pytest
from layer_steps import RIGHT, SQUARE, read, stack_of
from napari.layers import Points, Shapes
from skimage.draw import polygon2mask

from napari_sam2._layers import alignment
from napari_sam2._reading import extra_boxes, prompts_of, read_prompts
from napari_sam2.prompts import BoxPrompt, PointPrompt


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


def test_ten_thousand_objects_are_read(image):
    numbers = np.arange(1, 10_001)
    places = np.stack([numbers % 4, numbers // 4 % 12, numbers % 15], axis=1)
    points = Points(places, features={"object": numbers}, **alignment(image))

    found = read(points, image)

    assert sorted(found) == numbers.tolist()
    frame, row, column = places[-1]
    assert found[10_000] == {frame: (PointPrompt(frame, row, column),)}
