import csv
import shutil

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_sam2.evaluation import report
from napari_sam2.evaluation.baseline import OtsuBaseline
from napari_sam2.evaluation.datasets import Sequence, find_sequences, read_frames
from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.evaluation.segmentation import score_frames
from napari_sam2.evaluation.tracking import score_tracking
from napari_sam2.predictors.image import ImagePredictor
from napari_sam2.predictors.tracker import Tracker


@pytest.fixture
def images_folder(tmp_path, blobs):
    """The layout of single images, three of them."""
    images, labels = blobs
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for frame in range(3):
        imsave(tmp_path / "images" / f"image{frame}.png", images[frame], check_contrast=False)
        tifffile.imwrite(tmp_path / "labels" / f"image{frame}.tif", labels[frame])
    return tmp_path


@pytest.fixture
def sequence_folder(tmp_path, blobs):
    """The layout of sequences, in a subfolder."""
    folder = tmp_path / "01"
    folder.mkdir()
    tifffile.imwrite(folder / "images.tif", blobs[0])
    tifffile.imwrite(folder / "labels.tif", blobs[1])
    return tmp_path


def test_click_is_the_middle_of_the_object_and_box_its_extent(blobs):
    first, second = find_targets(blobs[1][0])

    assert first.click == (30, 40)
    assert first.box == (16, 26, 44, 54)
    assert second.object_id == 2


def test_click_lies_on_a_hollow_object():
    labels = np.zeros((40, 40), int)
    labels[5:35, 5:35] = 4
    labels[12:35, 12:35] = 0
    (target,) = find_targets(labels)

    row, column = map(int, target.click)
    assert labels[row, column] == 4


def test_iou_counts_what_lies_outside_too():
    labels = np.zeros((10, 10), int)
    labels[2:4, 2:4] = 1
    (target,) = find_targets(labels)
    found = np.zeros((10, 10), bool)
    found[2:4, 3:7] = True

    assert target.iou(found) == pytest.approx(2 / 10)


def test_specks_are_not_asked_for():
    labels = np.diag([1, 2, 3])

    assert find_targets(labels, min_area=2) == []


@pytest.mark.parametrize("inverted", [False, True])
def test_otsu_finds_clear_objects_bright_or_dark(blobs, inverted):
    image = 255 - blobs[0][0] if inverted else blobs[0][0]
    baseline = OtsuBaseline(image)

    for target in find_targets(blobs[1][0]):
        assert target.iou(baseline.click(target)) == 1
        assert target.iou(baseline.box(target)) == 1


def test_otsu_takes_an_even_image(blobs):
    baseline = OtsuBaseline(np.zeros((96, 128)))

    assert find_targets(blobs[1][0])[0].iou(baseline.click(find_targets(blobs[1][0])[0])) < 0.2


def test_images_are_read_with_their_labels(images_folder, blobs):
    frames = list(read_frames(images_folder))

    assert [frame.name for frame in frames] == ["image0", "image1", "image2"]
    assert np.array_equal(frames[1].image, blobs[0][1])
    assert np.array_equal(frames[1].labels, blobs[1][1])


def test_only_the_images_asked_for_are_read(images_folder):
    frames = read_frames(images_folder, only=frozenset({"image2"}))

    assert [frame.name for frame in frames] == ["image2"]


def test_sequences_are_found_below_and_sampled_evenly(sequence_folder):
    assert [s.name for s in find_sequences(sequence_folder)] == ["01"]
    frames = list(read_frames(sequence_folder, per_sequence=3))

    assert [frame.name for frame in frames] == ["01/0", "01/4", "01/7"]
    assert len({frame.view for frame in frames}) == 1, "one contrast for all frames"


def test_every_object_of_every_image_is_scored(tiny_model, images_folder):
    scores = list(score_frames(ImagePredictor(tiny_model), read_frames(images_folder)))

    assert [(s.image, s.object_id) for s in scores] == [
        (f"image{frame}", number) for frame in range(3) for number in (1, 2)
    ]
    assert all(s.click <= s.click_best for s in scores)
    assert all(s.otsu_click == 1 for s in scores)


def test_whole_takes_all_labels_for_one_object(tiny_model, sequence_folder):
    options = report.EvaluationOptions(whole=True, frames=2)
    scores = list(report.segmentation_scores(ImagePredictor(tiny_model), sequence_folder, options))

    assert [s.object_id for s in scores] == [1, 1]


