"""Labels as they were before a run, kept as what was changed since."""

from __future__ import annotations

import numpy as np

LIMIT = 256 * 2**20  #: bytes


class EarlierLabels:
    """Keeps the pixels of each frame that were changed, so that they can be put back.

    Of each change the smallest rectangle around it is kept. Where that takes more than there
    is room for, the frames that were changed first are given up.

    Parameters
    ----------
    limit : int
        Room, in bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._changes: dict[int, list[tuple[int, int, np.ndarray]]] = {}

    def begin(self) -> None:
        """Forget all: what is there now is what changes are seen against."""
        self._changes.clear()
        self._size = 0

    def frames(self) -> list[int]:
        """Give the frames that were changed and can be put back, in order."""
        return sorted(self._changes)

    def note(self, frame: int, before: np.ndarray, after: np.ndarray) -> None:
        """Keep what a frame was where it is about to be changed; both are (H, W)."""
        changed = before != after
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not rows.size:
            return
        part = before[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
        self._changes.setdefault(frame, []).append((int(rows[0]), int(columns[0]), part))
        self._size += part.nbytes
        while self._size > self._limit:
            oldest = next(iter(self._changes))
            self._size -= sum(one.nbytes for *_, one in self._changes.pop(oldest))

    def restore(self, frame: int, now: np.ndarray) -> np.ndarray:
        """Give a frame as it was, (H, W); `now` is what it is."""
        earlier = np.array(now)
        for row, column, part in reversed(self._changes.get(frame, [])):
            height, width = part.shape
            earlier[row : row + height, column : column + width] = part
        return earlier
