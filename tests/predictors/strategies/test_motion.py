import numpy as np
import pytest
import torch

from napari_sam2.model.mask_decoder import DecodedMasks, best_index
from napari_sam2.predictors.memory import FrameMemory, Note, ObjectMemory
from napari_sam2.predictors.strategies.kalman import BoxMotion, box_iou
from napari_sam2.predictors.strategies.motion import STABLE_FRAMES, MotionAware
from napari_sam2.predictors.windows import Extent, Window

WINDOW = Window(0, 0, 128, 128)


def box_at(row, column, height=20, width=20):
    half_height, half_width = (height - 1) / 2, (width - 1) / 2
    return Extent(row - half_height, column - half_width, row + half_height, column + half_width)


def decoded(masks, ious, object_score=10.0):
    """One object's candidates: masks (3, 32, 32) as logits."""
    logits = torch.where(torch.as_tensor(np.stack(masks)), 5.0, -5.0)[None]
    tokens = torch.zeros(1, 3, 8)
    return DecodedMasks(logits, torch.tensor([ious]), tokens, torch.tensor([[object_score]]))


def square(row, column):
    mask = np.zeros((32, 32), dtype=bool)
    mask[row : row + 5, column : column + 5] = True
    return mask


def passing(frame):
    """An object that moves right, and one like it that stays; the network offers both."""
    moving, resting = square(8, frame), square(24, 20)
    return [moving, resting, moving | resting]


def follow(strategy, frames, note=None):
    """Choose frame after frame; give the candidates taken, and the last note."""
    taken = []
    for candidates in frames:
        ((branch,),) = strategy.choose([[note]], WINDOW, candidates)
        taken.append(branch.candidate)
        note = branch.note
    return taken, note


def test_box_in_motion_is_expected_where_it_goes():
    motion = BoxMotion.begin(box_at(40, 40))
    for frame in range(1, 30):
        motion = motion.predict().update(box_at(40 + 3 * frame, 40 - 2 * frame, 20 + frame))

    assert motion.predict().box == pytest.approx(box_at(130, -20, 50), abs=0.5)


def test_first_measurement_counts_as_its_noise_allows():
    # Variances at size 20: position 4 + 1.5625 of the velocity + 1 from frame to frame, against
    # 1 of the measurement.
    motion = BoxMotion.begin(box_at(40, 40)).predict().update(box_at(42, 40))

    assert motion.mean[0, 0] == pytest.approx(40 + 2 * 6.5625 / 7.5625)
    assert motion.mean[0, 1] == pytest.approx(2 * 1.5625 / 7.5625)
    assert motion.covariance[0, 0, 0] == pytest.approx(6.5625 / 7.5625)
    assert motion.mean[1:, 1] == pytest.approx([0, 0, 0])


def test_overlap_of_boxes_counts_pixels():
    assert box_iou(Extent(0, 0, 3, 3), Extent(2, 2, 5, 5)) == pytest.approx(4 / 28)
    assert box_iou(Extent(0, 0, 3, 3), Extent(4, 0, 7, 3)) == 0


def test_object_is_kept_where_the_best_mask_is_of_another_one():
    surer = [0.85, 0.9, 0.3]  # 0.15 * 1 + 0.85 * 0.85 against 0.85 * 0.9
    frames = [decoded(passing(frame), [0.9, 0.5, 0.3]) for frame in range(STABLE_FRAMES + 1)]
    frames += [decoded(passing(frame), surer) for frame in range(STABLE_FRAMES + 1, 25)]

    taken, _ = follow(MotionAware(), frames)

    assert [int(best_index(one.ious)) for one in frames[-5:]] == [1] * 5
    assert taken == [0] * len(frames)


def test_motion_has_no_say_before_it_is_known():
    frames = [decoded(passing(frame), [0.9, 0.5, 0.3]) for frame in range(STABLE_FRAMES - 1)]

    taken, _ = follow(MotionAware(), [*frames, decoded(passing(14), [0.85, 0.9, 0.3])])

    assert taken[-1] == 1


@pytest.mark.parametrize(("iou", "score"), [(0.29, 10.0), (0.9, -1.0)])
def test_motion_is_learned_anew_after_a_poor_frame(iou, score):
    frames = [decoded(passing(frame), [0.9, 0.5, 0.3]) for frame in range(20)]
    frames.append(decoded(passing(20), [iou, 0.1, 0.1], score))

    _, note = follow(MotionAware(), frames)
    (taken,), _ = follow(MotionAware(), [decoded(passing(21), [0.85, 0.9, 0.3])], note)

    assert note.motion is None
    assert taken == 1


@pytest.mark.parametrize(
    ("iou", "score", "sure"),
    [(0.51, 0.1, True), (0.5, 0.1, False), (0.9, -0.1, False), (0.9, 0.0, False)],
)
def test_frame_is_remembered_if_the_mask_is_good_and_the_object_there(iou, score, sure):
    _, note = follow(MotionAware(), [decoded(passing(0), [iou, 0.1, 0.1], score)])

    assert note.sure is sure


def test_frame_is_not_remembered_if_the_object_is_not_where_it_should_be():
    frames = [decoded(passing(frame), [0.9, 0.1, 0.1]) for frame in range(20)]

    _, note = follow(MotionAware(), [*frames, decoded(passing(20), [0.1, 0.9, 0.1])])

    assert note.sure is False


def test_unsure_frames_are_passed_over_but_for_the_last():
    def memory(frame):
        value = float(frame)
        note = Note(sure=frame not in {8, 9, 11, 19})
        return FrameMemory(torch.full((1, 4, 2, 2), value), torch.full((1, 8), value), note)

    known = ObjectMemory({0: memory(0)}, {frame: memory(frame) for frame in range(1, 20)})
    attended = MotionAware().attended(known, 20, reverse=False, n_frames=30)

    frames = [(age, int(features[0, 0, 0, 0])) for age, features in attended.spatial]
    assert frames == [(0, 0), (1, 19), (2, 18), (3, 17), (4, 16), (5, 15), (6, 14)]
    assert [age for age, _ in attended.pointers] == [20, *range(1, 16)]
