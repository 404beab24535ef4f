"""Results as files: labels as TIFF, overlays as pictures and animations."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image
from skimage.segmentation import find_boundaries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_sam2.predictors.frames import ArrayLike

#: Colours of objects 1, 2, ..., far apart for common kinds of colour vision (after Okabe and Ito).
PALETTE = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (213, 94, 0),
        (204, 121, 167),
        (0, 114, 178),
    ],
    dtype=np.uint8,
)


def read_stack(path: Path) -> ArrayLike:
    """Open an image or a stack, without reading it where the format allows.

    Parameters
    ----------
    path : Path
        A TIFF (mapped where it is not compressed), a ``.npy``, a zarr folder, or any
        picture that scikit-image reads.

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read as an image.
    """
    if not path.exists():
        raise ValueError(f"There is no file {path}.")
    try:
        if path.suffix == ".npy":
            mapped: np.ndarray = np.load(path, mmap_mode="r")
            return mapped
        if path.suffix == ".zarr":
            return _open_zarr(path)
        if path.suffix.lower() in {".tif", ".tiff"}:
            return _open_tiff(path)
        return np.asarray(Image.open(path))
    except (OSError, tifffile.TiffFileError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _open_tiff(path: Path) -> ArrayLike:
    try:
        stack: np.ndarray = tifffile.memmap(path, mode="r")
    except ValueError:  # compressed, or in pieces
        stack = tifffile.imread(path)
    return stack


def _open_zarr(path: Path) -> ArrayLike:
    try:
        import zarr
    except ImportError as error:
        raise ValueError("To read zarr folders: pip install zarr") from error
    array: Any = zarr.open(path, mode="r")
    if not hasattr(array, "shape"):
        raise ValueError(f"{path} is a group of arrays; give the path of one of them.")
    stack: ArrayLike = array
    return stack


def save_stack(path: Path, stack: np.ndarray) -> None:
    """Write images or labels as a compressed TIFF."""
    # Said outright: three or four frames would be taken for colour.
    tifffile.imwrite(path, stack, photometric="minisblack", compression="zlib")


@contextmanager
def label_file(path: Path, shape: Sequence[int], dtype: np.dtype) -> Iterator[np.ndarray]:
    """Open a TIFF of labels to write frame by frame, in constant memory.

    The file has its name only once it is complete; before, and if writing fails, it lies
    beside as ``*.partial.tif``.
    """
    partial = path.with_suffix(".partial.tif")
    labels = tifffile.memmap(partial, shape=tuple(shape), dtype=dtype, photometric="minisblack")
    yield labels
    labels.flush()
    del labels
    partial.replace(path)


def overlay(frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw objects over an image: tinted, with an outline.

    Parameters
    ----------
    frame : np.ndarray, shape (H, W, 3), float32
        In [0, 1].
    labels : np.ndarray, shape (H, W), integers

    Returns
    -------
    np.ndarray, shape (H, W, 3), uint8
    """
    colours = PALETTE[(labels - 1) % len(PALETTE)]
    outline: np.ndarray = find_boundaries(labels, mode="inner")
    strength = (0.3 * (labels > 0) + 0.6 * outline)[..., None]
    picture: np.ndarray = 255 * frame * (1 - strength) + colours * strength
    return picture.round().astype(np.uint8)


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3), uint8, in the format of the path's suffix."""
    Image.fromarray(picture).save(path)


def save_animation(path: Path, pictures: Iterable[np.ndarray], frame_rate: float = 8) -> None:
    """Write pictures (H, W, 3), uint8, as a GIF that loops."""
    first, *others = (Image.fromarray(picture) for picture in pictures)
    duration = round(1000 / frame_rate)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0)
