"""``napari-sam2 train --from``: from files to a model in the list."""

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.cli import main


@pytest.fixture
def data(tmp_path, blobs, monkeypatch, one_thread):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    tifffile.imwrite(tmp_path / "images.tif", blobs[0], photometric="minisblack")
    tifffile.imwrite(tmp_path / "labels.tif", blobs[1], photometric="minisblack")
    np.save(tmp_path / "images.npy", blobs[0])
    zarr.save(tmp_path / "labels.zarr", blobs[1])
    for kind, frames in zip(("images", "labels"), blobs, strict=True):
        (tmp_path / kind).mkdir()
        for number, frame in enumerate(frames):
            tifffile.imwrite(tmp_path / kind / f"{number}.tif", frame)
    return tmp_path


@pytest.fixture
def train(data, tiny_files):
    def train(*more, images="images.tif", labels="labels.tif"):
        command = ["train", "--from", str(tiny_files[0]), "--out", str(data / "my-cells")]
        command += ["--images", str(data / images), "--labels", str(data / labels)]
        return main([*command, "--device", "cpu", "--steps", "2", "--batch", "1", *more])

    return train


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images.tif", "labels.tif"), ("images.npy", "labels.zarr"), ("images", "labels")],
)
def test_model_is_made_of_files_and_folders_and_listed(train, data, images, labels, capsys):
    assert train(images=images, labels=labels) == 0

    out = capsys.readouterr().out
    assert "held-out objects" in out
    assert "before: click" in out
    main(["models", "list"])
    assert "my-cells" in (listed := capsys.readouterr().out)
    assert "yours" in listed
    assert str(data / "models") in listed


def test_model_is_used_by_its_name(train, data, tmp_path):
    train()
    points = tmp_path / "points.csv"
    points.write_text("frame,row,column\n0,30,40\n")
    out = tmp_path / "tracked.tif"
    command = ["track", str(data / "images.tif"), "--points", str(points), "--out", str(out)]

    assert main([*command, "--model", "my-cells", "--device", "cpu"]) == 0
    assert out.exists()


def test_run_whose_time_is_over_goes_on(train, capsys):
    assert train("--minutes", "0") == 0
    assert "goes on from here" in capsys.readouterr().out
    assert train() == 0
    assert "Use it by its name: --model my-cells" in capsys.readouterr().out


def test_interrupted_run_says_how_to_go_on(train, monkeypatch, capsys):
    from napari_sam2.training.learner import Learner

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "learn", interrupt)

    assert train() == 130
    assert "The same command goes on from here." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--out", "x"], "Give either a recipe"),
        (["train", "nano", "--from", "sam2.1_hiera_nano", "--out", "x"], "Give either a recipe"),
        (["train", "--from", "sam2.1_hiera_nano", "--out", "x"], "give --images and --labels"),
    ],
)
def test_command_that_says_too_little_or_too_much_is_told_so(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_labels_of_another_shape_are_told_in_a_line(train, data, blobs, capsys):
    tifffile.imwrite(data / "small.tif", blobs[1][:, ::2], photometric="minisblack")

    assert train(labels="small.tif") == 2
    assert "expected labels of (8, 96, 128)" in capsys.readouterr().err
