"""Labels that live in a file of their own: made, named in a session file, and found again."""

from __future__ import annotations

import atexit
import math
import mmap
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Labels beyond it are kept in a file; what was written last stays in the system's own cache.
MEMORY_BYTES = 2 * 2**30
CHUNK_EDGE = 1024  #: pixels, of what is read and written at once


def is_large(shape: Sequence[int], dtype: np.dtype) -> bool:
    """Whether labels had better not be kept in memory."""
    return math.prod(shape) * dtype.itemsize > MEMORY_BYTES


def scratch_labels(shape: Sequence[int], dtype: np.dtype, seen: tuple[int, int]) -> Any:
    """Make labels as `new_label_file` does, that go when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="napari-sam2-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return new_label_file(folder / "labels.zarr", shape, dtype, seen)


def new_label_file(
    folder: Path, shape: Sequence[int], dtype: np.dtype, seen: tuple[int, int]
) -> Any:
    """Make a zarr array of background, compressed, a plane a chunk or a few.

    Zarr and not a mapped file: labels are mostly background, and take a hundredth of their
    size on the disk.

    Parameters
    ----------
    folder : Path
        What to make; there must be nothing of this name.
    shape : sequence of int
    dtype : np.dtype
        Integers.
    seen : tuple of int
        The axes of rows and columns.
    """
    import zarr  # half a second that small labels need not wait for

    chunks = tuple(min(n, CHUNK_EDGE) if i in seen else 1 for i, n in enumerate(shape))
    return zarr.create_array(
        folder, shape=tuple(shape), dtype=dtype, chunks=chunks, fill_value=0, zarr_format=3
    )


def refer_to(array: Any, session_file: Path) -> dict[str, Any]:
    """Say where an array is kept, as plain data.

    Parameters
    ----------
    array : np.memmap or zarr.Array
    session_file : Path
        What will say so; both may be moved together.

    Raises
    ------
    ValueError
        If it is in memory, or in a place that is not known.
    """
    path = _path_of(array)
    if path is None:
        raise ValueError(
            f"Labels in a {type(array).__name__} cannot be referred to: expected a whole memmap, "
            "or a zarr array in a folder. Save a copy of them instead."
        )
    path = path.absolute()
    place: dict[str, Any] = {"path": str(path), "relative": None}
    with suppress(ValueError):  # other drives of Windows
        place["relative"] = os.path.relpath(path, session_file.absolute().parent)
    if isinstance(array, np.memmap):
        return {**place, "kind": "memmap", "offset": int(array.offset)}
    return {**place, "kind": "zarr"}


def open_reference(
    place: Mapping[str, Any], session_file: Path, shape: tuple[int, ...], dtype: np.dtype
) -> Any:
    """Open what `refer_to` spoke of, to read and write.

    Raises
    ------
    ValueError
        If it is not there, or something else is.
    """
    near = session_file.absolute().parent / (place["relative"] or place["path"])
    path = near if near.exists() else Path(place["path"])
    if not path.exists():
        raise ValueError(
            f"The labels of {session_file} are kept in {place['path']}, which is not there any "
            "more. Put it back, or beside the session file as it was."
        )
    try:
        if place["kind"] == "memmap":
            return np.memmap(path, dtype, "r+", offset=place["offset"], shape=shape)
        import zarr

        array = zarr.open_array(path, mode="r+")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"The labels in {path} cannot be opened: {error}") from error
    if tuple(array.shape) != shape or array.dtype != dtype:
        raise ValueError(
            f"The labels in {path} are {array.dtype} of shape {tuple(array.shape)}; expected "
            f"{dtype} of shape {shape}. Another file has taken their place."
        )
    return array


def _path_of(array: Any) -> Path | None:
    if isinstance(array, np.memmap):
        # Part of one has its offset wrong.
        whole = isinstance(array.base, mmap.mmap) and array.flags.c_contiguous
        return Path(array.filename) if whole and array.filename else None
    root = getattr(getattr(array, "store", None), "root", None)
    return None if root is None else Path(root) / str(array.path)
