import math

import pytest
import torch

from napari_sam2.model.mask_decoder import DecodedMasks
from napari_sam2.predictors.memory import FrameMemory, ObjectMemory, collate
from napari_sam2.predictors.strategies.tree import MemoryTree, PathwayNote, weigh
from napari_sam2.predictors.windows import Window

WINDOW = Window(0, 0, 128, 128)
SURE, UNSURE, GONE = 10.0, 1.0, -10.0


def decoded(ious, scores):
    """Candidates of as many accounts as there are rows of predicted IoUs."""
    ious = torch.tensor(ious)
    logits, tokens = torch.zeros(len(ious), 3, 8, 8), torch.zeros(len(ious), 3, 8)
    return DecodedMasks(logits, ious, tokens, torch.tensor(scores)[:, None])


def pathway(total, copies=1):
    return PathwayNote(sure=True, object_score=10.0, total=total, copies=copies)


def grow(notes, ious, scores):
    (branches,) = MemoryTree().choose([notes], WINDOW, decoded(ious, scores))
    return branches


def taken(branches):
    return [(one.account, one.candidate, one.note.copies) for one in branches]


def test_three_pathways_stay_one_where_the_network_is_sure():
    branches = grow([None], [[0.3, 0.9, 0.8]], [SURE])

    assert taken(branches) == [(0, 1, 3)]


def test_pathways_part_where_the_network_is_unsure():
    branches = grow([None], [[0.3, 0.9, 0.8]], [UNSURE])

    assert taken(branches) == [(0, 1, 1), (0, 2, 1), (0, 0, 1)]


def test_branches_alike_in_two_digits_are_one_where_the_network_is_unsure():
    branches = grow([None], [[0.301, 0.304, 0.9]], [UNSURE])

    # The best two that differ, and the best again for a pathway that would be left without.
    assert taken(branches) == [(0, 2, 2), (0, 1, 1)]


def test_highest_sums_of_all_branches_go_on():
    totals = [-0.1, -0.5, -2.0]
    ious = [[0.2, 0.5, 0.1], [0.9, 0.7, 0.1], [0.99, 0.1, 0.1]]
    sums = sorted(
        (total + math.log(iou + 1e-5), account, candidate)
        for account, total in enumerate(totals)
        for candidate, iou in enumerate(ious[account])
    )[::-1]

    branches = grow([pathway(total) for total in totals], ious, [SURE] * 3)

    assert taken(branches) == [(account, candidate, 1) for _, account, candidate in sums[:3]]
    assert [one.note.total for one in branches] == pytest.approx([one[0] for one in sums[:3]])
    assert taken(branches) == [(1, 0, 1), (0, 1, 1), (1, 1, 1)]


def test_pathways_that_are_the_same_count_as_often_as_they_are():
    # Twice the first one's best, then its second best, twice, before the other's best.
    ious = [[0.9, 0.8, 0.1], [0.7, 0.1, 0.1]]
    branches = grow([pathway(0.0, copies=2), pathway(0.0)], ious, [SURE] * 2)

    assert taken(branches) == [(0, 0, 2), (0, 1, 1)]


def test_one_sure_pathway_is_enough_to_be_sure():
    ious = [[0.9, 0.1, 0.1], [0.9, 0.1, 0.1], [0.9, 0.1, 0.1]]

    sure = grow([pathway(0.0)] * 3, ious, [UNSURE, UNSURE, SURE])
    unsure = grow([pathway(0.0)] * 3, ious, [UNSURE, -UNSURE, UNSURE])

    assert taken(sure) == [(0, 0, 1), (1, 0, 1), (2, 0, 1)]
    # The object on the frame or not on it are different answers of the same predicted IoU.
    assert taken(unsure) == [(0, 0, 1), (1, 0, 1), (0, 1, 1)]


