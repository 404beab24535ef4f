"""Stacks from files, mapped where the format allows."""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image, ImageSequence

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.predictors.frames import ArrayLike

#: Formats whose further pictures are frames of a film, rather than other versions of the first.
FILMS = ("GIF", "PNG", "WEBP")


#: What the libraries raise: torn files, foreign ones, and codecs of all kinds.
_UNREADABLE = (
    OSError,
    ValueError,
    IndexError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_stack(path: Path) -> ArrayLike:
    """Open an image or a stack, without reading it where the format allows.

    Parameters
    ----------
    path : Path
        A TIFF (mapped where it is not compressed), a ``.npy``, a zarr folder, or any
        picture or animation that Pillow reads: (Y, X) or (T, Y, X), in colour with a last
        axis more.

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read as an image.
    """
    if not path.exists():
        raise ValueError(f"There is no file {path}.")
    try:
        if path.is_dir():
            return _open_zarr(path)
        if path.suffix.lower() == ".npy":
            mapped: np.ndarray = np.load(path, mmap_mode="r")
            return mapped
        if path.suffix.lower() in {".tif", ".tiff"}:
            return _open_tiff(path)
        return _read_picture(path)
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _open_tiff(path: Path) -> ArrayLike:
    with tifffile.TiffFile(path) as file:
        _check_whole(file)
    try:
        stack: np.ndarray = tifffile.memmap(path, mode="r")
    except ValueError:  # compressed, or in pieces
        stack = tifffile.imread(path)
    return stack


def _check_whole(file: tifffile.TiffFile) -> None:
    """Refuse a file that was cut off, of which tifffile gives the pages that are left."""
    series = file.series[0]
    if series.kind == "imagej":  # tifffile has seen to it
        return
    announced = file.shaped_metadata  # by tifffile itself, which has written it
    if series.kind == "shaped" and announced:
        shape = tuple(announced[0]["shape"])
        is_whole = math.prod(shape) == series.size
    else:
        shape, is_whole = (), _is_last(file, file.pages[-1].offset)
    if not is_whole:
        expected = f", and {shape} was announced" if shape else ""
        raise ValueError(
            f"it was cut off: {tuple(series.shape)} is left{expected}. Take a copy that is whole."
        )


def _is_last(file: tifffile.TiffFile, offset: int) -> bool:
    """Whether a page, by its position in the file, announces no other one beyond the end."""
    layout, handle = file.tiff, file.filehandle
    handle.seek(offset)
    (n_tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(offset + layout.tagnosize + n_tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return bool(following < handle.size)


def _open_zarr(path: Path) -> ArrayLike:
    try:
        import zarr
    except ImportError as error:
        raise ValueError("To read zarr folders: pip install zarr") from error
    array: Any = zarr.open(path, mode="r")
    if not hasattr(array, "shape"):
        raise ValueError("it is a group of zarr arrays; give the path of one of them.")
    stack: ArrayLike = array
    return stack


def _read_picture(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.format == "TIFF":  # by another name
            return np.asarray(_open_tiff(path))
        if picture.format in FILMS and getattr(picture, "n_frames", 1) > 1:
            # Frames may come with palettes of their own.
            frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(picture)]
            return np.stack(frames)
        if picture.mode == "P":  # numbers of colours, which mean nothing by themselves
            return np.asarray(picture.convert("RGB"))
        if picture.mode in {"LA", "PA", "La"}:
            return np.asarray(picture.convert("RGBA"))
        if picture.mode in {"CMYK", "YCbCr", "LAB", "HSV"}:
            return np.asarray(picture.convert("RGB"))
        return np.asarray(picture)
