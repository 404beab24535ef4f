"""Full disks: what systems say then, and what is said to the user."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What systems say where a disk or a quota is full, or a file too large.
NO_ROOM = {getattr(errno, name, errno.ENOSPC) for name in ("ENOSPC", "EDQUOT", "EFBIG")}


class NoRoomError(OSError):
    """A disk is full; the message says what was to be written, and what to do."""


@contextmanager
def explaining_full_disk(what: str, advice: str = "") -> Iterator[None]:
    """Say what to do where the disk is full, or a file larger than it may be.

    Parameters
    ----------
    what : str
        What is written, with an article.
    advice : str
        What to do once there is room.

    Raises
    ------
    NoRoomError
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise NoRoomError(
            f"There is no room for {what} ({error.strerror}). Make room on the disk, or write "
            f"elsewhere. {advice}".rstrip()
        ) from error
