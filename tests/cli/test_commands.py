"""What commands are told, and what they say when it goes wrong."""

import csv
import re
from dataclasses import replace

import pytest
import tifffile
import torch
from cli_steps import write

from napari_sam2.cli import main
from napari_sam2.evaluation import report
from napari_sam2.predictors.frames import FrameSource


def test_config_says_what_weights_are_for(tmp_path, tiny, stack):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")
    out = tmp_path / "labels.tif"

    options = ["--config" if option == "--model" else option for option in tiny]
    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *options])

    assert status == 0
    assert out.exists()


def test_config_without_weights_is_refused(capsys):
    status = main(["demo", "--config", "sam2_hiera_tiny"])

    assert status == 2
    assert "no --checkpoint. For a model with its own weights: --model sam2_hiera_tiny" in (
        capsys.readouterr().err
    )


def test_config_and_model_exclude_each_other(tiny, capsys):
    with pytest.raises(SystemExit):
        main(["demo", *tiny, "--config", "sam2_hiera_tiny"])

    assert "not allowed with argument --model" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["name: [x", "- a\n", "name: tiny\n", ""])
def test_file_that_is_no_config_is_named_in_a_line(text, tmp_path, stack, capsys):
    config = write(tmp_path / "broken.yaml", text)
    points = write(tmp_path / "p.csv", "frame,row,column\n0,1,2\n")
    out = str(tmp_path / "labels.tif")

    command = ["track", str(stack), "--points", str(points), "--out", out, "--model", str(config)]
    status = main(command)

    assert status == 2
    assert "napari-sam2: " in (told := capsys.readouterr().err)
    assert "broken.yaml" in told or "SAM2Config" in told


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory.\nAdvice"), MemoryError()]
)
def test_lack_of_memory_is_told_in_a_line(error, tmp_path, tiny, stack, monkeypatch, capsys):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")

    def fail(*args):
        raise error

    monkeypatch.setattr(FrameSource, "read", fail)
    out = str(tmp_path / "labels.tif")
    command = ["track", str(stack), "--points", str(points), "--out", out, *tiny]
    status = main(command)

    assert status == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"napari-sam2: .*[mM]emory.*--traceback.*", told)
    with pytest.raises(MemoryError):
        main(["--traceback", *command])


def test_mistakes_of_ours_are_not_hidden(monkeypatch, tmp_path, tiny, stack):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")

    def fail(*args):
        raise TypeError("a mistake of ours")

    monkeypatch.setattr(FrameSource, "read", fail)
    out = str(tmp_path / "labels.tif")

    with pytest.raises(TypeError, match="of ours"):
        main(["track", str(stack), "--points", str(points), "--out", out, *tiny])


def test_missing_stack_is_named_without_a_traceback(tmp_path, tiny, capsys):
    points = write(tmp_path / "p.csv", "frame,row,column\n0,1,2\n")

    status = main(["track", "nowhere.tif", "--points", str(points), "--out", "x.tif", *tiny])

    assert status == 2
    assert capsys.readouterr().err == "napari-sam2: There is no file nowhere.tif.\n"


def test_evaluate_prints_a_line_a_set_and_writes_every_score(tmp_path, tiny, blobs, capsys):
    folder = tmp_path / "blobs" / "01"
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "images.tif", blobs[0])
    tifffile.imwrite(folder / "labels.tif", blobs[1])
    scores = tmp_path / "scores.csv"

    options = ["--frames", "2", "--track", "3", "--csv", str(scores)]
    status = main(["evaluate", str(tmp_path / "blobs"), *options, *tiny])

    out = capsys.readouterr().out
    assert status == 0
    number = r"\d\.\d{3}"
    line = rf"blobs +4 +{number} +{number} +- +- +{number} +1\.000 +1\.000$"
    assert re.search(line, out, re.MULTILINE)
    assert re.search(r"only those on which an object is annotated", out)
    assert re.search(r"01 +2 objects, 3 frames: mean IoU \d\.\d{3}", out)
    assert len(scores.read_text().splitlines()) == 5


