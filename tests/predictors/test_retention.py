"""Memories that are let go, and made again."""

import numpy as np
import pytest
import torch

from napari_sam2 import Session, Settings, TrackerOptions
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.retention import Kept, kept, let_go
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt, PointPrompt

N_FRAMES = 40


@pytest.fixture
def stack():
    """Forty frames of a disc that drifts over noise, and where it is."""
    rows, columns = np.mgrid[:96, :128]
    truth = np.stack(
        [(rows - 30 - t) ** 2 + (columns - 40 - t) ** 2 < 15**2 for t in range(N_FRAMES)]
    )
    noise = np.random.default_rng(0).integers(0, 20, truth.shape)
    return (truth * 180 + noise).astype(np.uint8), truth


@pytest.fixture
def make_tracker(tiny_model, stack):
    def make(found=None, **options):
        return Tracker(
            tiny_model, FrameSource(stack[0]), options=TrackerOptions(**options), found=found
        )

    return make


def run(tracker, frames, *, reverse=False):
    return {frame: tracker.step([1], frame, reverse=reverse)[1] for frame in frames}


def begin(tracker):
    """Prompt an object near the beginning, and follow it to the end."""
    tracker.prompt(1, 3, [BoxPrompt(3, 18, 28, 48, 58)])
    return run(tracker, range(3, N_FRAMES))


def assert_equal(one, other):
    for frame in one:
        for mine, yours in zip(one[frame], other[frame], strict=True):
            assert torch.equal(mine, yours)


@pytest.mark.parametrize("field", ["auto", "frame"])
def test_memories_made_again_of_what_was_found_are_what_they_were(make_tracker, field):
    ample, meagre = make_tracker(field=field), make_tracker(field=field, memory_bytes=0)
    for tracker in (ample, meagre):
        begin(tracker)
    near = ample._objects[1].memory.tracked
    left = meagre._objects[1].memory.tracked
    before = {frame: near[frame].features for frame in range(4, 11)}
    assert all(left[frame].features is None for frame in before)

    found = [run(tracker, [10, 11, 12]) for tracker in (ample, meagre)]

    assert_equal(*found)
    for frame in range(5, 10):
        assert torch.equal(left[frame].features, before[frame])


def test_holes_that_were_filled_are_holes_in_memories_made_again(make_tracker, stack):
    """Most masks have holes here: without them, the test above would say less."""
    tracker = make_tracker()
    begin(tracker)

    assert any(seen.unfilled is not None for seen in tracker._objects[1].sightings.values())


@pytest.mark.parametrize(("memory", "results"), [(0, 2**30), (2**30, 0), (40_000, 90_000)])
def test_what_is_kept_keeps_within_its_budgets(make_tracker, memory, results):
    tracker = make_tracker(memory_bytes=memory, result_bytes=results)
    least = make_tracker(memory_bytes=0, result_bytes=0)
    ample = make_tracker()
    for one in (tracker, least, ample):
        for frame in range(0, N_FRAMES, 8):
            one.prompt(1, frame, [BoxPrompt(frame, 30, 40, 60, 70)])
        run(one, range(N_FRAMES))

    mine, smallest, largest = (kept(one._objects.values()) for one in (tracker, least, ample))
    assert mine.memories <= max(memory, smallest.memories)
    assert mine.results <= max(results, smallest.results)
    assert smallest.memories < largest.memories
    assert smallest.results < largest.results


def test_next_frame_finds_all_that_it_attends_to_whatever_the_budget(make_tracker):
    ample, meagre = make_tracker(), make_tracker(memory_bytes=0, result_bytes=0)

    assert_equal(begin(ample), begin(meagre))


def test_what_a_strategy_attends_to_from_afar_is_not_let_go(make_tracker):
    tracker = make_tracker()
    begin(tracker)
    known = tracker._objects[1]
    known.keep_near(39, chosen=[5])
    let_go([known], 39, Kept(0, 0))

    assert known.memory.tracked[5].features is not None
    assert known.memory.tracked[6].features is None