def test_wrong_turn_is_given_up_where_the_best_mask_leads_astray():
    """A frame like an occlusion: the best mask is another object's, and no good afterwards."""
    accounts, history = [None], [()]
    astray, object_ = 0, 1
    for frame in range(6):
        if frame == 0:
            ious, scores = [[0.6, 0.55, 0.1]], [UNSURE]
        else:
            ious = [[0.9 if path[0] == object_ else 0.2, 0.1, 0.05] for path in history]
            scores = [SURE] * len(history)
        branches = grow(accounts, ious, scores)
        accounts = [one.note for one in branches]
        history = [(*history[one.account], one.candidate) for one in branches]
        if frame == 0:
            assert history[0] == (astray,)  # as SAM 2's rule has it

    assert history[0] == (object_, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("iou", "score", "sure"), [(0.11, 0.1, True), (0.09, 0.1, False), (0.9, GONE, False)]
)
def test_frame_is_remembered_if_the_mask_is_not_bad_and_the_object_there(iou, score, sure):
    assert grow([None], [[iou, 0.01, 0.01]], [score])[0].note.sure is sure


def test_objects_are_divided_as_their_accounts_follow_each_other():
    notes = [[None], [pathway(-1.0, 2), pathway(-0.1)], [None]]
    ious = [[0.9, 0.1, 0.1], [0.5, 0.1, 0.1], [0.1, 0.5, 0.1], [0.1, 0.1, 0.9]]

    first, second, third = MemoryTree().choose(notes, WINDOW, decoded(ious, [SURE] * 4))

    assert taken(first) == [(0, 0, 3)]
    assert taken(second)[0] == (1, 1, 1)
    assert taken(third) == [(0, 2, 3)]


def test_memories_are_weighed_by_the_rank_of_their_scores():
    assert weigh([10.0, 3.0, 5.0]) == pytest.approx([1.05, 0.95, 1.0])
    assert weigh([10.0]) == [1.0]
    assert weigh([]) == []


def memory(frame, score):
    note = PathwayNote(sure=score > 0, object_score=score, total=0.0, copies=3)
    value = float(frame)
    return FrameMemory(torch.full((1, 4, 2, 2), value), torch.full((1, 8), value), note)


def test_attends_to_sure_frames_with_weights_of_each():
    tracked = {
        frame: memory(frame, score=-1.0 if frame in {6, 9} else frame) for frame in (5, 6, 7)
    }
    tracked |= {frame: memory(frame, score=-1.0) for frame in (8, 9)}
    known = ObjectMemory({4: memory(4, 1.0)}, tracked)

    attended = MemoryTree().attended(known, 10, reverse=False, n_frames=30)

    frames = [(age, int(features[0, 0, 0, 0])) for age, features in attended.spatial]
    assert frames == [(0, 4), (1, 9), (2, 7), (3, 5)]
    assert [(age, int(p[0, 0])) for age, p in attended.pointers] == [(6, 4), (1, 9), (2, 7), (3, 5)]
    in_order = [1.05, 0.95, 0.95 + 0.2 / 3, 0.95 + 0.1 / 3]
    assert attended.weights == pytest.approx([*in_order, *in_order])


@torch.inference_mode()
def test_weights_are_of_keys_alone(tiny_model):
    known = ObjectMemory({0: tiny_memory(0)}, {frame: tiny_memory(frame) for frame in (1, 2)})
    attended = MemoryTree().attended(known, 3, reverse=False, n_frames=9)
    memories = collate([attended], 9, 32, torch.device("cpu"))

    values, positions, _ = tiny_model._memory_tokens(memories)
    plain, places, _ = tiny_model._memory_tokens(memories._replace(key_weights=None))

    # 64 tokens a frame, then 2 a pointer; prompted first, and heaviest.
    each = torch.tensor([1.05, 0.95, 1.0]).repeat_interleave(64)
    each = torch.cat((each, torch.tensor([1.05, 0.95, 1.0]).repeat_interleave(2)))
    assert torch.equal(values, plain)
    torch.testing.assert_close(values + positions, each[None, :, None] * (plain + places))


def tiny_memory(frame):
    note = PathwayNote(sure=True, object_score=10.0 - frame, total=0.0, copies=3)
    generator = torch.Generator().manual_seed(frame)
    features = torch.randn(1, 16, 8, 8, generator=generator)
    return FrameMemory(features, torch.randn(1, 32, generator=generator), note)
