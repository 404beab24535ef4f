import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.predictors.passes import plan_passes

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
