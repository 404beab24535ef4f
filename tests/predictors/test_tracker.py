"""Objects prompted on some frames are followed through the others."""

import numpy as np
import pytest
import torch
from tracker_steps import FRAMES, assert_same, follow, prompt_several

from napari_sam2.predictors.cancelling import Cancelled
from napari_sam2.predictors.device import PRECISIONS
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt


def test_prompts_are_answered_whatever_their_order(make_tracker):
    tracker = make_tracker()
    beside, on = PointPrompt(0, 60, 90, positive=False), PointPrompt(0, 30, 40)
    assert not tracker.is_answered(1, 0, [on])
    tracker.prompt(1, 0, [beside, on])

    assert tracker.is_answered(1, 0, [beside, on])
    assert not tracker.is_answered(1, 0, [on])
    assert not tracker.is_answered(1, 0, [on, PointPrompt(0, 1, 1)])
    assert not tracker.is_answered(1, 1, [PointPrompt(1, 30, 40)])


@pytest.mark.parametrize("max_objects", [1, 2, 16])
def test_objects_together_are_as_each_alone(make_tracker, max_objects):
    ids = [1, 2, 3, 4, 5]
    together = make_tracker(max_objects=max_objects)
    prompt_several(together, ids)
    found = follow(together, ids)

    for object_id in ids:
        alone = make_tracker()
        prompt_several(alone, [object_id])
        for frame, outputs in follow(alone, [object_id]).items():
            assert_same(outputs, {object_id: found[frame][object_id]})


def test_prompts_at_once_or_one_by_one_have_the_same_answer(make_tracker):
    clicks = [
        PointPrompt(0, 30, 40),
        PointPrompt(0, 60, 90, positive=False),
        PointPrompt(0, 20, 44),
    ]
    at_once, one_by_one = make_tracker(), make_tracker()

    first = at_once.prompt(1, 0, clicks)
    for count in (1, 2, 3):
        last = one_by_one.prompt(1, 0, clicks[:count])

    assert np.array_equal(first.best.logits, last.best.logits)
    for frame in FRAMES:
        assert_same(at_once.step([1], frame), one_by_one.step([1], frame), tolerance=0)


def test_moved_point_forgets_where_it_was(make_tracker):
    moved, fresh = make_tracker(), make_tracker()
    moved.prompt(1, 0, [PointPrompt(0, 10, 10)])
    after = moved.prompt(1, 0, [PointPrompt(0, 60, 90)])

    assert np.array_equal(
        after.best.logits, fresh.prompt(1, 0, [PointPrompt(0, 60, 90)]).best.logits
    )


def test_single_point_offers_three_candidates_best_first(make_tracker):
    candidates = make_tracker().prompt(1, 0, [PointPrompt(0, 30, 40)])

    assert len(candidates.masks) == 3
    assert [m.iou for m in candidates.masks] == sorted(
        (m.iou for m in candidates.masks), reverse=True
    )


@pytest.mark.parametrize(
    "prompts", [[BoxPrompt(0, 10, 10, 50, 60)], [PointPrompt(0, 30, 40), PointPrompt(0, 31, 41)]]
)
def test_clear_prompts_have_one_answer(make_tracker, prompts):
    assert len(make_tracker().prompt(1, 0, prompts).masks) == 1


def test_mask_is_taken_as_it_is(make_tracker, blobs):
    truth = blobs[1][0] == 1
    tracker = make_tracker()

    found = tracker.prompt(1, 0, [MaskPrompt(0, truth)]).best.full(truth.shape)
    (shown,) = tracker.track([(0, [1])])

    assert np.array_equal(found, truth)
    assert np.array_equal(shown.mask(1), truth)


def test_empty_mask_says_the_object_is_absent(make_tracker):
    found = make_tracker().prompt(1, 0, [MaskPrompt(0, np.zeros((96, 128)))]).best

    assert found.area == 0
    assert found.object_score < 0


def test_cancelled_and_resumed_is_as_done_in_one_go(make_tracker):
    whole, in_parts = make_tracker(), make_tracker()
    for tracker in (whole, in_parts):
        prompt_several(tracker, [1, 2])
    expected = follow(whole, [1, 2])

    steps = in_parts.track([(frame, [1, 2]) for frame in FRAMES])
    for _ in range(4):
        next(steps)
    steps.close()

    for frame in range(4, 8):
        assert_same(in_parts.step([1, 2], frame), expected[frame], tolerance=0)


def test_frame_that_is_cancelled_between_two_objects_was_never_begun(make_tracker, tiny_model):
    whole, in_parts = make_tracker(max_objects=1), make_tracker(max_objects=1)
    for tracker in (whole, in_parts):
        prompt_several(tracker, [1, 2, 5])
    expected = follow(whole, [1, 2, 5])
    follow(in_parts, [1, 2, 5], range(4))

    encoded = []

    def ask(*_):
        encoded.append(1)
        in_parts.cancellation.ask()

    hook = tiny_model.memory_encoder.register_forward_hook(ask)
    with hook, pytest.raises(Cancelled):
        in_parts.step([1, 2, 5], 4)
    in_parts.cancellation.begin()

    assert len(encoded) == 1
    assert in_parts.followed_frames(1) == {1, 2, 3}
    for frame in range(4, 8):
        assert_same(in_parts.step([1, 2, 5], frame), expected[frame], tolerance=0)


