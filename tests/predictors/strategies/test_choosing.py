"""What every strategy must keep to, with the engine around it."""

import math

import numpy as np
import pytest
import torch
from tracker_steps import FRAMES, follow

from napari_sam2 import Session
from napari_sam2.model.sam2 import ObjectOutput
from napari_sam2.predictors.following import Followed, Follower
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.memory import FrameMemory, Note, ObjectMemory
from napari_sam2.predictors.objects import TrackedObject
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.strategies import find_strategy
from napari_sam2.predictors.strategies.latest import LatestFrames
from napari_sam2.predictors.strategies.strategy import Branch, Outlook, sure_frames
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.predictors.windows import Window
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.session import Settings

STRATEGIES = ["sam2", "sam2long", "samurai"]


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    return request.param


@pytest.fixture
def unsure_model(tiny_model):
    """As the small model, but unsure whether objects are there: pathways part."""
    with torch.no_grad():
        tiny_model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(0.5)
        tiny_model.sam_mask_decoder.pred_obj_score_head.layers[-1].weight.mul_(0.01)
    return tiny_model


@pytest.fixture
def make_tracker(unsure_model, make_tracker):
    """As everywhere, of the small model that is now unsure."""
    return make_tracker


def prompt_two(tracker):
    tracker.prompt(1, 0, [PointPrompt(0, 30, 40)])
    tracker.prompt(2, 2, [BoxPrompt(2, 45, 70, 75, 100)])


def assert_same(found, expected, tolerance=0.0):
    assert found.keys() == expected.keys()
    for key, output in found.items():
        for name in ("logits", "ious", "pointer"):
            one, other = getattr(output, name), getattr(expected[key], name)
            torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


def test_sam2s_rule_is_used_unless_told(make_tracker):
    told, untold = make_tracker(strategy="sam2"), make_tracker()
    for tracker in (told, untold):
        prompt_two(tracker)

    for frame in FRAMES:
        assert_same(told.step([1, 2], frame), untold.step([1, 2], frame))


def test_unknown_strategy_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'sam3'.*'sam2', 'sam2long', 'samurai'"):
        find_strategy("sam3")


def test_tree_has_three_accounts_where_the_network_is_unsure(make_tracker):
    tracker = make_tracker(strategy="sam2long")
    prompt_two(tracker)
    follow(tracker, [1], range(4))

    accounts = tracker._objects[1].accounts
    copies = [one.memory.tracked[3].note.copies for one in accounts]
    totals = [one.memory.tracked[3].note.total for one in accounts]
    assert len(accounts) > 1
    assert sum(copies) == 3
    assert totals == sorted(totals, reverse=True)


def test_account_that_takes_the_lead_brings_its_past_along():
    def followed(account, value):
        nothing = torch.zeros(1, 1)
        logits = torch.full((1, 1, 8, 8), value)
        output = ObjectOutput(logits, nothing, logits, nothing, nothing, nothing, nothing)
        return Followed(account, output, FrameMemory(None, torch.full((1, 8), value)))

    def pasts(known):
        return [
            [one.sightings[f].logits.mean().item() for f in sorted(one.sightings)]
            for one in known.accounts
        ]

    known, window = TrackedObject(), Window(0, 0, 32, 32)
    known.go_on(1, window, [followed(0, 1.0), followed(0, 2.0), followed(0, 3.0)])
    known.go_on(2, window, [followed(1, 4.0), followed(0, 5.0), followed(1, 6.0)])

    assert pasts(known) == [[2, 4], [1, 5], [2, 6]]
    assert [one.memory.tracked[1].pointer.mean().item() for one in known.accounts] == [2, 1, 2]


@pytest.mark.parametrize("then", ["prompted", "jump", "turn"])
def test_accounts_are_one_again(make_tracker, then):
    """After a prompt, which overrules them, and where they do not go on."""
    tracker = make_tracker(strategy="sam2long")
    tracker.prompt(1, 0, [PointPrompt(0, 30, 40)])
    follow(tracker, [1], range(4))
    if then == "prompted":
        tracker.prompt(1, 4, [PointPrompt(4, 38, 40)])
        tracker.step([1], 4)
        frame, reverse = 5, False
    else:
        frame, reverse = (6, False) if then == "jump" else (2, True)

    output = tracker.step([1], frame, reverse=reverse)[1]

    note = tracker._objects[1].memory.tracked[frame].note
    assert note.total == pytest.approx(math.log(float(output.ious) + 1e-5))


