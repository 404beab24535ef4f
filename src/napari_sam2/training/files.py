"""Files that are either as they were, or whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def write_all(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files that belong together: none takes its place before all are written.

    Parameters
    ----------
    files : mapping of Path to callable
        As in `write_whole`; they take their places in this order.

    Raises
    ------
    OSError
        If one cannot be written; nothing is left of the attempt.
    """
    partials = {path: _partial(path) for path in files}
    try:
        for path, write in files.items():
            _write(path, partials[path], write)
        for path, partial in partials.items():
            partial.replace(path)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its last version, then put it in its place.

    Whatever stops the writing, a full disk or the end of the program, the last version stays.

    Parameters
    ----------
    path : Path
        Where the file goes; its folder is made if need be.
    write : callable
        Writes everything to the path that it is given.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left of the attempt.
    """
    write_all({path: write})


def _write(path: Path, partial: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(partial)
        with partial.open("rb+") as file:  # on the disk before it replaces what is there
            os.fsync(file.fileno())
    except RuntimeError as error:  # torch's word for what the disk says
        raise OSError(f"{path} could not be written: {str(error).splitlines()[0]}") from error


def _partial(path: Path) -> Path:
    # The number of the process: two that write the same file do not mix.
    return path.with_name(f"{path.name}.{os.getpid()}.partial")
