"""Results as files for other programs."""

from __future__ import annotations

import errno
import weakref
from unittest.mock import MagicMock

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2 import result_files
from napari_sam2.result_files import (
    Axes,
    name_axes,
    write_animation,
    write_labels,
    write_quality,
)
from napari_sam2.session import Session

UNITS = ("second", "micrometer", "micrometer")


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 300, (5, 40, 50)).astype(np.uint16)


@pytest.fixture
def axes():
    return Axes("TYX", (30.0, 0.5, 0.25), UNITS, (0, 1, 2))


@pytest.mark.parametrize(
    ("called", "names"),
    [
        (("-3", "-2", "-1"), "TYX"),
        (("z", "y", "x"), "ZYX"),
        (("time", "z", "y", "x"), "TZYX"),
        (("-4", "-3", "-2", "-1"), "TZYX"),
        (("position", "z", "y", "x"), "TZYX"),
    ],
)
def test_axes_are_named_as_the_viewer_does_where_ome_knows_them(called, names):
    n = len(called)
    assert name_axes(called, [1] * n, ["pixel"] * n) == Axes(
        names, (1.0,) * n, ("",) * n, tuple(range(n))
    )


@pytest.mark.parametrize("name", ["out.ome.tif", "out.zarr"])
@pytest.mark.parametrize(
    ("called", "order"), [("zyx", (0, 1, 2)), ("yzx", (1, 0, 2)), ("xzy", (1, 2, 0))]
)
def test_axes_in_another_order_are_written_in_that_of_ome(called, order, labels, tmp_path, name):
    size = {"z": 3.0, "y": 0.5, "x": 0.25}
    named = name_axes(called, [size[n] for n in called], ["micrometer"] * 3)

    list(write_labels(tmp_path / name, labels, named))

    assert named == Axes("ZYX", (3.0, 0.5, 0.25), ("micrometer",) * 3, order)
    if name.endswith("zarr"):
        found = zarr.open_group(tmp_path / name, mode="r")["0"][:]
    else:
        with tifffile.TiffFile(tmp_path / name) as file:
            assert file.series[0].axes == "ZYX"
            found = file.asarray()
    np.testing.assert_array_equal(found, labels.transpose(order))


def test_time_and_planes_keep_their_sizes_where_planes_come_first():
    axes = name_axes(["z", "t", "y", "x"], [3, 30, 0.5, 0.25], ["pixel", "second", *UNITS[1:]])

    assert axes == Axes(
        "TZYX", (30, 3, 0.5, 0.25), ("second", "", "micrometer", "micrometer"), (1, 0, 2, 3)
    )


def test_too_many_axes():
    with pytest.raises(ValueError, match="2 to 5 axes"):
        name_axes(["-6"] * 6, [1] * 6, ["pixel"] * 6)


def test_tiff_has_pixels_axes_and_sizes(labels, axes, tmp_path):
    steps = list(write_labels(tmp_path / "out.ome.tif", labels, axes))

    assert steps == [5] * 5
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "TYX"
        np.testing.assert_array_equal(file.asarray(), labels)
        about = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (about["PhysicalSizeX"], about["PhysicalSizeXUnit"]) == (0.25, "µm")
    assert (about["PhysicalSizeY"], about["TimeIncrement"]) == (0.5, 30)
    assert (tmp_path / "out.ome.tif").stat().st_size < labels.nbytes


def test_tiff_of_a_single_image(labels, tmp_path):
    list(write_labels(tmp_path / "out.tif", labels[0], Axes("YX", (1, 1), ("", ""), (0, 1))))

    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), labels[0])


def test_zarr_has_pixels_axes_and_sizes(labels, axes, tmp_path):
    list(write_labels(tmp_path / "out.zarr", labels, axes))

    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], labels)
    (scales,) = group.attrs["ome"]["multiscales"]
    assert scales["axes"][0] == {"name": "t", "type": "time", "unit": "second"}
    assert scales["datasets"][0]["coordinateTransformations"][0]["scale"] == [30, 0.5, 0.25]


@pytest.mark.parametrize(
    ("dtype", "number", "written"),
    [
        (np.int64, 300, np.uint16),
        (np.uint64, 70_000, np.uint32),
        (np.int64, -1, np.int32),
    ],
)
def test_numbers_too_long_for_ome_are_written_as_shorter_ones(
    labels, axes, tmp_path, dtype, number, written
):
    labels = labels.astype(dtype)
    labels[-1, -1, -1] = number

    steps = list(write_labels(tmp_path / "out.tif", labels, axes))

    found = tifffile.imread(tmp_path / "out.tif")
    assert found.dtype == written
    np.testing.assert_array_equal(found, labels)
    assert steps == [10] * 10, "they are read to see how high they go, too"


def test_numbers_that_ome_has_no_room_for_are_refused_before_the_work(
    labels, axes, tmp_path, monkeypatch
):
    labels = labels.astype(np.int64)
    labels[-1, -1, -1] = 2**32
    monkeypatch.setattr(result_files, "zlib", None)  # compresses nothing

    with pytest.raises(ValueError, match=r"32 bits .* from 0 to 4294967296\. .*\.zarr"):
        list(write_labels(tmp_path / "out.tif", labels, axes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_what_is_given_up_leaves_nothing(labels, axes, tmp_path, name):
    steps = write_labels(tmp_path / name, labels, axes)
    next(steps)
    steps.close()

    assert list(tmp_path.iterdir()) == []


def test_folders_are_not_overwritten(labels, axes, tmp_path):
    (tmp_path / "out.zarr").mkdir()

    with pytest.raises(ValueError, match="There is a folder"):
        list(write_labels(tmp_path / "out.zarr", labels, axes))


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_animation_shows_every_frame(blobs, tiny_model, tmp_path, name):
    session = Session(blobs[0], tiny_model, labels=blobs[1].copy())

    steps = list(write_animation(tmp_path / name, session))

    assert steps == [8] * 8
    if name.endswith("gif"):
        with Image.open(tmp_path / name) as film:
            assert (film.n_frames, film.size) == (8, (128, 96))
    else:
        import av

        with av.open(str(tmp_path / name)) as film:
            assert len(list(film.decode(video=0))) == 8


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_animation_holds_one_picture_at_a_time(blobs, tiny_model, tmp_path, monkeypatch, name):
    session = Session(blobs[0], tiny_model)
    pictures, draw = [], result_files._picture

    def noted(*args):
        picture = draw(*args)
        pictures.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(result_files, "_picture", noted)
    held = [
        sum(picture() is not None for picture in pictures)
        for _ in write_animation(tmp_path / name, session)
    ]

    assert len(pictures) == 8
    assert max(held) <= 1


@pytest.mark.parametrize("name", ["out.ome.tif", "out.zarr", "out.csv"])
def test_full_disk_says_what_to_do_and_leaves_nothing(labels, axes, tmp_path, monkeypatch, name):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", fail)
    monkeypatch.setattr(zarr.Group, "create_array", fail)
    monkeypatch.setattr(result_files, "save_table", fail)
    steps = (
        write_quality(tmp_path / name, MagicMock())
        if name.endswith("csv")
        else write_labels(tmp_path / name, labels, axes)
    )

    with pytest.raises(OSError, match=rf"no room .*{name}.*Make room"):
        list(steps)
    assert list(tmp_path.iterdir()) == []
