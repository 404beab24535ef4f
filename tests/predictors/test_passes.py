import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.predictors.passes import plan_answers, plan_correction, plan_passes

prompted = st.dictionaries(st.integers(1, 5), st.lists(st.integers(0, 19), min_size=1), min_size=1)


def visited(passes):
    return [(frame, i) for one in passes for frame, ids in one.visits() for i in ids]


def test_forward_follows_each_object_from_its_first_prompt():
    (one,) = plan_passes({1: [3, 8], 2: [6]}, "forward", 0, 10)

    assert one.frames == range(3, 10)
    assert dict(one.visits())[5] == [1]
    assert dict(one.visits())[6] == [1, 2]


def test_backward_follows_each_object_from_its_last_prompt():
    (one,) = plan_passes({1: [3, 8], 2: [6]}, "backward", 0, 10)

    assert one.frames == range(8, -1, -1)
    assert one.reverse
    assert dict(one.visits())[7] == [1]
    assert dict(one.visits())[6] == [1, 2]


@given(prompted)
def test_both_visits_every_frame_of_every_object_once(prompts):
    everything = visited(plan_passes(prompts, "both", 0, 20))

    assert sorted(everything) == sorted((f, i) for f in range(20) for i in prompts)


@given(prompted, st.integers(0, 18), st.integers(1, 20))
def test_frames_outside_the_range_are_left_alone(prompts, start, length):
    stop = min(20, start + length)
    frames = {frame for frame, _ in visited(plan_passes(prompts, "both", start, stop))}

    assert frames <= set(range(start, stop))


def test_unknown_direction_is_an_error():
    with pytest.raises(ValueError, match="no direction 'sideways'"):
        plan_passes({1: [0]}, "sideways", 0, 3)


@pytest.mark.parametrize(
    ("locked", "frames"),
    [
        ((), [range(4, 10), range(3, -1, -1)]),
        ((0, 2, 7, 9), [range(4, 7), range(3, 2, -1)]),
        ((3, 5), [range(4, 5)]),
    ],
)
def test_correction_goes_either_way_up_to_a_locked_frame(locked, frames):
    passes = plan_correction(1, 4, locked, 10)

    assert [one.frames for one in passes] == frames
    assert visited(passes) == [(frame, 1) for part in frames for frame in part]


@pytest.mark.parametrize(
    ("unanswered", "expected"),
    [
        ({}, {}),
        ({1: [2]}, {}),
        ({1: [2, 6]}, {2: [1], 6: [1]}),
        ({1: [6]}, {6: [1]}),
        ({1: [2, 6], 2: [6]}, {2: [1], 6: [1, 2]}),
        ({3: [0]}, {0: [3]}),
    ],
)
def test_prompts_are_answered_first_but_for_one_that_a_pass_begins_with(unanswered, expected):
    passes = plan_passes({1: [2, 6], 2: [2, 6], 3: [0]}, "forward", 1, 10)

    answers = plan_answers(unanswered, passes, range(1, 10))

    assert [one.objects for one in answers] == ([expected] if expected else [])
    assert [one.frames for one in answers] == ([tuple(sorted(expected))] if expected else [])
