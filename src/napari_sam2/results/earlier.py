"""Labels as they were before a run, kept as what was changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_sam2.results.pixels import Pixels

LIMIT = 256 * 2**20  #: bytes


class EarlierLabels:
    """Keeps the pixels of each frame that were changed, so that they can be put back.

    Where that takes more than there is room for, the frames that were changed first are given
    up.

    Parameters
    ----------
    limit : int
        Room, in bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._changes: dict[int, list[Pixels]] = {}

    def begin(self) -> None:
        """Forget all: what is there now is what changes are seen against."""
        self._changes.clear()
        self._size = 0

    def note(self, frame: int, pixels: Pixels) -> None:
        """Keep what a frame was where it is about to be changed."""
        self._changes.setdefault(frame, []).append(pixels)
        self._size += pixels.nbytes
        while self._size > self._limit:
            oldest = next(iter(self._changes))
            self._size -= sum(one.nbytes for one in self._changes.pop(oldest))

    def restore(self, frame: int, now: np.ndarray) -> np.ndarray:
        """Give a frame as it was, (H, W); `now` is what it is."""
        earlier = np.array(now)
        for pixels in reversed(self._changes.get(frame, [])):
            pixels.put(earlier)
        return earlier