def test_what_is_kept_does_not_grow_with_the_frames(tiny_model):
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 255, (60, 48, 48), dtype=np.uint8)
    tracker = Tracker(tiny_model, FrameSource(stack), options=TrackerOptions(feature_bytes=0))
    tracker.prompt(1, 0, [PointPrompt(0, 20, 20)])

    def kept():
        known = tracker._objects[1]
        memories = [*known.memory.tracked.values(), *known.memory.prompted.values()]
        features = sum(m.features is not None for m in memories)
        return features, len(memories), len(known.sightings)

    sizes = []
    for frame in range(60):
        tracker.step([1], frame)
        sizes.append(kept())

    assert sizes[-1] == sizes[40]
    assert len(tracker.segmenter.features) == 1


def test_memory_horizon_does_not_change_results(make_tracker, monkeypatch):
    pruned, hoarding = make_tracker(), make_tracker()
    for tracker in (pruned, hoarding):
        prompt_several(tracker, [1, 3])
    expected = follow(pruned, [1, 3])
    expected_back = follow(pruned, [3], (1, 0), reverse=True)

    monkeypatch.setattr("napari_sam2.predictors.objects.TrackedObject.keep_near", lambda *_: None)
    found = follow(hoarding, [1, 3])
    found_back = follow(hoarding, [3], (1, 0), reverse=True)

    for frame in FRAMES:
        assert_same(found[frame], expected[frame], tolerance=0)
    for frame in (1, 0):
        assert_same(found_back[frame], expected_back[frame], tolerance=0)


def test_same_prompts_again_change_nothing(make_tracker):
    tracker = make_tracker()
    prompt_several(tracker, [1])
    follow(tracker, [1])
    before = dict(tracker._objects[1].memory.tracked)

    prompt_several(tracker, [1])
    tracker.step([1], 0)

    assert tracker._objects[1].memory.tracked == before


def test_object_without_prompts_is_passed_over(make_tracker):
    tracker = make_tracker()
    prompt_several(tracker, [1])
    steps = tracker.track([(0, [1, 9]), (1, [1, 9]), (2, [1, 9])])
    assert next(steps).object_ids == (1,)
    tracker.clear(1, 0)

    assert next(steps).object_ids == ()
    tracker.remove(1)
    assert next(steps).object_ids == ()


def test_object_prompted_only_ahead_can_be_followed_to_it(make_tracker):
    tracker = make_tracker()
    prompt_several(tracker, [3])

    assert tracker.step([3], 0)[3].logits.isfinite().all()


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "Nothing to segment"),
        ([PointPrompt(0, 1, 1, positive=False)], "Negative points alone"),
        ([BoxPrompt(0, 1, 1, 5, 5), BoxPrompt(0, 2, 2, 6, 6)], "one box a frame, got 2"),
        ([MaskPrompt(0, np.ones((96, 128))), PointPrompt(0, 1, 1)], "cannot stand with 1 other"),
        ([MaskPrompt(0, np.ones((9, 9)))], r"shape \(9, 9\), but a frame has \(96, 128\)"),
    ],
)
def test_prompts_that_cannot_be_answered_say_why_and_leave_no_object(
    make_tracker, prompts, message
):
    tracker = make_tracker()

    with pytest.raises(ValueError, match=message):
        tracker.prompt(1, 0, prompts)
    assert tracker.prompted_frames(1) == []


def test_object_is_not_begun_with_a_point_beside_it(make_tracker):
    beside, on = PointPrompt(0, 60, 90, positive=False), PointPrompt(0, 30, 40)
    tracker, other = make_tracker(), make_tracker()

    found = tracker.prompt(1, 0, [beside, on])

    assert np.array_equal(found.best.logits, other.prompt(1, 0, [on, beside]).best.logits)


def test_half_precision_finds_about_the_same(tiny_model, blobs):
    source = FrameSource(blobs[0])
    exact, rough = (
        Tracker(tiny_model, source, precision=p) for p in (torch.float32, torch.bfloat16)
    )
    for tracker in (exact, rough):
        tracker.prompt(1, 0, [BoxPrompt(0, 15, 25, 45, 55)])

    for frame in FRAMES:
        one, other = (t.step([1], frame)[1].logits for t in (exact, rough))
        assert other.dtype == torch.float32
        assert (one - other).abs().mean() < 0.1 * one.abs().mean()


def test_mixed_precision_is_exact_on_prompts_and_nearly_so_on_what_follows(tiny_model, blobs):
    source = FrameSource(blobs[0])
    exact, mixed = (
        Tracker(tiny_model, source, precision=PRECISIONS[name]) for name in ("float32", "mixed")
    )
    for tracker in (exact, mixed):
        tracker.prompt(1, 0, [BoxPrompt(0, 15, 25, 45, 55)])

    assert_same(mixed.step([1], 0), exact.step([1], 0), tolerance=0)
    for frame in FRAMES[1:]:
        one, other = (t.step([1], frame)[1].logits for t in (exact, mixed))
        assert 0 < (one - other).abs().mean() < 0.01 * one.abs().mean()