def test_labels_of_another_shape_than_their_image_are_named(images_folder, sequence_folder, blobs):
    tifffile.imwrite(images_folder / "labels" / "image1.tif", blobs[1][0, :50])
    with pytest.raises(ValueError, match=r"image1 is of shape \(96, 128\), .* \(50, 128\)"):
        list(read_frames(images_folder))
    tifffile.imwrite(sequence_folder / "01" / "labels.tif", blobs[1][:5])
    with pytest.raises(ValueError, match=r"01 is of shape \(8, 96, 128\)"):
        find_sequences(sequence_folder)[0].read()


def test_folder_without_annotations_says_what_was_expected(tiny_model, tmp_path):
    with pytest.raises(ValueError, match="expected images/ beside labels/"):
        list(
            report.segmentation_scores(
                ImagePredictor(tiny_model), tmp_path, report.EvaluationOptions()
            )
        )


def test_set_that_is_torn_while_it_is_measured_holds_up_no_other(
    tiny_model, images_folder, tmp_path
):
    sets = [shutil.copytree(images_folder, tmp_path / name) for name in ("one", "other")]
    options = report.EvaluationOptions(everything=True, only=frozenset({"image0"}))
    results, lines = report.Report(), []

    for line in report.measure(ImagePredictor(tiny_model), sets, options, results):
        lines.append(line)
        if line.startswith(str(sets[1])):  # both were prompted by then
            (sets[0] / "labels" / "image0.tif").write_text("torn")

    assert len(results.failures) == 1
    assert results.failures[0].startswith(f"{sets[0]}, everything: ")
    assert lines[-1].startswith(f"{sets[1]} ")
    assert "1 images: mSA" in lines[-1]


def test_tracking_is_scored_where_there_is_truth(tiny_model, sequence_folder, blobs):
    labels = blobs[1].copy()
    labels[3][labels[3] == 2] = 0  # not annotated there
    tifffile.imwrite(sequence_folder / "01" / "labels.tif", labels)
    (sequence,) = find_sequences(sequence_folder)

    scores = list(score_tracking(ImagePredictor(tiny_model), sequence, 5))

    assert sorted((s.frame, s.object_id) for s in scores) == sorted(
        (frame, number) for frame in range(1, 6) for number in (1, 2) if (frame, number) != (3, 2)
    )
    assert isinstance(sequence, Sequence)


def test_objects_annotated_longest_are_followed_as_far_as_they_are(
    tiny_model, sequence_folder, blobs, monkeypatch
):
    labels = blobs[1].copy()
    labels[4:][labels[4:] == 1] = 0
    labels[0, 90:, :30] = 3  # on the first frame alone
    tifffile.imwrite(sequence_folder / "01" / "labels.tif", labels)
    (sequence,) = find_sequences(sequence_folder)
    visited = []
    monkeypatch.setattr(
        Tracker, "step", lambda _, ids, frame, **__: visited.append((frame, *ids)) or {}
    )

    scores = list(score_tracking(ImagePredictor(tiny_model), sequence, 5, max_objects=2))

    assert scores == []
    assert visited == [(0, 2, 1), (1, 2, 1), (2, 2, 1), (3, 2, 1), (4, 2), (5, 2)]


def test_objects_are_followed_by_the_strategy_asked_for(tiny_model, sequence_folder):
    (sequence,) = find_sequences(sequence_folder)
    options = report.EvaluationOptions(tracked=5, strategy="sam2long")

    (line,) = report.tracking_summary(ImagePredictor(tiny_model), sequence_folder, options)
    scores = list(score_tracking(ImagePredictor(tiny_model), sequence, 5, strategy="sam2long"))

    assert line.endswith(f"mean IoU {np.mean([score.iou for score in scores]):.3f}")


def test_scores_are_written_for_every_object(tiny_model, images_folder, tmp_path):
    scores = list(score_frames(ImagePredictor(tiny_model), read_frames(images_folder)))
    report.write_scores(tmp_path / "scores.csv", {"blobs": scores})

    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert float(rows[0]["click"]) == scores[0].click
    assert rows[0]["set"] == "blobs"
    assert f"{np.mean([s.box for s in scores]):.3f}" in report.summary("blobs", scores)
