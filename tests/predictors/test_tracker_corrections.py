"""Clicks on frames that an object was tracked over."""

import numpy as np
import torch
from tracker_steps import assert_same, follow, lose, prompt_several

from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import MaskPrompt, PointPrompt


def test_click_where_the_object_was_lost_begins_anew(make_tracker):
    lost, fresh = make_tracker(), make_tracker()
    for tracker in (lost, fresh):
        prompt_several(tracker, [1])
        follow(tracker, [1])
    lose(lost, 4)
    fresh.remove(1)
    clicks = [PointPrompt(4, 38, 40)]

    found = [tracker.prompt(1, 4, clicks).best.logits for tracker in (lost, fresh)]

    assert np.array_equal(*found)
    assert lost.prompted_frames(1) == [0, 4]


def test_negative_click_where_the_object_was_lost_is_understood(make_tracker):
    tracker = make_tracker()
    prompt_several(tracker, [1])
    follow(tracker, [1])
    lose(tracker, 4)

    assert tracker.prompt(1, 4, [PointPrompt(4, 5, 5, positive=False)]).frame == 4


@torch.inference_mode()
def test_masks_to_go_on_from_take_the_place_of_what_was_tracked(make_tracker, blobs):
    tracker = make_tracker()
    prompt_several(tracker, [1])
    follow(tracker, [1], range(6))
    masks = [MaskPrompt(frame, blobs[1][frame] == 1) for frame in (0, 3, 4)]

    tracker.go_on_from(1, masks)
    known = tracker._objects[1]
    attended = tracker._recall.attended(known, 5, known.window, reverse=False)

    assert known.memory.tracked.keys() == known.sightings.keys() == {3, 4}, "0 is prompted"
    assert sorted(age for age, _ in attended.spatial) == [0, 1, 2]
    assert torch.isfinite(tracker.step([1], 5)[1].logits).all()


def test_click_on_a_tracked_frame_corrects_it_and_what_follows(make_tracker):
    tracker = make_tracker()
    prompt_several(tracker, [1, 2])
    before = follow(tracker, [1, 2])

    tracker.prompt(1, 4, [PointPrompt(4, 5, 5, positive=False)])
    after = follow(tracker, [1, 2], range(4, 8))

    assert tracker.prompted_frames(1) == [0, 4]
    for frame in range(5, 8):
        assert not torch.equal(after[frame][1].logits, before[frame][1].logits)
        assert_same({2: after[frame][2]}, {2: before[frame][2]})


@torch.inference_mode()
def test_correction_forgets_what_was_tracked_around_it(make_tracker):
    for clear, ages in ((True, [0, 0]), (False, [0, 0, 2, 3, 4])):
        tracker = make_tracker(clear_around_prompts=clear)
        prompt_several(tracker, [1])
        follow(tracker, [1])
        tracker.prompt(1, 4, [PointPrompt(4, 5, 5, positive=False)])

        known = tracker._objects[1]
        known.memory.tracked.pop(4, None)
        attended = tracker._recall.attended(known, 5, known.window, reverse=False)

        assert sorted(age for age, _ in attended.spatial) == ages


def test_correction_out_of_reach_sets_out_from_the_mask_it_is_given(make_tracker, blobs):
    tracker = make_tracker()
    tracker.prompt(1, 0, [PointPrompt(0, 30, 40)])
    tracker.mark_tracked(1, [6])
    clicks = [PointPrompt(6, 5, 5, positive=False)]

    from_nothing = tracker.prompt(1, 6, clicks).best
    tracker.clear(1, 6)
    tracker.mark_tracked(1, [6])
    from_mask = tracker.prompt(1, 6, clicks, earlier=blobs[1][6] == 1).best

    assert from_nothing.logits.shape != from_mask.logits.shape or not np.array_equal(
        from_nothing.logits, from_mask.logits
    )


def test_click_after_clearing_begins_anew(make_tracker):
    tracker, fresh = make_tracker(), make_tracker()
    tracker.prompt(1, 0, [PointPrompt(0, 30, 40)])
    follow(tracker, [1])
    tracker.clear(1, 0)

    for frame in (0, 3):
        clicks = [PointPrompt(frame, 60, 90)]
        found = tracker.prompt(1, frame, clicks).best
        assert np.array_equal(found.logits, fresh.prompt(1, frame, clicks).best.logits)


def test_single_image_can_be_corrected(tiny_model):
    tracker = Tracker(tiny_model, FrameSource(np.random.default_rng(0).random((40, 50))))
    tracker.prompt(1, 0, [PointPrompt(0, 20, 20)])
    tracker.step([1], 0)

    found = tracker.prompt(1, 0, [PointPrompt(0, 20, 20), PointPrompt(0, 5, 5, positive=False)])
    assert np.isfinite(found.best.iou)