def test_frames_out_of_reach_are_remembered_by_the_masks_found_there(make_tracker, stack):
    asked = []

    def found(object_id, frame):
        asked.append((object_id, frame))
        return stack[1][frame]

    tracker = make_tracker(found)
    begin(tracker)
    assert asked == []
    tracker.step([1], 25)

    assert asked == [(1, frame) for frame in (24, 23, 22, 21, 20, 19)]
    assert all(tracker._objects[1].memory.tracked[f].features is not None for f in range(19, 26))


@torch.inference_mode()
def test_memory_made_of_a_mask_is_that_of_a_mask_given_there(make_tracker, stack):
    tracker = make_tracker(lambda _, frame: stack[1][frame], field="frame")
    begin(tracker)
    tracker.step([1], 23)
    made = tracker._objects[1].memory.tracked[22]
    segmenter, whole = tracker.segmenter, tracker.windows.whole
    given = segmenter.accept(22, whole, stack[1][22])

    expected = segmenter.encode(22, whole, given.logits, given.object_score, binarize=False)
    assert torch.equal(made.features, expected)
    assert torch.equal(made.pointer, given.pointer)


def test_frames_around_a_correction_stay_forgotten(make_tracker, stack):
    tracker = make_tracker(lambda _, frame: stack[1][frame])
    begin(tracker)
    tracker.prompt(1, 20, [PointPrompt(20, 50, 60)], earlier=stack[1][20])
    tracker.step([1], 20)
    asked = []
    tracker._objects[1].found = asked.append
    run(tracker, range(21, 28))

    assert asked == []


def test_prompted_frames_are_not_remembered_as_tracked_ones(make_tracker, stack):
    tracker = make_tracker(lambda _, frame: stack[1][frame], clear_around_prompts=False)
    begin(tracker)
    tracker.prompt(1, 22, [PointPrompt(22, 50, 60)], earlier=stack[1][22])
    asked = []
    tracker._objects[1].found = asked.append
    tracker.step([1], 25)

    assert 22 not in asked
    assert set(asked) == {24, 23, 20, 19}  # 21 was wanted for the click


def test_click_far_from_what_was_visited_last_attends_to_the_frame_before(make_tracker, stack):
    asked = []
    tracker = make_tracker(lambda _, frame: asked.append(frame) or stack[1][frame])
    begin(tracker)
    attended = []
    embed = tracker.segmenter.embedding
    tracker.segmenter.embedding = lambda frame, window, near=(): (
        attended.append(near) or embed(frame, window, near)
    )
    tracker.prompt(1, 25, [PointPrompt(25, 40, 50, positive=False)], earlier=stack[1][25])

    assert set(asked) == {24}
    assert [age for age, _ in attended[-1][0].spatial] == [0, 1]


def test_object_that_was_not_found_earlier_is_not_remembered(make_tracker):
    tracker = make_tracker(lambda *_: None)
    begin(tracker)

    assert tracker.step([1], 23)[1].logits.isfinite().all()
    assert 22 not in tracker._objects[1].memory.tracked


def test_absent_object_is_remembered_as_absent(make_tracker):
    tracker = make_tracker(lambda *_: np.zeros((96, 128), bool))
    begin(tracker)
    tracker.step([1], 25)

    assert tracker._objects[1].sightings[24].object_score < 0


def test_session_goes_on_anywhere_with_what_it_wrote(tiny_model, stack):
    """Gone on with in the middle, a run finds what it found when it came by."""
    options = TrackerOptions(field="frame")
    session = Session(stack[0], tiny_model, settings=Settings(tracker=options))
    session.add_box(session.add_object(), 0, [14, 24, 46, 56])
    list(session.propagate())
    before = session.labels.copy()
    list(session.propagate(start=20, stop=23))

    both = (before[20:23] == 1) & (session.labels[20:23] == 1)
    either = (before[20:23] == 1) | (session.labels[20:23] == 1)
    assert both.sum() > 0.9 * either.sum()
