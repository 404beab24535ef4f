"""Objects that end, appear, or are hidden for a while; runs that are cut short."""

from dataclasses import replace

import numpy as np
import pytest
from session_steps import disc, ious, prompted, render, run

from napari_sam2 import Session, View


def scripted(tiny_model, script, present):
    """A session in which one object is found on some of ten frames, and what is asked."""
    truth = np.array([disc(40, 60) if t in present else disc(0, 0, 0) for t in range(10)])
    asked = script(truth.astype(int))
    session = Session(render(truth), tiny_model)
    one = session.add_object()
    session.add_mask(one, 0, truth[0])
    return session, one, asked


def looked_for(asked):
    return [frame for frame, ids in asked if ids]


def test_object_is_looked_for_no_further_after_some_empty_frames(tiny_model, script):
    session, _, asked = scripted(tiny_model, script, {0, 1, 2, 4, 9})

    frames = run(session, stop_after_empty=2)

    assert frames == list(range(10))
    assert looked_for(asked) == [0, 1, 2, 3, 4, 5, 6]


def test_object_is_waited_for_to_the_end_unless_told_otherwise(tiny_model, script):
    session, one, asked = scripted(tiny_model, script, {0, 1, 9})
    run(session)

    assert looked_for(asked) == list(range(10))
    assert (session.labels[9] == one).any()


def test_earlier_results_of_an_object_that_has_ended_are_taken_out(tiny_model, script):
    session, one, _ = scripted(tiny_model, script, range(10))
    run(session)
    session.lock(one, 8)
    script(np.zeros((10, 96, 400), int))

    run(session, start=1, stop_after_empty=1)

    assert [(plane == one).any() for plane in session.labels] == [t in {0, 8} for t in range(10)]
    assert session.quality.rows(one)["frame"].tolist() == [0, 1, 8]


def test_object_that_has_ended_begins_again_where_it_is_prompted(tiny_model, script):
    session, one, asked = scripted(tiny_model, script, {0, 6, 7})
    session.add_mask(one, 6, disc(40, 60))

    run(session, stop_after_empty=2)

    assert looked_for(asked) == [0, 1, 2, 6, 7, 8, 9]


@pytest.mark.parametrize("cut", range(2, 10))
def test_object_has_ended_wherever_a_run_was_cut_short(tiny_model, script, cut):
    present = {0, 1, 2, 4, 9}
    session, _, asked = scripted(tiny_model, script, present)
    run(session, stop=cut, stop_after_empty=2)

    run(session, start=cut, stop_after_empty=2)

    assert looked_for(asked) == [0, 1, 2, 3, 4, 5, 6]


def test_object_has_ended_going_backward_wherever_a_run_was_cut_short(tiny_model, script):
    session, one, asked = scripted(tiny_model, script, {8, 9})
    session.clear_prompts(one)
    session.add_mask(one, 9, disc(40, 60))
    run(session, "backward", start=7, stop_after_empty=2)

    run(session, "backward", stop=7, stop_after_empty=2)

    assert looked_for(asked) == [9, 8, 7, 6]


def test_both_directions_count_for_themselves(tiny_model, script):
    session, one, asked = scripted(tiny_model, script, {4, 5, 6})
    session.clear_prompts(one)
    session.add_mask(one, 5, disc(40, 60))

    run(session, "both", stop_after_empty=1)

    assert looked_for(asked) == [5, 6, 7, 4, 3]


def test_no_empty_frame_at_all_is_too_few(session):
    prompted(session)

    with pytest.raises(ValueError, match="one empty frame or more; got 0"):
        session.propagate(stop_after_empty=0)


def test_object_that_was_hidden_is_found_again(nano):
    hidden = {3, 4}
    truth = [disc(48, 30 + 8 * t) if t not in hidden else disc(0, 0, 0) for t in range(7)]
    session = Session(render(truth), nano)
    one = session.add_object()
    session.add_points(one, 0, [[48, 30]])

    run(session)

    seen = [t for t in range(7) if t not in hidden]
    assert ious(session.labels[seen] == one, [truth[t] for t in seen]).min() > 0.6
    assert (session.labels[list(hidden)] == one).sum(axis=(1, 2)).max() < 0.1 * truth[0].sum()


def test_prompts_of_several_frames_are_answered_a_step_each(session):
    first, second = prompted(session)
    for frame in (3, 6):
        session.add_points(first, frame, [[30, 40]])
    steps = session.propagate()

    begun = [next(steps) for _ in range(3)]
    assert [(m.frame, m.object_ids) for m in begun] == [(0, (first,)), (3, (first,)), (6, (first,))]
    assert [frame for frame in range(8) if session.labels[frame].any()] == [0, 3, 6]
    assert [m.frame for m in steps] == list(range(8))
    assert (session.labels[5] == second).any()


def test_plan_counts_the_steps(session):
    first, _ = prompted(session)
    for frame in (3, 6):
        session.add_points(first, frame, [[30, 40]])

    for _ in range(2):  # the second time, they have their answers
        total = sum(len(part.frames) for part in session.plan("both"))
        assert len(run(session, "both")) == total
    assert total == 8 + 5


def test_prompt_outside_of_the_range_is_answered_but_not_written(session):
    first, _ = prompted(session)

    assert run(session, start=2, stop=4, objects=[first]) == [0, 2, 3]
    assert not session.labels[0].any()


def test_run_that_was_cut_short_goes_on_as_if_it_had_not_been(session, tiny_model, blobs):
    prompted(session)
    whole = Session(blobs[0], tiny_model)
    prompted(whole)
    run(whole)

    steps = session.propagate()
    for _ in range(4):
        next(steps)
    steps.close()
    assert run(session, start=4) == [4, 5, 6, 7]

    assert np.array_equal(session.labels, whole.labels)


def test_released_session_answers_its_prompts_anew(session):
    first, _ = prompted(session)
    run(session)
    before = session.labels.copy()

    session.release()

    assert session._work.tracker.prompted_frames(first) == []
    assert run(session) == list(range(8))
    assert np.array_equal(session.labels, before)


def test_session_elsewhere_has_the_same_contrast_and_no_number_twice(tiny_model, blobs):
    stack = np.stack([blobs[0], blobs[0] // 2], axis=1)  # (T, 2, Y, X)
    session = Session(stack, tiny_model, view=View(held={1: 0}))
    other = session.at({1: 1})

    ids = [session.add_object(), other.add_object(), session.add_object()]

    assert ids == [1, 2, 3]
    assert other.labels is session.labels
    assert other.source.limits == session.source.limits
    assert session.at({0: 3}, axis=1).n_frames == 2


def test_session_elsewhere_shows_the_same_channels(tiny_model, blobs):
    stack = np.stack([blobs[0], blobs[0] // 2, blobs[0] // 3], axis=1)  # (T, C, Y, X)
    stack = np.stack([stack, stack // 2])  # (P, T, C, Y, X)
    view = View(held={0: 0}, channel_axis=2, channels=(2, 0), gamma=0.5, inverted=True)
    session = Session(stack, tiny_model, 1, view=view)

    found = session.at({0: 1}).source.read(3)

    held = View(axis=1, held={0: 1}, channel_axis=2, channels=(2, 0), gamma=0.5, inverted=True)
    expected = Session(stack, tiny_model, view=replace(held, contrast_limits=session.source.limits))
    assert np.array_equal(found, expected.source.read(3))
