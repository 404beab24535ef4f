"""Objects prompted, corrected, followed and taken away again."""

import threading
from itertools import groupby

import numpy as np
import pytest
from session_steps import prompted, run

from napari_sam2 import MaskPrompt, Session, Settings, TrackerOptions, View


@pytest.mark.parametrize(
    ("direction", "frames"),
    [
        ("forward", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("backward", [5, 4, 3, 2, 1, 0]),
        ("both", [0, 1, 2, 3, 4, 5, 6, 7, 4, 3, 2, 1, 0]),
    ],
)
def test_direction_says_which_frames_are_visited(session, direction, frames):
    prompted(session)

    assert run(session, direction) == frames


def test_range_leaves_other_frames_alone(session):
    prompted(session)

    # The first frame has the prompt of an object that is on all of them.
    assert run(session, "both", start=2, stop=6) == [0, 2, 3, 4, 5, 4, 3, 2]
    assert not session.labels[[0, 1, 6, 7]].any()


def test_one_object_alone_leaves_the_others_bit_for_bit(session):
    first, second = prompted(session)
    run(session)
    before = session.labels == second

    session.add_points(first, 6, [[5, 5]], [False])
    run(session, objects=[first])

    assert np.array_equal(session.labels == second, before)


def test_cancelled_run_keeps_what_was_done(session):
    prompted(session)
    steps = session.propagate()
    for _ in range(3):
        next(steps)
    steps.close()

    assert session.labels[:3].any(axis=(1, 2)).all()
    assert not session.labels[3:].any()


def test_run_that_is_cancelled_amid_a_frame_goes_on_as_if_it_had_not_been(tiny_model, blobs):
    one_by_one = Settings(tracker=TrackerOptions(max_objects=1))
    whole, in_parts = (Session(blobs[0], tiny_model, settings=one_by_one) for _ in range(2))
    for session in (whole, in_parts):
        prompted(session)
        session.add_points(session.add_object(), 0, [[60, 90]])
    run(whole)

    steps = in_parts.propagate()
    begun = [next(steps).frame for _ in range(3)]
    with tiny_model.memory_encoder.register_forward_hook(lambda *_: in_parts.cancel()):
        rest = list(steps)

    assert (begun, rest) == ([0, 1, 2], [])
    assert not in_parts.labels[3:5].any()
    assert run(in_parts, start=3) == [3, 4, 5, 6, 7]
    assert np.array_equal(in_parts.labels, whole.labels)


def test_preview_writes_nothing_until_it_is_accepted(session):
    first, _ = prompted(session)

    found = session.segment(first, 0)
    assert not session.labels.any()
    session.accept(found)

    assert np.array_equal(session.labels[0] == first, found.best.full((96, 128)))


def test_removed_object_drops_out_of_a_run(session):
    first, second = prompted(session)
    session.segment(first, 0)
    steps = session.propagate(start=4)
    assert next(steps).object_ids == (first,)
    session.remove_object(first)

    assert [masks.object_ids for masks in steps] == [(second,)] * 3


def test_another_contrast_goes_on_with_what_was_found(tiny_model, blobs, session):
    first, second = prompted(session)
    run(session)
    before = session.labels.copy()

    other = Session(
        blobs[0], tiny_model, view=View(contrast_limits=(0, 100)), labels=session.labels
    )
    other.take_over(session)

    assert np.array_equal(other.labels, before)
    assert [one.name for one in other.objects.values()] == ["first", "second"]
    assert other.prompts(second, 5) == session.prompts(second, 5)
    other.add_points(first, 3, [[5, 5]], [False])  # alone: it corrects what was found
    assert other.segment(first, 3).frame == 3
    other.remove_object(first)
    assert set(np.unique(other.labels)) == {0, second}


def test_another_contrast_corrects_where_the_earlier_session_did(tiny_model, blobs, session):
    first, _ = prompted(session)
    run(session)
    session.add_points(first, 3, [[5, 5]], [False])
    session.segment(first, 3)

    other = Session(
        blobs[0], tiny_model, view=View(contrast_limits=(0, 100)), labels=session.labels
    )
    other.take_over(session)

    assert run(other) == [0, 3, *range(8)]


def test_cleared_correction_leaves_a_mask_that_can_be_corrected(session):
    first, _ = prompted(session)
    run(session)
    session.add_points(first, 3, [[5, 5]], [False])
    session.segment(first, 3)
    session.clear_prompts(first, 3)

    session.add_points(first, 3, [[6, 6]], [False])
    assert session.segment(first, 3).frame == 3


def test_negative_click_corrects_the_mask_that_is_seen(session):
    first, _ = prompted(session)
    run(session)
    session.clear_prompts(first)

    session.add_points(first, 0, [[6, 6]], [False])
    assert session.segment(first, 0).frame == 0


def test_objects_taken_away_before_a_run_begins_are_passed_over(session):
    first, second = prompted(session)
    third = session.add_object()
    session.add_points(third, 1, [[10, 10]])
    steps = session.propagate()
    session.remove_object(first)
    session.clear_prompts(third)

    assert {i for masks in steps for i in masks.object_ids} == {second}


def test_same_prompts_again_change_nothing(session):
    first, _ = prompted(session)
    session.add_mask(first, 2, np.eye(96, 128))

    assert not session.set_prompts(first, 0, session.prompts(first, 0))
    assert not session.set_prompts(first, 2, [MaskPrompt(2, np.eye(96, 128))])
    assert session.set_prompts(first, 2, [])


def test_box_and_mask_replace_points_and_boxes_as_documented(session):
    one = session.add_object()
    session.add_points(one, 0, [[30, 40], [31, 41]])
    session.add_box(one, 0, [10, 10, 20, 20])
    session.add_box(one, 0, [15, 15, 45, 60])
    assert len(session.prompts(one, 0)) == 3

    session.add_mask(one, 0, np.ones((96, 128)))
    assert len(session.prompts(one, 0)) == 1


def test_cleared_prompts_are_forgotten(session):
    first, _ = prompted(session)
    session.add_points(first, 3, [[30, 40]])
    session.clear_prompts(first, 0)
    assert list(session.objects[first].prompts) == [3]
    session.clear_prompts(first)

    with pytest.raises(ValueError, match="Nothing to follow"):
        session.propagate(objects=[first])


def test_single_colour_image(tiny_model):
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    session = Session(image, tiny_model)
    one = session.add_object()
    session.add_points(one, 0, [[20, 25]])

    assert run(session) == [0]
    assert session.labels.shape == (40, 50)


def test_axis_of_the_view_is_played_unless_another_is_given(tiny_model):
    stack = np.zeros((4, 40, 50), np.uint8)

    assert Session(stack, tiny_model, view=View(axis=2)).n_frames == 50
    assert Session(stack, tiny_model, 1, view=View(axis=2)).n_frames == 40


def test_preview_can_be_asked_for_while_frames_are_tracked(session):
    first, second = prompted(session)
    steps = session.propagate(objects=[first])
    next(steps)
    found = []
    thread = threading.Thread(target=lambda: found.append(session.segment(second, 5)))
    thread.start()
    thread.join(timeout=20)

    assert found[0].best.object_id == second
    assert len(list(steps)) == 7


def test_everything_but_labels_is_read_one_frame_at_a_time(tiny_model):
    class Once:
        shape, dtype = (50, 40, 60), np.dtype(np.uint8)

        def __init__(self):
            self.reads = []

        def __getitem__(self, index):
            assert isinstance(index[0], int)
            self.reads.append(index[0])
            return np.random.default_rng(index[0]).integers(0, 255, (40, 60), dtype=np.uint8)

    stack = Once()
    session = Session(stack, tiny_model, view=View(contrast_limits=(0, 255)))
    session.add_points(session.add_object(), 0, [[20, 20]])
    assert stack.reads == []

    run(session)

    # The first frame may be looked at through several windows.
    assert [frame for frame, _ in groupby(stack.reads)] == list(range(50))


def test_run_goes_on_when_what_is_remembered_is_let_go_of(session):
    prompted(session)

    steps = session.propagate()
    found = [next(steps) for _ in range(4)]
    session.release()
    found += steps

    assert [len(masks.objects) for masks in found] == [1] * 5 + [2] * 3
    assert all((session.labels[frame] == 1).any() for frame in range(8))


def test_run_can_be_cancelled_after_what_is_remembered_was_let_go_of(session):
    prompted(session)

    steps = session.propagate()
    next(steps)
    session.release()
    session.cancel()

    assert list(steps) == []


def test_prompts_ahead_are_answered_anew_when_their_answers_were_let_go_of(session):
    first, _ = prompted(session)
    session.add_points(first, 6, [[42, 40]])

    steps = session.propagate()
    answered = [next(steps).frame for _ in range(2)]
    session.release()
    next(steps)

    assert answered == [0, 6]
    assert session._work.tracker.prompted_frames(first) == [0, 6]
