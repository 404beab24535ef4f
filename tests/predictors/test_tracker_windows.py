"""Objects are looked for in windows, which follow them."""

import numpy as np
import pytest
import torch
from tracker_steps import FRAMES, follow, prompt_several

from napari_sam2.predictors.objects import Sighting
from napari_sam2.predictors.windows import Window
from napari_sam2.prompts import BoxPrompt, MaskPrompt

CLOSE, ASIDE = Window(0, 0, 64, 64), Window(32, 32, 64, 64)


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
