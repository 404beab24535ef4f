"""Results as files: labels as TIFF, tables as CSV, overlays as pictures."""

from __future__ import annotations

import csv
import math
import mmap
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tifffile
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_sam2.results.gif import open_gif
from napari_sam2.results.room import NO_ROOM, NoRoomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedRandom
    from pathlib import Path


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

LABEL_SUFFIXES = (".tif", ".tiff")
CHUNK = 2**24  #: bytes written at once


def save_stack(path: Path, stack: np.ndarray) -> None:
    """Write images or labels as a compressed TIFF."""
    # Said outright: three or four frames would be taken for colour.
    tifffile.imwrite(path, stack, photometric="minisblack", compression="zlib")


def save_table(path: Path, table: np.ndarray) -> None:
    """Write a structured array (N,) as a CSV, a column a field; NaN is left empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.dtype.names or ())
        for row in table:
            # As the array prints them: a float32 of 0.9 is not 0.8999999761581421.
            writer.writerow(["" if value != value else str(value) for value in row])


class LabelFile:
    """Labels in a TIFF, read and written in parts, in constant memory.

    The file is made when it is first written to; until then all is background.

    Parameters
    ----------
    path : Path
    shape : sequence of int
    dtype : np.dtype
        Integers.
    """

    def __init__(self, path: Path, shape: Sequence[int], dtype: np.dtype) -> None:
        self.path = path
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._mapping: mmap.mmap | None = None
        self._array: np.ndarray | None = None  # of what is mapped

    def __getitem__(self, index: Any) -> np.ndarray:
        empty = np.broadcast_to(np.zeros((), self.dtype), self.shape)
        # A copy: what refers to the mapping keeps it open.
        return np.array((empty if self._array is None else self._array)[index])

    def __setitem__(self, index: Any, values: np.ndarray) -> None:
        self.open()[index] = values

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._array is not None

    def open(self) -> np.ndarray:
        """Make the file, in its full size, unless it is there.

        Raises
        ------
        NoRoomError
            If there is none for it.
        """
        if self._array is None:
            offset = _make_labels(self.path, self.shape, self.dtype)
            with self.path.open("r+b") as file:
                self._mapping = mmap.mmap(file.fileno(), 0)
            pixels = np.frombuffer(self._mapping, self.dtype, math.prod(self.shape), offset)
            self._array = pixels.reshape(self.shape)
        return self._array

    def close(self) -> None:
        """Write what is pending, and let go of the file."""
        self._array = None
        if self._mapping is not None:
            self._mapping.flush()
            # Windows renames no file that is still mapped.
            self._mapping.close()
            self._mapping = None


@contextmanager
def label_file(path: Path, shape: Sequence[int], dtype: np.dtype) -> Iterator[LabelFile]:
    """Open a TIFF of labels to write frame by frame, in constant memory.

    The file has its name only once it is complete; before, and if writing fails, it lies
    beside as ``*.partial.tif``. What goes wrong inside is raised with a note that says so.

    Raises
    ------
    NoRoomError
        If there is none for it; nothing is left then.
    """
    labels = LabelFile(partial_path(path), shape, dtype)
    try:
        yield labels
    except BaseException as error:
        if labels.is_open:
            labels.close()
            error.add_note(f"The frames that were done are in {labels.path}.")
        raise
    labels.open()
    labels.close()
    labels.path.replace(path)


def partial_path(path: Path) -> Path:
    """Give the name that a file of labels has until it is complete."""
    return path.with_suffix(".partial.tif")


def check_label_path(path: Path, sources: Iterable[Path]) -> None:
    """Refuse to write labels where nobody would look for them, or over what they are made from.

    Parameters
    ----------
    path : Path
        Where labels are to go.
    sources : iterable of Path
        Files and folders that are read.

    Raises
    ------
    ValueError
        The message says what to give instead.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise ValueError(f"Labels are written as TIFF; give a name that ends in .tif, not {path}.")
    check_target(path, sources)
    check_target(partial_path(path), sources)


def check_target(path: Path, sources: Iterable[Path]) -> None:
    """Refuse a file that cannot be written, or is one that is read; see `check_label_path`."""
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} into.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file to write.")
    for source in sources:
        if path == source or (path.exists() and source.exists() and path.samefile(source)):
            raise ValueError(f"Writing {path} would overwrite {source}; give another name.")


def _make_labels(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Make a TIFF of background; give the position of its first pixel in the file."""
    size = dtype.itemsize * math.prod(shape)
    try:
        written = tifffile.imwrite(
            path, shape=shape, dtype=dtype, photometric="minisblack", returnoffset=True
        )
        offset, _ = cast("tuple[int, int]", written)
        _reserve(path, offset, size)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(path.parent).free
        raise NoRoomError(
            f"There is no room for {size / 2**20:.1f} MiB of labels in {path.absolute().parent}, "
            f"which has {free / 2**20:.1f} MiB free ({error.strerror}). Make room, or write them "
            "elsewhere."
        ) from error
    return offset


def _reserve(path: Path, offset: int, size: int) -> None:
    """Take room on the disk.

    Where a file with holes is mapped, and the disk is full when one is written to, the system
    kills the program.
    """
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), offset, size)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            # Not every system can, and not on every kind of disk.
            _write_zeros(file, offset, size)


def _write_zeros(file: BufferedRandom, offset: int, size: int) -> None:
    file.seek(offset)
    for begin in range(0, size, CHUNK):
        file.write(bytes(min(CHUNK, size - begin)))


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
    with open_gif(path, frame_rate) as gif:
        for picture in pictures:
            gif.add(picture)
