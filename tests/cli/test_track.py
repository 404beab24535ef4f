"""``napari-sam2 track``: a stack and points in, labels and tables out."""

import csv
import re
from typing import get_args

import numpy as np
import pytest
import tifffile
from cli_steps import write

from napari_sam2.cli import main
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.strategies import StrategyName, find_strategy
from napari_sam2.session import Session


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


@pytest.mark.parametrize(
    ("number", "name", "dtype"),
    [(70_000, "70000", np.uint32), (65_535, "65535", np.uint16), (65_535, "new", np.uint32)],
)
def test_labels_are_written_with_room_for_their_numbers(
    tmp_path, tiny, stack, blobs, number, name, dtype
):
    labels, out = tmp_path / "cells.tif", tmp_path / "labels.tif"
    tifffile.imwrite(labels, np.where(blobs[1][0] == 1, number, 0).astype(np.int32))
    points = write(tmp_path / "p.csv", f"object,frame,row,column\n{name},0,60,90\n")

    given = ["--labels", str(labels), "--points", str(points), "--stop", "2"]
    assert main(["track", str(stack), *given, "--out", str(out), *tiny]) == 0

    found = tifffile.imread(out)
    assert found.dtype == dtype
    assert set(np.unique(found)) == {0, number} | ({number + 1} if name == "new" else set())


def test_points_of_objects_with_high_numbers_are_followed(tmp_path, tiny, stack):
    points = write(tmp_path / "p.csv", "object,frame,row,column\n70000,0,30,40\n")
    out = tmp_path / "labels.tif"

    command = ["track", str(stack), "--points", str(points), "--out", str(out), "--stop", "2"]
    assert main([*command, *tiny]) == 0

    assert set(np.unique(tifffile.imread(out))) == {0, 70_000}


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


def test_session_is_written_beside_the_labels_and_goes_on(tmp_path, tiny, stack, tiny_model):
    points = write(tmp_path / "points.csv", "object,frame,row,column\ncell,0,30,40\n")
    out, session = tmp_path / "out.tif", tmp_path / "cells.sam2"
    command = ["track", str(stack), "--points", str(points), "--out", str(out), *tiny]

    assert main([*command, "--session", str(session)]) == 0

    loaded = Session.load(session, tifffile.imread(stack), tiny_model)
    np.testing.assert_array_equal(loaded.labels, tifffile.imread(out))
    assert [one.name for one in loaded.objects.values()] == ["cell"]
    assert loaded.origin.path == str(stack)


def test_session_never_overwrites_another_kind_of_file(tmp_path, tiny, stack, capsys):
    points = write(tmp_path / "points.csv", "frame,row,column\n0,30,40\n")
    command = ["track", str(stack), "--points", str(points), "--out", str(tmp_path / "o.tif")]

    assert main([*command, "--session", str(stack), *tiny]) != 0
    other = write(tmp_path / "notes.sam2", "mine")
    assert main([*command, "--session", str(other), *tiny]) != 0

    assert "is not a session file" in capsys.readouterr().err
    assert other.read_text() == "mine"
    assert not (tmp_path / "o.tif").exists()
