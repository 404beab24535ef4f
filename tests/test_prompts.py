import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.prompts import (
    BoxPrompt,
    Candidates,
    FrameMasks,
    MaskPrompt,
    ObjectMask,
    PointPrompt,
    parse_object_id,
    parse_positive,
)

finite = st.floats(-1e6, 1e6)


def object_mask(object_id, origin, logits):
    return ObjectMask(object_id, origin, np.array(logits, dtype=np.float16), 0.9, 5.0)


@given(finite, finite, finite, finite)
def test_box_corners_may_come_in_any_order(row0, column0, row1, column1):
    if row0 == row1 or column0 == column1:
        return
    box = BoxPrompt(0, row0, column0, row1, column1)

    assert box == BoxPrompt(0, row1, column1, row0, column0)
    assert box.row0 < box.row1
    assert box.column0 < box.column1


@pytest.mark.parametrize("box", [(3, 4, 3, 9), (3, 4, 8, 4)])
def test_flat_box_says_what_to_do(box):
    with pytest.raises(ValueError, match=r"extent in both directions.*click a point"):
        BoxPrompt(0, *box)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_coordinates_must_be_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        PointPrompt(0, 1.0, bad)
    with pytest.raises(ValueError, match="finite"):
        BoxPrompt(0, 1.0, 2.0, bad, 4.0)


@pytest.mark.parametrize("value", [True, 1, 1.0, np.True_, "1", " True", "YES", "positive"])
def test_positive_is_read_in_any_spelling(value):
    assert parse_positive(value) is True


@pytest.mark.parametrize("value", [False, 0, 0.0, np.False_, "0.0", "false", "No", "negative"])
def test_negative_is_read_in_any_spelling(value):
    assert parse_positive(value) is False


@pytest.mark.parametrize("value", ["", "maybe", 2, 0.5, None, float("nan")])
def test_signs_that_say_neither_are_refused(value):
    with pytest.raises(ValueError, match="must be 1 or 0, or true or false"):
        parse_positive(value)


@pytest.mark.parametrize("value", [7, 7.0, "7", np.uint8(7), " 7.0"])
def test_object_numbers_are_read_in_any_spelling(value):
    assert parse_object_id(value) == 7


@pytest.mark.parametrize("value", ["left", 7.5, "", None, float("inf")])
def test_object_numbers_are_whole(value):
    with pytest.raises(ValueError, match="whole number"):
        parse_object_id(value)


def test_mask_prompt_takes_labels_for_true():
    assert MaskPrompt(0, np.array([[0, 3]])).mask.tolist() == [[False, True]]


def test_mask_prompt_is_one_frame():
    with pytest.raises(ValueError, match=r"got shape \(2, 3, 4\)"):
        MaskPrompt(0, np.zeros((2, 3, 4)))


def test_object_mask_lies_where_it_was_cut_out():
    one = object_mask(1, (2, 3), [[1, -1], [2, 3]])

    assert one.area == 3
    assert np.argwhere(one.full((5, 6))).tolist() == [[2, 3], [3, 3], [3, 4]]


def test_surer_object_wins_where_two_overlap():
    masks = FrameMasks(
        0, (1, 3), (object_mask(1, (0, 0), [[2, 2]]), object_mask(7, (0, 1), [[1, 5]]))
    )

    assert masks.labels().tolist() == [[1, 1, 7]]
    assert masks.mask(7).tolist() == [[False, True, True]]


def test_absent_object_is_listed_and_empty():
    masks = FrameMasks(4, (2, 2), (object_mask(3, (0, 0), np.zeros((0, 0))),))

    assert masks.object_ids == (3,)
    assert not masks.mask(3).any()
    with pytest.raises(KeyError, match="Object 5 is not among"):
        masks.mask(5)


def test_best_candidate_is_the_first():
    first, second = (object_mask(1, (0, 0), [[x]]) for x in (1, 2))

    assert Candidates(0, (1, 1), (first, second)).best is first


def test_mask_is_kept_as_the_box_that_holds_it():
    mask = np.zeros((2000, 3000))
    mask[1200:1210, 40:60] = mask[1215, 70] = 3
    prompt = MaskPrompt(4, mask)

    assert (prompt.origin, prompt.part.shape, prompt.box) == (
        (1200, 40),
        (16, 31),
        (1200, 40, 1215, 70),
    )
    assert prompt.part.base is None
    assert np.array_equal(prompt.mask, mask > 0)
    assert prompt == MaskPrompt(4, mask[1195:1230, 30:80], (1195, 30), (2000, 3000))


def test_empty_mask_has_no_box():
    prompt = MaskPrompt(0, np.zeros((4, 5)))

    assert prompt.box is None
    assert prompt.mask.shape == prompt.shape == (4, 5)
    assert ObjectMask.given(1, prompt).area == 0


@pytest.mark.parametrize(
    "other",
    [
        MaskPrompt(1, np.eye(3)),
        MaskPrompt(0, np.eye(3), (1, 0), (5, 5)),
        MaskPrompt(0, np.eye(3), (0, 0), (5, 6)),
        MaskPrompt(0, np.ones((3, 3)), (0, 0), (5, 5)),
    ],
)
def test_masks_differ_by_frame_place_shape_and_pixels(other):
    assert MaskPrompt(0, np.eye(3), (0, 0), (5, 5)) != other


@pytest.mark.parametrize("origin", [(3, 0), (0, -1)])
def test_part_that_reaches_beyond_the_frame_is_refused(origin):
    with pytest.raises(ValueError, match="reaches beyond"):
        MaskPrompt(0, np.ones((3, 3)), origin, (5, 5))