def test_evaluate_corrects_segments_everything_and_draws_the_worst_where_asked(
    tmp_path, tiny, blobs, capsys
):
    folder = tmp_path / "blobs"
    folder.mkdir()
    tifffile.imwrite(folder / "images.tif", blobs[0][:1])
    tifffile.imwrite(folder / "labels.tif", blobs[1][:1])
    worst = tmp_path / "worst.png"

    main(["evaluate", str(folder), "--correct", "--everything", "--worst", str(worst), *tiny])

    out = capsys.readouterr().out
    (line,) = re.findall(r"blobs +2 .*", out)
    assert " - " not in line
    assert re.search(r"1 images: mSA \d\.\d{3}", out)
    assert worst.is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--worst", "worst.jpg"], r"ends in \.png, not .*worst\.jpg"),
        (["--worst", "worst"], r"ends in \.png"),
        (["--worst", "nowhere/worst.png"], "no folder .*nowhere"),
        (["--csv", "nowhere/scores.csv"], "no folder .*nowhere"),
        (["--csv", "one.png", "--worst", "one.png"], "would overwrite"),
    ],
)
def test_evaluate_refuses_files_that_cannot_be_written_before_it_begins(
    tmp_path, tiny, options, message, capsys
):
    options = [one if one.startswith("--") else str(tmp_path / one) for one in options]

    status = main(["evaluate", str(tmp_path), *options, *tiny])

    out, err = capsys.readouterr()
    assert status == 2
    assert re.search(message, err)
    assert not out, "nothing was measured"


def test_scores_are_written_where_the_worst_cannot_be_drawn(tmp_path, tiny, blobs, monkeypatch):
    tifffile.imwrite(tmp_path / "images.tif", blobs[0][:1])
    tifffile.imwrite(tmp_path / "labels.tif", blobs[1][:1])
    scores, worst = tmp_path / "scores.csv", tmp_path / "worst.png"

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(report, "imsave", fail)
    files = ["--csv", str(scores), "--worst", str(worst)]
    status = main(["evaluate", str(tmp_path), *files, *tiny])

    assert status == 2
    assert len(scores.read_text().splitlines()) == 3


def test_set_that_cannot_be_measured_holds_up_no_other(tmp_path, tiny, blobs, capsys):
    sets = [tmp_path / name / "blobs" for name in ("one", "torn", "empty", "other")]
    for folder in sets:
        folder.mkdir(parents=True)
        if folder != sets[2]:
            tifffile.imwrite(folder / "images.tif", blobs[0])
            tifffile.imwrite(folder / "labels.tif", blobs[1])
    (sets[1] / "labels.tif").write_text("torn")
    scores = tmp_path / "scores.csv"

    options = ["--frames", "2", "--track", "1", "--csv", str(scores)]
    status = main(["evaluate", *map(str, sets), *options, *tiny])

    out, err = capsys.readouterr()
    assert status == 2
    assert [str(folder) for folder in sets if f"{folder}: " in err] == [*map(str, sets[1:3])]
    for folder in (sets[0], sets[3]):
        assert re.search(rf"^{folder} +4 ", out, re.MULTILINE), "sets of one name are kept apart"
        assert re.search(rf"^{folder} +2 objects, 1 frames", out, re.MULTILINE)
    with scores.open() as file:
        assert {row["set"] for row in csv.DictReader(file)} == {str(sets[0]), str(sets[3])}


def test_train_refuses_a_device_that_is_not_there(tmp_path, capsys):
    status = main(["train", "nano", "--out", str(tmp_path / "run"), "--device", "cuda:99"])

    assert status == 2
    assert "'cuda:99' cannot be used here" in capsys.readouterr().err


def test_demo_writes_its_results_and_says_where(tmp_path, tiny, monkeypatch, capsys):
    from napari_sam2 import demo

    make, short = demo.make_time_lapse, replace(demo.NUCLEI, n_frames=4, size=(128, 128))
    monkeypatch.setattr(demo, "make_time_lapse", lambda: make(short))
    out = tmp_path / "results"

    status = main(["demo", "--out", str(out), *tiny])

    assert status == 0
    text = capsys.readouterr().out
    assert "coin 1: " in text
    assert re.search(r"nucleus 1: mean IoU \d\.\d\d over \d frames", text)
    assert re.search(r"\d frames: \d+\.\d frames a second", text)
    assert str(out) in text
    assert {path.name for path in out.iterdir()} == {
        "coins.png",
        "coins_labels.tif",
        "time_lapse.gif",
        "time_lapse.png",
        "time_lapse.tif",
        "time_lapse_labels.tif",
    }
