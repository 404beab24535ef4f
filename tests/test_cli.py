import re

import numpy as np
import pytest
import tifffile
import yaml
from safetensors.torch import save_file

from napari_sam2.cli import main, read_prompts
from napari_sam2.prompts import BoxPrompt, PointPrompt


@pytest.fixture
def tiny(tmp_path, tiny_config, tiny_model):
    """Options that choose the small model: a YAML file and its weights."""
    config, weights = tmp_path / "tiny.yaml", tmp_path / "tiny.safetensors"
    hiera = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(tiny_config.hiera).items()}
    config.write_text(yaml.safe_dump({**vars(tiny_config), "hiera": hiera}))
    save_file(tiny_model.state_dict(), weights)
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
    assert "2 objects in 8 frames" in capsys.readouterr().out


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
    ("text", "message"),
    [
        ("frame,row\n0,1\n", "no column 'column'"),
        ("frame,row,column\n0,1,2\n0,x,2\n", "line 3: could not convert"),
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
    assert re.search(r"^blobs +4 +\d\.\d{3} +\d\.\d{3} +1\.000 +1\.000$", out, re.MULTILINE)
    assert re.search(r"01 +2 objects, 3 frames: mean IoU \d\.\d{3}", out)
    assert len(scores.read_text().splitlines()) == 5


def test_demo_writes_its_results_and_says_where(tmp_path, tiny, monkeypatch, capsys):
    from napari_sam2 import demo

    make = demo.make_time_lapse
    monkeypatch.setattr(demo, "make_time_lapse", lambda: make(n_frames=4, size=128))
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
