import numpy as np
import pytest
import torch

from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.objects import Sighting
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.predictors.windows import Window
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

FRAMES = range(8)
CLOSE, ASIDE = Window(0, 0, 64, 64), Window(32, 32, 64, 64)


@pytest.fixture
def make_tracker(tiny_model, blobs):
    """Trackers over the same frames, each beginning anew."""
    source = FrameSource(blobs[0])

    def make(**options):
        return Tracker(tiny_model, source, options=TrackerOptions(**options))

    return make


def follow(tracker, ids, frames=FRAMES, *, reverse=False):
    return {frame: tracker.step(ids, frame, reverse=reverse) for frame in frames}


def assert_same(one, other, tolerance=1e-4):
    assert one.keys() == other.keys()
    for key, output in one.items():
        torch.testing.assert_close(output.logits, other[key].logits, atol=tolerance, rtol=0)
        torch.testing.assert_close(output.ious, other[key].ious, atol=tolerance, rtol=0)


def lose(tracker, frame):
    """Have the first object not found on a frame that it was tracked over."""
    sightings = tracker._objects[1].sightings
    sightings[frame] = sightings[frame]._replace(logits=torch.full((1, 1, 32, 32), -10.0))


def prompt_several(tracker, ids):
    """Objects prompted on different frames and in every way."""
    rows, columns = np.mgrid[:96, :128]
    prompts = {
        1: (0, [PointPrompt(0, 30, 40)]),
        2: (0, [BoxPrompt(0, 45, 75, 75, 105)]),
        3: (2, [MaskPrompt(2, (rows - 34) ** 2 + (columns - 40) ** 2 < 100)]),
        4: (0, [PointPrompt(0, 60, 90), PointPrompt(0, 30, 40, positive=False)]),
        5: (0, [PointPrompt(0, 10, 10)]),
    }
    for object_id in ids:
        frame, on_frame = prompts[object_id]
        tracker.prompt(object_id, frame, on_frame)


@pytest.fixture
def field(tiny_model):
    """A tracker over frames that are large beside the model's input, and masks of discs there."""
    rows, columns = np.mgrid[:300, :400]
    stack = np.random.default_rng(0).integers(0, 255, (8, 300, 400), dtype=np.uint8)
    tracker = Tracker(tiny_model, FrameSource(stack))
    for object_id, (row, column) in enumerate([(60, 60), (70, 65), (240, 330)], start=1):
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 20**2
        tracker.prompt(object_id, 0, [MaskPrompt(0, disc)])
    return tracker


def test_objects_are_looked_for_around_where_they_were(field):
    windows = [field.window(i, 0) for i in (1, 2, 3)]

    assert windows[0] == windows[1] != windows[2]
    assert all(max(window.shape) < 200 for window in windows)
    for masks in field.track([(frame, [1, 2, 3]) for frame in FRAMES]):
        for one in masks.objects:
            (rows, columns), window = one.region, field.window(one.object_id, masks.frame)
            assert window.row <= rows.start <= rows.stop <= window.row + window.height
            assert window.column <= columns.start <= columns.stop <= window.column + window.width


def test_object_that_is_gone_is_waited_for_where_it_was_last(field):
    known, aside = field._objects[1], Window(128, 192, 64, 64)
    gone = torch.full((1, 1, 32, 32), -1024.0)
    known.sightings[5] = Sighting(aside, gone, torch.tensor([[-10.0]]))

    assert field._recall.aim(known, 6, reverse=False) == aside != field.window(1, 0)


@pytest.mark.parametrize(("reverse", "expected"), [(False, CLOSE), (True, ASIDE)])
def test_window_follows_what_was_just_passed_not_an_earlier_run(field, reverse, expected):
    known = field._objects[1]
    known.prompted.clear()
    there = torch.full((1, 1, 32, 32), -8.0)
    there[..., 12:20, 12:20] = 8.0
    for frame, window in ((3, CLOSE), (5, Window(224, 304, 64, 64)), (7, ASIDE)):
        known.sightings[frame] = Sighting(window, there, torch.tensor([[10.0]]))

    assert field._recall.aim(known, 5, reverse=reverse) == expected


def test_window_follows_a_correction(field):
    rows, columns = np.mgrid[:300, :400]
    follow(field, [1])
    field.prompt(1, 4, [MaskPrompt(4, (rows - 200) ** 2 + (columns - 300) ** 2 < 400)])

    field.step([1], 5)

    window = field.window(1, 5)
    assert window.row <= 180 < 220 <= window.row + window.height
    assert window.column <= 280 < 320 <= window.column + window.width


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


def test_prompts_are_answered_whatever_their_order(make_tracker):
    tracker = make_tracker()
    beside, on = PointPrompt(0, 60, 90, positive=False), PointPrompt(0, 30, 40)
    assert not tracker.is_answered(1, 0, [on])
    tracker.prompt(1, 0, [beside, on])

    assert tracker.is_answered(1, 0, [beside, on])
    assert not tracker.is_answered(1, 0, [on])
    assert not tracker.is_answered(1, 0, [on, PointPrompt(0, 1, 1)])
    assert not tracker.is_answered(1, 1, [PointPrompt(1, 30, 40)])


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


def test_object_that_was_absent_on_the_masks_is_waited_for_where_it_was_last(field):
    before = field.window(1, 0)
    follow(field, [1], range(3))
    window = field._objects[1].window

    field.go_on_from(1, [MaskPrompt(2, np.zeros((300, 400), bool))])

    assert field._objects[1].sightings[2].window == window != field.windows.whole
    assert before != field.windows.whole


def test_whole_frames_are_looked_at_where_that_is_wanted(make_tracker):
    tracker = make_tracker(field="frame")
    prompt_several(tracker, [1, 2])
    follow(tracker, [1, 2])

    for object_id in (1, 2):
        assert {tracker.window(object_id, frame).shape for frame in FRAMES} == {(96, 128)}


@torch.inference_mode()
def test_memories_seen_through_another_window_are_as_those_made_there(make_tracker):
    moved, there = make_tracker(), make_tracker()
    for tracker, windows in ((moved, (CLOSE, ASIDE)), (there, (ASIDE,))):
        tracker.prompt(1, 0, [BoxPrompt(0, 20, 30, 45, 50)])
        known = tracker._objects[1]
        for window in windows:
            attended = tracker._recall.attended(known, 1, window, reverse=False)
        assert known.window == ASIDE
        tracker.found = attended.spatial[0][1].float()

    torch.testing.assert_close(moved.found, there.found)


@torch.inference_mode()
def test_tracked_memories_move_along_with_their_window(field):
    follow(field, [1], range(5))
    known = field._objects[1]
    before = {f: m.features for f, m in known.memory.tracked.items()}

    field._recall.attended(known, 5, Window(32, 32, 128, 128), reverse=False)

    assert before.keys() == known.memory.tracked.keys()
    for frame, memory in known.memory.tracked.items():
        seen = known.sightings[frame].through(known.window)
        expected = field.segmenter.encode(
            frame, known.window, seen, known.sightings[frame].object_score, binarize=False
        )
        torch.testing.assert_close(memory.features, expected)
        assert not torch.equal(memory.features, before[frame])


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


def test_single_image_can_be_corrected(tiny_model):
    tracker = Tracker(tiny_model, FrameSource(np.random.default_rng(0).random((40, 50))))
    tracker.prompt(1, 0, [PointPrompt(0, 20, 20)])
    tracker.step([1], 0)

    found = tracker.prompt(1, 0, [PointPrompt(0, 20, 20), PointPrompt(0, 5, 5, positive=False)])
    assert np.isfinite(found.best.iou)


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
