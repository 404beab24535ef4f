"""Files that are either as they were, or whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
    path.parent.mkdir(parents=True, exist_ok=True)
    # The number of the process: two that write the same file do not mix.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with partial.open("rb+") as file:  # on the disk before it replaces what is there
            os.fsync(file.fileno())
        partial.replace(path)
    except RuntimeError as error:  # torch's word for what the disk says
        raise OSError(f"{path} could not be written: {str(error).splitlines()[0]}") from error
    finally:
        partial.unlink(missing_ok=True)
