"""What corrections make of an object, how true predictions are, and what is found worst."""

import numpy as np
import pytest
from skimage.io import imread

from napari_sam2.evaluation import report
from napari_sam2.evaluation.correcting import Corrector, next_click
from napari_sam2.evaluation.datasets import AnnotatedFrame
from napari_sam2.evaluation.everything import score_everything, segmentation_accuracy
from napari_sam2.evaluation.pictures import TRUTH, take_picture
from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.evaluation.segmentation import ObjectScore, Worst, score_frames
from napari_sam2.predictors.frames import View
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt, Candidates, MaskPrompt, ObjectMask


@pytest.fixture
def frame(blobs):
    return AnnotatedFrame("blobs", blobs[0][0], blobs[1][0], View(contrast_limits=(0, 255)))


@pytest.fixture
def answers(monkeypatch):
    """Have the tracker answer with the given masks, one after another; gives what it was asked."""

    def begin(masks):
        asked = []

        def prompt(self, object_id, frame, prompts):
            mask = masks[min(len(asked), len(masks) - 1)]
            asked.append(list(prompts))
            return Candidates(0, mask.shape, (ObjectMask.given(1, MaskPrompt(0, mask)),))

        monkeypatch.setattr(Tracker, "prompt", prompt)
        return asked

    return begin


def square(rows, columns, shape=(96, 128)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


def test_next_click_is_in_the_middle_of_the_largest_error():
    (target,) = find_targets(square(slice(20, 50), slice(20, 60)).astype(int))

    missing = next_click(target, square(slice(20, 50), slice(20, 41)))
    assert missing.positive
    assert 25 <= missing.row <= 45
    assert 46 <= missing.column <= 54
    too_much = next_click(target, square(slice(20, 90), slice(20, 60)))
    assert not too_much.positive
    assert too_much.row > 60


def test_box_is_corrected_by_three_clicks_and_no_more(answers, tiny_model, frame):
    target, _ = find_targets(frame.labels)
    asked = answers([np.zeros((96, 128), bool)])

    Corrector(ImagePredictor(tiny_model), frame).correct(target)

    with_box = [prompts for prompts in asked if isinstance(prompts[0], BoxPrompt)]
    assert [len(prompts) for prompts in with_box] == [1, 2, 3, 4]
    assert [len(prompts) for prompts in asked[4:]] == list(range(1, 11))


@pytest.mark.parametrize(("good_after", "clicks"), [(1, 1), (4, 4), (10, 10), (11, 11)])
def test_clicks_are_counted_until_the_mask_is_good(answers, tiny_model, frame, good_after, clicks):
    target, _ = find_targets(frame.labels)
    truth, nothing = frame.labels == target.object_id, np.zeros((96, 128), bool)
    answers([truth, *[nothing] * (good_after - 1), truth])  # the first is the box's

    corrected = Corrector(ImagePredictor(tiny_model), frame).correct(target)

    assert corrected.iou == 1
    assert corrected.clicks == clicks


def test_corrections_are_of_the_model_itself(tiny_model, frame):
    scores = list(score_frames(ImagePredictor(tiny_model), [frame], correct=True))

    assert all(0 <= one.corrected <= 1 and 1 <= one.clicks <= 11 for one in scores)


def score(**values):
    known = {"image": "a", "object_id": 1, "area": 9, "click": 0.5, "click_best": 0.5, "box": 0.5}
    known |= {"click_predicted": 0.5, "box_predicted": 0.5, "otsu_click": 0, "otsu_box": 0}
    return ObjectScore(**known | values)


def test_summary_tells_how_far_predictions_are_off_and_how_many_clicks_it_takes():
    scores = [
        score(click=0.9, click_predicted=0.5, corrected=0.75, clicks=2),
        score(box=0.5, box_predicted=0.7, corrected=0.85, clicks=11),
        score(corrected=0.8, clicks=3),
    ]

    of = {title: column(scores) for title, column in report.COLUMNS.items()}
    assert of["prediction off by"] == pytest.approx((0.4 + 0.2) / 6)
    assert of["box + 3 clicks"] == pytest.approx(0.8)
    assert of["clicks to 0.8"] == 3
    assert len(report.summary("set", scores)) == len(report.HEADER)
    assert " - " in report.summary("set", [score()])


def test_accuracy_counts_what_was_missed_and_what_was_made_up():
    truth = np.zeros((40, 40), int)
    truth[2:12, 2:12], truth[20:30, 20:30] = 7, 3
    assert segmentation_accuracy(truth, truth) == 1
    assert segmentation_accuracy(np.where(truth == 7, 1, 0), truth) == pytest.approx(1 / 2)
    made_up = truth.copy()
    made_up[35:38, 2:8] = 9
    assert segmentation_accuracy(made_up, truth) == pytest.approx(2 / 3)


def test_accuracy_is_the_mean_over_thresholds():
    truth, found = np.zeros((20, 20), int), np.zeros((20, 20), int)
    truth[:10, :10], found[:10, :7] = 1, 1  # IoU 0.7: beyond 0.5 to 0.65

    assert segmentation_accuracy(found, truth) == pytest.approx(4 / 10)


def test_nothing_where_there_is_nothing_is_right():
    nothing = np.zeros((20, 20), int)

    assert segmentation_accuracy(nothing, nothing) == 1
    assert segmentation_accuracy(nothing + 1, nothing) == 0


def test_everything_is_scored_with_the_thresholds_that_suit_the_model(tiny_model, frame):
    assert 0 <= score_everything(ImagePredictor(tiny_model), frame) <= 1


def test_worst_objects_are_kept_the_worst_first(frame):
    target, _ = find_targets(frame.labels)
    pixels = np.zeros((96, 128, 3))
    worst = Worst(2)
    for column in (42, 28, 50, 34):
        found = square(slice(16, 45), slice(26, column))
        picture = take_picture(str(column), pixels, target, found)
        worst.see(picture.iou, lambda one=picture: one)

    assert [one.title for one in worst.pictures] == ["28", "34"]


def test_picture_has_a_row_a_set(tmp_path, frame):
    target, _ = find_targets(frame.labels)
    one = take_picture("one", np.zeros((96, 128, 3)), target, frame.labels == 1)
    report.write_worst(tmp_path / "worst.png", {"a": [one, one], "b": [one]})

    sheet = imread(tmp_path / "worst.png")
    assert sheet.shape == (2 * 192 + 6, 2 * 192 + 6, 4)
    assert sheet[..., 3].any(axis=0)[200:].any()
    assert not sheet[200:, 200:, 3].any()
    assert (sheet[:192, :192, :3] == TRUTH).all(axis=-1).any()
