"""Images and stacks as they are opened from files."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2.results.exports import save_animation, save_picture
from napari_sam2.results.stack_files import read_stack


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


def test_array_in_a_zarr_group_is_opened(tmp_path, blobs):
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("0", data=blobs[0])

    assert np.array_equal(read_stack(tmp_path / "group.zarr" / "0")[:], blobs[0])


def test_palettes_are_read_as_their_colours(tmp_path):
    picture = Image.new("P", (8, 9))
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.putpixel((3, 2), 1)
    picture.save(tmp_path / "picture.png")

    read = read_stack(tmp_path / "picture.png")

    assert read.shape == (9, 8, 3)
    assert read[2, 3].tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    ("mode", "channels"), [("LA", 4), ("CMYK", 3), ("L", None), ("I;16", None)]
)
def test_pictures_are_grey_or_rgb_or_rgba(mode, channels, tmp_path):
    path = tmp_path / ("picture.png" if mode != "CMYK" else "picture.jpg")
    Image.new(mode, (8, 9)).save(path)

    assert read_stack(path).shape == ((9, 8) if channels is None else (9, 8, channels))


def test_animation_is_a_stack_of_its_frames(tmp_path):
    pictures = [np.full((9, 8, 3), value, np.uint8) for value in (0, 100, 200)]
    save_animation(tmp_path / "film.gif", pictures)

    assert np.array_equal(read_stack(tmp_path / "film.gif"), pictures)


def test_tiff_by_another_name_is_read_whole(tmp_path, blobs):
    path = tmp_path / "stack.lsm"
    tifffile.imwrite(path, blobs[0].astype(np.uint16) * 100, photometric="minisblack")

    assert np.array_equal(read_stack(path), blobs[0].astype(np.uint16) * 100)


def test_picture_too_large_for_memory_is_refused_in_words(tmp_path, monkeypatch):
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)

    with pytest.raises(ValueError, match=r"large\.png cannot be read as an image"):
        read_stack(tmp_path / "large.png")


@pytest.mark.parametrize("kind", ["ours", "bare", "ImageJ", "OME"])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_tiff_that_was_cut_off_is_not_taken_for_a_shorter_one(kind, share, tmp_path, blobs):
    path = tmp_path / ("stack.ome.tif" if kind == "OME" else "stack.tif")
    options = {"imagej": True} if kind == "ImageJ" else {"compression": "zlib"}
    if kind == "bare":
        options["metadata"] = None
    tifffile.imwrite(path, blobs[0], **options, photometric="minisblack")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(ValueError, match="cannot be read as an image"):
        read_stack(path)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file .*missing\.tif"):
        read_stack(tmp_path / "missing.tif")


@pytest.mark.parametrize("name", ["text.tif", "text.png"])
def test_file_of_something_else_is_named(name, tmp_path):
    (tmp_path / name).write_text("not an image")

    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        read_stack(tmp_path / name)


def test_folder_of_something_else_is_named(tmp_path):
    with pytest.raises(ValueError, match="cannot be read as an image"):
        read_stack(tmp_path)


def test_zarr_group_says_what_to_give(tmp_path):
    zarr.open_group(tmp_path / "group.zarr", mode="w")

    with pytest.raises(ValueError, match="path of one of them"):
        read_stack(tmp_path / "group.zarr")
