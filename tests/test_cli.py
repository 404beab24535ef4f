import csv
import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import tifffile
import torch

from napari_sam2.cli import main
from napari_sam2.cli.prompt_table import read_prompts
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.strategies import StrategyName, find_strategy
from napari_sam2.prompts import BoxPrompt, PointPrompt


@pytest.fixture
def tiny(tiny_files):
    """Options that choose the small model."""
    config, weights = tiny_files
    return ["--model", str(config), "--checkpoint", str(weights), "--device", "cpu"]


@pytest.fixture
def stack(tmp_path, blobs):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, blobs[0], photometric="minisblack")
    return path


def write(path, text):
    path.write_text(text)
    return path


def test_track_writes_labels_for_the_users_file(tmp_path, tiny, stack, capsys):
    points = write(
        tmp_path / "points.csv",
        "object,frame,row,column,positive,row1,column1\n"
        "left,0,30,40,1,,\nleft,0,90,120,0,,\nright,3,50,65,,70,85\n",
    )
    out = tmp_path / "labels.tif"

    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 0
    labels = tifffile.imread(out)
    assert labels.shape == (8, 96, 128)
    assert set(np.unique(labels)) == {0, 1, 2}
    told = capsys.readouterr().out
    assert "left: 1 in the labels\nright: 2 in the labels\n2 objects in 8 frames" in told


@pytest.mark.parametrize("strategy", get_args(StrategyName))
def test_track_follows_by_the_strategy_asked_for(tmp_path, tiny, stack, strategy, monkeypatch):
    settings = []
    monkeypatch.setattr(
        "napari_sam2.predictors.tracker.find_strategy",
        lambda name: settings.append(name) or find_strategy(name),
    )
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")
    arguments = ["track", str(stack), "--points", str(points), "--stop", "3", *tiny]

    status = main([*arguments, "--out", str(tmp_path / "out.tif"), "--strategy", strategy])

    assert status == 0
    assert settings == [strategy]


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


def test_numbered_objects_have_their_number_in_the_labels(tmp_path, tiny, stack):
    points = write(
        tmp_path / "points.csv",
        "object,frame,row,column,row1,column1\nother,0,50,80,70,100\n7,0,16,26,44,54\n",
    )
    out = tmp_path / "labels.tif"

    assert main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny]) == 0
    assert set(np.unique(tifffile.imread(out))) == {0, 7, 8}, "names follow after the numbers"


def test_planes_of_a_volume_in_time_are_held(tmp_path, tiny, blobs):
    volume = np.stack([np.zeros_like(blobs[0]), blobs[0]], axis=1)  # (T, Z, Y, X)
    stack, out = tmp_path / "volume.tif", tmp_path / "labels.tif"
    tifffile.imwrite(stack, volume, photometric="minisblack")
    points = write(tmp_path / "p.csv", "frame,row,column\n0,30,40\n")

    command = ["track", str(stack), "--points", str(points), "--out", str(out), *tiny]
    assert main([*command, "--hold", "1=1"]) == 0

    labels = tifffile.imread(out)
    assert labels.shape == volume.shape
    assert not labels[:, 0].any()
    assert labels[:, 1].any()


def test_track_begins_from_labels_and_writes_tables(tmp_path, tiny, stack, blobs, capsys):
    labels, out = tmp_path / "cells.tif", tmp_path / "labels.tif"
    tifffile.imwrite(labels, blobs[1][2] * 3)
    tracks, quality = tmp_path / "tracks.csv", tmp_path / "quality.csv"

    command = ["track", str(stack), "--labels", str(labels), "--labels-frame", "2"]
    tables = ["--tracks", str(tracks), "--quality", str(quality)]
    assert main([*command, "--out", str(out), *tables, "--stop-after-empty", "3", *tiny]) == 0

    assert set(np.unique(tifffile.imread(out))) == {0, 3, 6}
    assert np.array_equal(tifffile.imread(out)[2], blobs[1][2] * 3)
    with quality.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["object"], row["frame"]) for row in rows] == [
        (i, str(f)) for i in "36" for f in range(8)
    ]
    with tracks.open(newline="") as file:
        begun = [row for row in csv.DictReader(file) if row["frame"] == "2.0"]
    assert [(row["object"], row["row"], row["parent"]) for row in begun] == [
        ("3", "34.0", "0"),
        ("6", "60.0", "0"),
    ]
    assert f"Tracks: {tracks}\nQuality: {quality}" in capsys.readouterr().out


