import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2.exports import label_file, overlay, read_stack, save_animation, save_picture


@pytest.mark.parametrize("kind", ["plain.tif", "packed.tif", "stack.npy", "stack.zarr"])
def test_stacks_are_opened_in_every_format(kind, tmp_path, blobs):
    images, path = blobs[0], tmp_path / kind
    if kind == "plain.tif":
        tifffile.imwrite(path, images, photometric="minisblack")
    elif kind == "packed.tif":
        tifffile.imwrite(path, images, photometric="minisblack", compression="zlib")
    elif kind == "stack.npy":
        np.save(path, images)
    else:
        zarr.save_array(path, images)

    stack = read_stack(path)

    assert np.array_equal(np.asarray(stack[:]), images)
    if kind in {"plain.tif", "stack.npy"}:
        assert isinstance(stack, np.memmap)


def test_picture_is_opened(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (9, 8, 3), dtype=np.uint8)
    save_picture(tmp_path / "picture.png", picture)

    assert np.array_equal(read_stack(tmp_path / "picture.png"), picture)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file .*missing\.tif"):
        read_stack(tmp_path / "missing.tif")


@pytest.mark.parametrize("name", ["text.tif", "text.png"])
def test_file_of_something_else_is_named(name, tmp_path):
    (tmp_path / name).write_text("not an image")

    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        read_stack(tmp_path / name)


def test_zarr_group_says_what_to_give(tmp_path):
    zarr.open_group(tmp_path / "group.zarr", mode="w")

    with pytest.raises(ValueError, match="path of one of them"):
        read_stack(tmp_path / "group.zarr")


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
            labels.flush()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()

    assert path.read_bytes() == b"yesterday's result"
    assert tifffile.imread(tmp_path / "labels.partial.tif")[0, 0, 0] == 7


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
