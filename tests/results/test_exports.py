import errno
import mmap
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.results import exports
from napari_sam2.results.exports import (
    check_label_path,
    label_file,
    overlay,
    save_animation,
)


def test_labels_have_their_name_once_they_are_complete(tmp_path):
    path = tmp_path / "labels.tif"
    with label_file(path, (3, 5, 6), np.dtype(np.uint16)) as labels:
        for frame in range(3):
            labels[frame] = frame
        assert not path.exists()

    assert tifffile.imread(path)[:, 0, 0].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_labels_are_kept_beside(tmp_path):
    path = tmp_path / "labels.tif"
    path.write_bytes(b"yesterday's result")

    def write():
        with label_file(path, (3, 5, 6), np.dtype(np.uint16)) as labels:
            labels[0] = 7
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        write()

    partial = tmp_path / "labels.partial.tif"
    assert path.read_bytes() == b"yesterday's result"
    assert tifffile.imread(partial)[0, 0, 0] == 7
    assert stopped.value.__notes__ == [f"The frames that were done are in {partial}."]


def test_failure_before_anything_is_written_leaves_an_earlier_partial_file(tmp_path):
    partial = tmp_path / "labels.partial.tif"
    partial.write_bytes(b"yesterday's frames")

    def fail():
        with label_file(tmp_path / "labels.tif", (3, 5, 6), np.dtype(np.uint16)) as labels:
            assert not labels[1].any()
            raise ValueError("a prompt lies outside")

    with pytest.raises(ValueError, match="outside") as failed:
        fail()

    assert partial.read_bytes() == b"yesterday's frames"
    assert not hasattr(failed.value, "__notes__")


def test_labels_are_let_go_of_before_they_get_their_name(tmp_path, monkeypatch):
    # Windows renames no file that is mapped; everywhere, a map with users cannot be closed.
    closed = []

    class Map(mmap.mmap):
        def close(self):
            super().close()
            closed.append(sorted(path.name for path in tmp_path.iterdir()))

    monkeypatch.setattr(exports.mmap, "mmap", Map)
    with label_file(tmp_path / "labels.tif", (3, 5, 6), np.dtype(np.uint16)) as labels:
        labels[2, 1:3] = 4
        plane = labels[2]

    assert closed == [["labels.partial.tif"]]
    assert plane.sum() == 4 * 2 * 6, "a copy, which outlives the file"


@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 5, 6), (2, 3, 4, 5), (7, 9)])
def test_labels_have_the_shape_and_type_that_were_asked_for(shape, tmp_path):
    expected = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    with label_file(tmp_path / "labels.tif", shape, expected.dtype) as labels:
        labels[...] = expected

    assert np.array_equal(tifffile.imread(tmp_path / "labels.tif"), expected)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell what room a file takes")
@pytest.mark.parametrize("system", ["that reserves", "that does not"])
def test_room_for_labels_is_taken_when_they_are_begun(system, tmp_path, monkeypatch):
    if system == "that does not":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "labels.tif"
    with label_file(path, (30, 100, 100), np.dtype(np.uint16)) as labels:
        labels[0] = 1
        taken = (tmp_path / "labels.partial.tif").stat()

        assert taken.st_blocks * 512 >= 30 * 100 * 100 * 2


@pytest.mark.parametrize("system", ["that reserves", "that does not"])
def test_full_disk_is_an_error_that_says_so_and_leaves_nothing(system, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    if system == "that does not":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write():
        with label_file(tmp_path / "labels.tif", (30, 100, 100), np.dtype(np.uint16)) as labels:
            labels[0] = 1

    # The system lets no file grow past this: what a full disk does, without filling one.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"no room for 0\.6 MiB of labels in .* free"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_not_called_full(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", "labels.partial.tif")

    monkeypatch.setattr(tifffile, "imwrite", refuse)

    with (
        pytest.raises(PermissionError, match="Permission denied"),
        label_file(tmp_path / "labels.tif", (3, 5, 6), np.dtype(np.uint16)),
    ):
        pass


@pytest.mark.parametrize("link", [False, True])
def test_labels_are_not_written_over_what_they_are_made_from(link, tmp_path):
    stack = target = tmp_path / "stack.tif"
    stack.write_bytes(b"")
    if link:
        target = tmp_path / "other.tif"
        os.link(stack, target)

    with pytest.raises(ValueError, match=r"would overwrite .*stack\.tif"):
        check_label_path(target, [tmp_path / "points.csv", stack])


def test_partial_labels_are_not_written_over_the_stack(tmp_path):
    stack = tmp_path / "cells.partial.tif"
    stack.write_bytes(b"")

    with pytest.raises(ValueError, match=r"would overwrite .*cells\.partial\.tif"):
        check_label_path(tmp_path / "cells.tif", [stack])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.png", r"ends in \.tif"),
        ("points.csv", r"ends in \.tif"),
        ("nowhere/labels.tif", "no folder .*nowhere"),
        ("folder.tif", "is a folder"),
    ],
)
def test_labels_go_into_a_tiff_in_a_folder(name, message, tmp_path):
    (tmp_path / "folder.tif").mkdir()

    with pytest.raises(ValueError, match=message):
        check_label_path(tmp_path / name, [])


def test_existing_labels_may_be_replaced(tmp_path):
    (tmp_path / "labels.TIFF").write_bytes(b"")

    check_label_path(tmp_path / "labels.TIFF", [tmp_path / "stack.tif"])


def test_overlay_tints_objects_and_leaves_the_rest():
    frame = np.full((20, 20, 3), 0.4, dtype=np.float32)
    labels = np.zeros((20, 20), int)
    labels[5:15, 5:15] = 3

    picture = overlay(frame, labels)

    assert (picture[0, 0] == 102).all()
    assert not (picture[10, 10] == 102).all()
    assert abs(picture[5, 10].astype(int) - picture[10, 10]).max() > 20, "an outline"


def test_animation_has_every_frame(tmp_path):
    pictures = [np.full((8, 8, 3), value, np.uint8) for value in (0, 100, 200)]
    save_animation(tmp_path / "film.gif", pictures)

    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3


def test_each_frame_of_an_animation_has_colours_of_its_own(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (3, 200, 3)).astype(np.uint8)
    pictures = [one.reshape(10, 20, 3) for one in colours]
    save_animation(tmp_path / "film.gif", pictures, frame_rate=4)

    with Image.open(tmp_path / "film.gif") as film:
        assert film.info["loop"] == 0
        for frame, picture in enumerate(pictures):
            film.seek(frame)
            assert film.info["duration"] == 250
            np.testing.assert_array_equal(np.asarray(film.convert("RGB")), picture)


def test_picture_that_does_not_change_is_shown_as_long_as_others(tmp_path):
    save_animation(tmp_path / "film.gif", [np.zeros((8, 8, 3), np.uint8)] * 3)

    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
