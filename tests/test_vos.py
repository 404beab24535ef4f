"""Masks of first frames in, masks of whole videos out."""

import numpy as np
import pytest
from PIL import Image

from napari_sam2.cli import main
from napari_sam2.evaluation.mask_files import MaskFolder
from napari_sam2.predictors.meta.video import SAM2VideoPredictor
from napari_sam2.vos import VosOptions, segment_video


@pytest.fixture
def predictor(tiny_model):
    return SAM2VideoPredictor(tiny_model)


@pytest.fixture
def frames(tmp_path, blobs):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(blobs[0]):
        Image.fromarray(frame).save(folder / f"{number:05d}.jpg", quality=95)
    return folder


@pytest.fixture
def give(tmp_path, blobs):
    """Masks of chosen objects on chosen frames, as one picture a frame unless told."""

    def give(frames_of, *, per_object=False):
        folder = MaskFolder(tmp_path / "masks")
        for frame in sorted({frame for chosen in frames_of.values() for frame in chosen}):
            labels = blobs[1][frame]
            masks = {i: labels == i for i, chosen in frames_of.items() if frame in chosen}
            folder.write(f"{frame:05d}", masks, labels.shape, per_object=per_object)
        return folder.path

    return give


def run(predictor, frames, masks, **options):
    out = frames.parent / "out"
    names = list(segment_video(predictor, frames, masks, out, VosOptions(**options)))
    return names, MaskFolder(out)


@pytest.mark.parametrize("per_object", [False, True], ids=["one picture", "of each object"])
def test_every_frame_is_written_in_the_layout_that_was_given(predictor, frames, give, per_object):
    given = give({1: [0], 2: [0]}, per_object=per_object)
    names, out = run(predictor, frames, given)

    assert names == [f"{frame:05d}" for frame in range(8)]
    assert out.per_object is per_object
    first, masks = out.read("00000"), MaskFolder(given).read("00000")
    for number in (1, 2):
        union = (first[number] | masks[number]).sum()
        assert (first[number] & masks[number]).sum() > 0.8 * union


def test_results_are_those_of_the_predictor(predictor, frames, give):
    given = give({1: [0], 2: [0]}, per_object=True)
    _, out = run(predictor, frames, given)

    state = predictor.init_state(frames)
    for number, mask in MaskFolder(given).read("00000").items():
        predictor.add_new_mask(state, 0, number, mask)
    for frame, ids, logits in predictor.propagate_in_video(state):
        masks = out.read(f"{frame:05d}")
        for number, one in zip(ids, logits, strict=True):
            assert np.array_equal(masks[number], one[0].numpy() > 0)


def test_objects_that_appear_later_begin_there_and_change_nothing_before(predictor, frames, give):
    _, alone = run(predictor, frames, give({1: [0]}, per_object=True))
    before = [alone.read(f"{frame:05d}")[1] for frame in range(8)]
    _, both = run(predictor, frames, give({1: [0], 2: [3]}, per_object=True), appear_later=True)

    found = [both.read(f"{frame:05d}") for frame in range(8)]
    assert [masks[2].any() for masks in found[:4]] == [False, False, False, True]
    assert all(np.array_equal(masks[1], one) for masks, one in zip(found, before, strict=True))


def test_only_the_first_mask_counts_unless_all_are_wanted(predictor, frames, give):
    given = give({1: [0, 4]}, per_object=True)
    truth = MaskFolder(given).read("00004")[1]

    def fit(**options):
        found = run(predictor, frames, given, **options)[1].read("00004")[1]
        return (found & truth).sum() / (found | truth).sum()

    assert fit() < 0.5 < 0.8 < fit(every_mask=True)


def test_object_that_appears_later_is_named_unless_that_is_well(predictor, frames, give):
    given = give({1: [0], 2: [3]})
    with pytest.raises(ValueError, match=r"objects \[2\] appear after the first frame"):
        run(predictor, frames, given, every_mask=True)


def test_first_frame_without_masks_asks_whether_objects_appear_later(predictor, frames, give):
    with pytest.raises(ValueError, match="on the first frame; may objects appear later"):
        run(predictor, frames, give({1: [2]}))


@pytest.fixture
def tiny_options(tiny_files):
    config, weights = tiny_files
    return ["--config", str(config), "--checkpoint", str(weights), "--device", "cpu"]


def test_command_follows_all_videos_and_scores_them(
    tmp_path, frames, give, blobs, tiny_options, capsys
):
    videos, masks, out = (tmp_path / name for name in ("videos", "given", "results"))
    for folder, content in ((videos, frames), (masks, give({1: range(8), 2: range(8)}))):
        folder.mkdir()
        content.rename(folder / "discs")

    arguments = [str(videos), str(masks), "--out", str(out), "--truth", str(masks)]
    assert main(["vos", *arguments, *tiny_options]) == 0

    told = capsys.readouterr().out
    assert len(list((out / "discs").glob("*.png"))) == 8
    assert "all videos" in told
    assert (out / "results.csv").read_text().startswith("video,object,J&F,J,F\nall videos,,")
    assert main(["vos-score", str(masks), str(masks), "--with-ends"]) == 0
    assert "all videos        100.0 100.0 100.0" in capsys.readouterr().out


def test_image_size_is_what_the_model_sees(
    tmp_path, frames, give, tiny_options, monkeypatch, capsys
):
    seen = []

    def segment(predictor, *_):
        seen.append(predictor.image_size)
        return []

    monkeypatch.setattr("napari_sam2.vos.segment_video", segment)
    videos, masks = tmp_path / "videos", tmp_path / "given"
    for folder, content in ((videos, frames), (masks, give({1: [0]}))):
        folder.mkdir()
        content.rename(folder / "discs")
    arguments = [str(videos), str(masks), "--out", str(tmp_path / "out"), *tiny_options]

    assert main(["vos", *arguments, "--image-size", "64"]) == 0
    assert seen == [64]
    assert main(["vos", *arguments, "--image-size", "100"]) == 2
    assert "image_size must be a positive multiple of 32, got 100" in capsys.readouterr().err


def test_video_that_is_not_there_is_named(tmp_path, frames, give, tiny_options, capsys):
    arguments = [str(frames.parent), str(give({1: [0]}).parent), "--out", str(tmp_path / "out")]

    assert main(["vos", *arguments, "--only", "bear", *tiny_options]) == 2
    assert "['bear'] are not in both" in capsys.readouterr().err