def test_labels_of_a_stack_and_points_go_together(tmp_path, tiny, stack, blobs):
    labels, out = tmp_path / "cells.tif", tmp_path / "labels.tif"
    sparse = np.where(np.isin(np.arange(8), [0, 5])[:, None, None], blobs[1], 0)
    tifffile.imwrite(labels, sparse, photometric="minisblack")
    points = write(tmp_path / "p.csv", "object,frame,row,column\nnew,1,80,20\n2,7,60,70\n")

    given = ["--labels", str(labels), "--points", str(points)]
    assert main(["track", str(stack), *given, "--out", str(out), *tiny]) == 0

    found = tifffile.imread(out)
    assert set(np.unique(found)) == {0, 1, 2, 3}
    assert all((found[frame] == 1).sum() == (blobs[1][frame] == 1).sum() for frame in (0, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --points, --labels or both"),
        (["--labels", "small.tif"], r"shape \(96, 128\) here.*\(8, 96, 128\); got \(5, 6\)"),
        (["--labels", "small.tif", "--tracks", "nowhere/t.csv"], "no folder nowhere"),
        (["--labels", "small.tif", "--quality", "small.tif"], "would overwrite small.tif"),
        (["--labels", "small.tif", "--quality", "out.tif"], "would overwrite out.tif"),
    ],
)
def test_track_that_could_not_end_well_does_not_begin(
    options, message, tmp_path, tiny, stack, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("small.tif", np.ones((5, 6), np.uint8))

    assert main(["track", str(stack), "--out", "out.tif", *options, *tiny]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("held", ["1", "z=1", "1=x"])
def test_held_plane_that_is_not_numbers_says_how(held, capsys):
    with pytest.raises(SystemExit):
        main(["track", "s.tif", "--points", "p.csv", "--out", "l.tif", "--hold", held])

    assert "is not AXIS=POSITION" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["stack.tif", "points.csv", "labels.png"])
def test_input_is_never_written_over(name, tmp_path, tiny, stack, capsys):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")
    before = {path: path.read_bytes() for path in (stack, points)}

    out = tmp_path / name
    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 2
    assert re.search("would overwrite|ends in .tif", capsys.readouterr().err)
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,30,40\n99,30,40\n", "object 2: .*frame 99"),
        ("-1,30,40\n", "frame -1"),
        ("0,30,400\n", "outside the image"),
    ],
)
def test_prompt_that_is_not_on_the_stack_leaves_nothing_behind(
    rows, message, tmp_path, tiny, stack, capsys
):
    points = write(tmp_path / "points.csv", f"frame,row,column\n{rows}")
    before = set(tmp_path.iterdir())

    out = tmp_path / "labels.tif"
    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 2
    assert re.search(message, capsys.readouterr().err)
    assert set(tmp_path.iterdir()) == before


def test_interrupted_tracking_names_the_file_that_is_kept(
    tmp_path, tiny, stack, monkeypatch, capsys
):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")
    read = FrameSource.read

    def read_three(source, frame, *region):
        if frame > 2:
            raise KeyboardInterrupt
        return read(source, frame, *region)

    monkeypatch.setattr(FrameSource, "read", read_three)
    out = tmp_path / "labels.tif"
    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 130
    assert f"Stopped. The frames that were done are in {tmp_path / 'labels.partial.tif'}" in (
        capsys.readouterr().err
    )
    assert not out.exists()
    assert tifffile.imread(tmp_path / "labels.partial.tif").shape == (8, 96, 128)


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


def test_points_without_object_column_are_an_object_each(tmp_path):
    path = write(tmp_path / "p.csv", "frame,row,column\n0,1,2\n3,4,5.5\n")

    prompts = read_prompts(path)

    assert prompts == {
        "object 1": {0: [PointPrompt(0, 1, 2)]},
        "object 2": {3: [PointPrompt(3, 4, 5.5)]},
    }


def test_rows_with_a_second_corner_are_boxes(tmp_path):
    path = write(
        tmp_path / "p.csv", "frame, row, column, row1, column1, object\n0, 1, 2, 3, 4, a\n"
    )

    assert read_prompts(path) == {"a": {0: [BoxPrompt(0, 1, 2, 3, 4)]}}


@pytest.mark.parametrize(
    ("positive", "expected"),
    [("0", False), ("0.0", False), ("false", False), ("", True), ("1", True)],
)
def test_sign_is_read_in_any_spelling(positive, expected, tmp_path):
    path = write(tmp_path / "p.csv", f"frame,row,column,positive\n0,1,2,{positive}\n")

    assert read_prompts(path) == {"object 1": {0: [PointPrompt(0, 1, 2, expected)]}}


def test_tables_that_write_whole_numbers_with_a_point_are_read(tmp_path):
    path = write(tmp_path / "p.csv", "object,frame,row,column\n3.0,2.0,1,2\nleft,0,4,5\n")

    prompts = read_prompts(path)

    assert prompts == {3: {2: [PointPrompt(2, 1, 2)]}, "left": {0: [PointPrompt(0, 4, 5)]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,row\n0,1\n", "no column 'column'"),
        ("frame,row,column\n0,1,2\n0,x,2\n", "line 3: row is 'x'; it must be a number"),
        ("frame,row,column\n0.5,1,2\n", "line 2: frame is 0.5; it must be a whole number"),
        ("frame,row,column\n0,1\n", "line 2: column is missing"),
        ("frame,row,column,positive\n0,1,2,maybe\n", "line 2: 'positive' must be 1 or 0"),
        ("frame,row,column,row1\n0,1,2,9\n", "only one of the columns 'row1' and 'column1'"),
        ("frame,row,column,row1,column1\n0,1,2,9,\n", "line 2: column1 is missing"),
        ("frame,row,column,row1,column1\n0,1,2,,9\n", "line 2: row1 is missing"),
        ("frame,row,column,row1,column1,positive\n0,1,2,8,9,0\n", "box cannot be negative"),
        ("frame,row,column,object\n0,1,2,left\n0,1,2,\n", "line 3: object is missing"),
        ("frame,row,column,object\n0,1,2,0\n", "no room for 0"),
        ("", "no column 'frame'"),
        ("frame,row,column\n", "no points in it"),
        ("frame,row,column,row1,column1\n0,1,2,1,9\n", "line 2: A box needs an extent"),
    ],
)
def test_unusable_points_are_named_with_their_line(tmp_path, tiny, stack, text, message, capsys):
    points = write(tmp_path / "p.csv", text)
    out = tmp_path / "labels.tif"

    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 2
    assert re.search(message, capsys.readouterr().err)
    assert not out.exists()


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
    assert re.search(r"blobs +4 +\d\.\d{3} +\d\.\d{3} +1\.000 +1\.000$", out, re.MULTILINE)
    assert re.search(r"only those on which an object is annotated", out)
    assert re.search(r"01 +2 objects, 3 frames: mean IoU \d\.\d{3}", out)
    assert len(scores.read_text().splitlines()) == 5


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
