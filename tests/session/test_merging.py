"""Two objects that are one."""

import numpy as np
import pytest
from session_steps import disc, prompted, run

from napari_sam2 import BoxPrompt, Candidates, MaskPrompt, ObjectMask, PointPrompt

SHAPE = (96, 128)
LEFT, RIGHT = disc(40, 30, 10, SHAPE), disc(40, 70, 14, SHAPE)


def accept(session, object_id, frame, mask, iou=1.0):
    one = ObjectMask.given(object_id, MaskPrompt(frame, mask))
    one = ObjectMask(object_id, one.origin, one.logits, iou, one.object_score)
    session.accept(Candidates(frame, SHAPE, (one,)))


@pytest.fixture
def halves(session):
    """Two objects: both on frame 0, the second alone on frame 1."""
    one, two = session.add_object("one"), session.add_object("two")
    accept(session, one, 0, LEFT, 0.9)
    accept(session, two, 0, RIGHT, 0.7)
    accept(session, two, 1, RIGHT, 0.8)
    return session


def test_pixels_of_both_are_the_pixels_of_one(halves):
    halves.merge(1, 2)

    assert np.array_equal(halves.labels[0] == 1, LEFT | RIGHT)
    assert np.array_equal(halves.labels[1] == 1, RIGHT)
    assert not (halves.labels == 2).any()
    assert list(halves.objects) == [1]
    assert halves.objects[1].name == "one"
    assert halves.objects[1].frames == {0, 1}


def test_object_named_twice_is_merged_once(halves):
    halves.merge(1, [2, 2])

    assert list(halves.objects) == [1]


@pytest.mark.parametrize(
    ("end", "left"),
    [(lambda s: s.merge(1, 2), {0, 1}), (lambda s: s.remove_object(2), {0})],
    ids=["merge", "remove"],
)
def test_what_a_hand_painted_of_an_object_goes_with_it(halves, end, left):
    halves.labels[4, 10:20, 10:20] = 2
    halves.note_edits([[4, 10, 10]])

    end(halves)

    assert set(np.unique(halves.labels[4])) == left
    halves.undo()
    assert set(np.unique(halves.labels[4])) == {0, 2}


def test_quality_is_that_of_both(halves):
    halves.merge(1, 2)
    rows = halves.quality.rows()

    assert rows["object"].tolist() == [1, 1]
    assert rows["area"].tolist() == [LEFT.sum() + RIGHT.sum(), RIGHT.sum()]
    np.testing.assert_allclose(rows["iou"], [0.7, 0.8], atol=1e-6)
    np.testing.assert_allclose(rows["column"], [np.nonzero(LEFT | RIGHT)[1].mean(), 70], rtol=1e-6)


def test_prompts_are_those_of_both(halves):
    apart = PointPrompt(0, 40, 70, False)
    beside = PointPrompt(0, 5, 5, False)
    halves.set_prompts(1, 0, [PointPrompt(0, 40, 30), apart, beside])
    halves.set_prompts(2, 0, [BoxPrompt(0, 26, 56, 54, 84), PointPrompt(0, 40, 70)])
    halves.add_box(1, 3, [10, 10, 20, 20])
    halves.add_box(2, 3, [15, 15, 30, 12])

    halves.merge(1, 2)

    assert halves.prompts(1, 0) == (
        BoxPrompt(0, 26, 56, 54, 84),
        PointPrompt(0, 40, 30),
        beside,
        PointPrompt(0, 40, 70),
    )
    assert halves.prompts(1, 3) == (BoxPrompt(3, 10, 10, 30, 20),)


def test_mask_and_clicks_become_a_mask_of_both(halves):
    halves.add_mask(1, 0, LEFT)
    halves.add_points(2, 0, [[40, 70]])

    halves.merge(1, 2)

    assert halves.prompts(1, 0) == (MaskPrompt(0, LEFT | RIGHT),)


def test_locked_stays_what_was_accepted_of_both(halves):
    halves.lock(1, 0)
    halves.lock(2, 1)

    halves.merge(1, 2)

    assert halves.locked(1) == [1]


def test_merging_is_one_step_that_is_undone(halves):
    before = dict(halves.objects), halves.labels.copy(), halves.quality.rows().tobytes()
    halves.merge(2, 1)

    assert halves.history[0] == "merge one into two"
    halves.undo()
    assert dict(halves.objects) == before[0]
    assert list(halves.objects) == [1, 2]
    assert np.array_equal(halves.labels, before[1])
    assert halves.quality.rows().tobytes() == before[2]


def test_merged_object_is_followed(session):
    first, second = prompted(session)
    run(session, "both")
    session.merge(first, second)

    assert set(run(session, "both")) == set(range(8))
    assert set(np.unique(session.labels)) == {0, first}


def test_daughters_become_those_of_the_object_that_stays(halves):
    daughters = halves.divide(2, 2, [LEFT, RIGHT])

    halves.merge(1, 2)

    assert {halves.objects[i].parent for i in daughters} == {1}
    assert halves.objects[1].end == 2


def test_daughter_taken_back_has_not_divided(halves):
    one, other = halves.divide(2, 1, [LEFT, RIGHT])
    halves.remove_object(other)
    accept(halves, one, 1, RIGHT)

    halves.merge(2, one)

    assert halves.objects[2].end is None
    assert halves.objects[2].frames == {0, 1}


@pytest.mark.parametrize(
    ("into", "other", "why"),
    [(1, 1, "one object already"), (1, 9, "no object 9"), (2, 1, "divided on frame 0")],
)
def test_what_cannot_be_merged_says_why(halves, into, other, why):
    if why.startswith("divided"):
        halves.divide(1, 0, [LEFT])
    before = dict(halves.objects), halves.labels.copy()

    with pytest.raises(ValueError, match=why):
        halves.merge(into, other)

    assert dict(halves.objects) == before[0]
    assert np.array_equal(halves.labels, before[1])