class Told:
    """A strategy that says what it is told to."""

    def __init__(self, *branches):
        self.branches = [[Branch(*pair, Note(sure=True)) for pair in one] for one in branches]

    def choose(self, before, window, decoded):
        return self.branches


@torch.inference_mode()
def test_masks_are_taken_from_the_account_and_candidate_named(make_tracker):
    tracker = make_tracker()
    prompt_two(tracker)
    follow(tracker, [1, 2], range(4))
    known, window = tracker._objects, tracker.windows.whole
    one, other = (
        Outlook(tracker._recall.attended(known[i], 4, window, reverse=False), None) for i in (1, 2)
    )
    told = Told([(0, 0)], [(1, 2), (0, 1)])

    (first,), (lead, rival) = Follower(tracker.segmenter, told, tracker.cancellation).follow(
        4, window, [[one], [one, other]]
    )

    each = [
        Follower(tracker.segmenter, LatestFrames(), tracker.cancellation).follow(4, window, [[x]])
        for x in (one, other)
    ]
    of_one, of_other = (found[0][0].output for found in each)
    for found, expected, candidate in ((first, of_one, 0), (lead, of_other, 2), (rival, of_one, 1)):
        torch.testing.assert_close(found.output.candidates, expected.candidates, atol=1e-5, rtol=0)
        assert found.output.ious == found.output.candidate_ious[:, candidate]
        assert found.memory.note.sure
    assert [found.account for found in (first, lead, rival)] == [0, 1, 0]
    assert not torch.allclose(of_one.candidates, of_other.candidates, atol=1e-5)


def test_memories_of_different_numbers_are_attended_to_together(make_tracker):
    tracker = make_tracker(strategy="sam2long")
    prompt_two(tracker)
    follow(tracker, [1, 2], range(5))
    known, window = tracker._objects, tracker.windows.whole
    with torch.inference_mode():
        attended = [
            tracker._recall.attended(known[i], frame, window, reverse=False)
            for i, frame in ((1, 5), (2, 5), (1, 5), (2, 4))
        ]
        together = tracker.segmenter.embedding(5, window, attended)
        alone = [tracker.segmenter.embedding(5, window, [one]) for one in attended]

    assert len({one.shape for one in attended}) > 1
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def test_objects_together_are_as_each_alone(make_tracker, strategy):
    together = make_tracker(strategy=strategy, max_objects=2)
    prompt_two(together)
    found = follow(together, [1, 2])

    for object_id in (1, 2):
        alone = make_tracker(strategy=strategy)
        prompt_two(alone)
        for frame, outputs in follow(alone, [object_id]).items():
            assert_same(outputs, {object_id: found[frame][object_id]}, tolerance=1e-5)


def test_cancelled_and_resumed_is_as_done_in_one_go(make_tracker, strategy):
    whole, in_parts = make_tracker(strategy=strategy), make_tracker(strategy=strategy)
    for tracker in (whole, in_parts):
        prompt_two(tracker)
    expected = follow(whole, [1, 2])

    steps = in_parts.track([(frame, [1, 2]) for frame in FRAMES])
    for _ in range(4):
        next(steps)
    steps.close()

    for frame in range(4, 8):
        assert_same(in_parts.step([1, 2], frame), expected[frame])


def test_run_over_the_same_frames_again_finds_the_same(make_tracker, strategy):
    tracker = make_tracker(strategy=strategy)
    prompt_two(tracker)
    first = follow(tracker, [1])

    again = follow(tracker, [1])

    for frame in FRAMES:
        assert_same(again[frame], first[frame])


def test_what_was_found_ahead_has_no_say_on_the_way_back(make_tracker):
    there_and_back, back = (make_tracker(strategy="sam2long") for _ in range(2))
    for tracker in (there_and_back, back):
        tracker.prompt(1, 4, [PointPrompt(4, 38, 40)])
    follow(there_and_back, [1], range(4, 8))

    expected = follow(back, [1], (3, 2, 1, 0), reverse=True)
    found = follow(there_and_back, [1], (3, 2, 1, 0), reverse=True)

    for frame in (3, 2, 1, 0):
        assert_same(found[frame], expected[frame])


def test_correction_changes_only_its_object_and_what_follows(make_tracker, strategy):
    tracker = make_tracker(strategy=strategy)
    prompt_two(tracker)
    before = follow(tracker, [1, 2])

    tracker.prompt(1, 4, [PointPrompt(4, 5, 5, positive=False)])
    after = follow(tracker, [1, 2], range(4, 8))

    assert tracker.prompted_frames(1) == [0, 4]
    for frame in range(5, 8):
        assert not torch.equal(after[frame][1].logits, before[frame][1].logits)
    assert_same({2: after[4][2]}, {2: before[4][2]}, tolerance=1e-5)


def test_what_is_kept_does_not_grow_with_the_frames(unsure_model, strategy):
    stack = np.random.default_rng(0).integers(0, 255, (60, 48, 48), dtype=np.uint8)
    options = TrackerOptions(strategy=strategy, feature_bytes=0)
    tracker = Tracker(unsure_model, FrameSource(stack), options=options)
    tracker.prompt(1, 0, [PointPrompt(0, 20, 20)])

    sizes = []
    for frame in range(60):
        tracker.step([1], frame)
        accounts = tracker._objects[1].accounts
        tracked = [m for one in accounts for m in one.memory.tracked.values()]
        whole = sum(m.features is not None for m in tracked) / len(accounts)
        sizes.append((len(tracked) / len(accounts), whole))
        for one in accounts:
            assert {f for f, m in one.memory.tracked.items() if m.features is not None} == set(
                one.sightings
            )

    most = np.max(sizes, axis=0)
    assert (most == np.max(sizes[:40], axis=0)).all()


def test_memory_horizon_does_not_change_results(make_tracker, strategy, monkeypatch):
    pruned, hoarding = make_tracker(strategy=strategy), make_tracker(strategy=strategy)
    for tracker in (pruned, hoarding):
        prompt_two(tracker)
    expected = follow(pruned, [1, 2])

    monkeypatch.setattr("napari_sam2.predictors.objects.TrackedObject.keep_near", lambda *_: None)
    found = follow(hoarding, [1, 2])

    for frame in FRAMES:
        assert_same(found[frame], expected[frame])


def test_memories_from_afar_move_along_with_the_window(unsure_model, strategy):
    rows, columns = np.mgrid[:300, :400]
    stack = np.random.default_rng(0).integers(0, 255, (12, 300, 400), dtype=np.uint8)
    options = TrackerOptions(strategy=strategy)
    tracker = Tracker(unsure_model, FrameSource(stack), options=options)
    tracker.prompt(1, 0, [MaskPrompt(0, (rows - 60) ** 2 + (columns - 60) ** 2 < 20**2)])

    for masks in tracker.track([(frame, [1]) for frame in range(12)]):
        known = tracker._objects[1]
        assert masks.mask(1).shape == (300, 400)
        assert len({one.window for one in known.accounts}) == 1
        for one in known.accounts:
            whole = [m for m in one.memory.tracked.values() if m.features is not None]
            assert len({m.features.shape for m in whole}) <= 1
            assert strategy == "sam2" or all(m.note for m in whole)


def test_session_follows_by_the_strategy_of_its_settings(unsure_model, blobs):
    ious = []
    for name in STRATEGIES:
        settings = Settings(precision="float32", tracker=TrackerOptions(strategy=name))
        session = Session(blobs[0], unsure_model, settings=settings)
        session.add_points(session.add_object(), 0, [[30, 40]])
        found = list(session.propagate())
        assert [masks.frame for masks in found] == list(FRAMES)
        ious.append([masks.objects[0].iou for masks in found])

    assert ious[0][:2] == ious[1][:2]  # one memory has no rank among others
    assert ious[0] != ious[1]


def noted(sure):
    return FrameMemory(torch.zeros(1, 4, 2, 2), torch.zeros(1, 8), Note(sure))


def remembered(prompted, unsure=(), frames=range(20)):
    tracked = {f: noted(f not in unsure) for f in frames if f not in prompted}
    return ObjectMemory({f: noted(sure=True) for f in prompted}, tracked)


def test_sure_frames_are_the_nearest_before():
    known = remembered(prompted=(0,), unsure=(4, 5))

    assert sure_frames(known, 8, reverse=False) == [7, 6, 3, 2, 1]


def test_frame_just_before_counts_however_unsure():
    known = remembered(prompted=(0,), unsure=(6, 7))

    assert sure_frames(known, 8, reverse=False) == [7, 5, 4, 3, 2, 1]


def test_prompt_overrules_what_was_found_before_it():
    known = remembered(prompted=(0, 4, 12))

    assert sure_frames(known, 8, reverse=False) == [7, 6, 5]
    assert sure_frames(known, 8, reverse=True) == [9, 10, 11]


def test_frames_without_notes_are_not_relied_on():
    known = remembered(prompted=(0,))
    known.tracked[5] = FrameMemory(torch.zeros(1, 4, 2, 2), torch.zeros(1, 8))

    assert sure_frames(known, 8, reverse=False) == [7, 6, 4, 3, 2, 1]
