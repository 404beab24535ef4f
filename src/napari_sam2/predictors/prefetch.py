"""Frames read ahead of the one that is tracked."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.predictors.frames import EVERYTHING
from napari_sam2.predictors.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam2.predictors.frames import Frames, Region

FRAMES_AHEAD = 4  #: read before they are asked for, at most: windows move on
PIXEL_BYTES = 12  #: of a pixel as it is read: three colours in float32
BLANK = 2.0  #: windows are read as one if it is at most this many times as large as they are

Ahead = Future[np.ndarray]


class ReadAhead:
    """Frames of a source, the next of which are read in a thread while `ahead` is open.

    Which parts of frames will be wanted is not known before they are: an object is looked for
    around where it was a frame earlier. But windows seldom move, so what was asked of a frame
    is read of the next ones; what is missing then is read when it is asked for. Nothing that
    is read differs by it, errors included: a frame that could not be read ahead is an error
    once it is asked for, and no sooner.

    The source is never asked by two threads at once.

    Parameters
    ----------
    source : Frames
    max_bytes : int
        How much may be read before it is asked for; what does not fit is not read ahead, and
        with 0 there is no thread.
    """

    def __init__(self, source: Frames, max_bytes: int) -> None:
        self.source = source
        self.max_bytes = max_bytes
        self._asking = Lock()
        self._plan: _Plan | None = None

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return self.source.n_frames

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame, in pixels."""
        return self.source.shape

    def arrive(self, frame: int) -> None:
        """Say which frame is tracked from now on."""
        if plan := self._plan:
            plan.arrive(frame)

    def read(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read a frame, or a region of it: see `Frames`."""
        window, plan = _window(region, self.shape), self._plan
        found = plan.take(frame, window) if plan else None
        if found is None:
            found = self._read(frame, window)
        if plan:
            plan.ask(frame, window)  # not before: what is wanted now goes first
        return found

    @contextmanager
    def ahead(self, frames: Sequence[int]) -> Iterator[None]:
        """Read ahead while this is open; the thread has ended when it is left.

        Parameters
        ----------
        frames : sequence of int
            In the order in which they will be asked for. Of two orders open at the same time
            the later counts.
        """
        if self.max_bytes < PIXEL_BYTES:
            yield
            return
        with ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-read") as thread:
            self._plan = mine = _Plan(self, thread, frames)
            try:
                yield
            finally:
                mine.close()
                if self._plan is mine:
                    self._plan = None

    def _read(self, frame: int, window: Window) -> np.ndarray:
        with self._asking:
            return self.source.read(frame, window.region)


class _Plan:
    """What is read ahead on one way through frames."""

    def __init__(
        self, reader: ReadAhead, thread: ThreadPoolExecutor, frames: Sequence[int]
    ) -> None:
        self._reader = reader
        self._thread = thread
        self._frames = frames
        self._lock = Lock()
        self._position = -1  # in `frames`: the one that is tracked
        self._asked: set[Window] = set()  # of it
        self._expected: set[Window] = set()  # of it, for what was asked of one before
        self._held: dict[int, dict[Window, Ahead]] = {}  # by position
        self._closed = False

    def take(self, frame: int, window: Window) -> np.ndarray | None:
        """Give what was read ahead, waiting for what is being read; None if it was not."""
        with self._lock:
            held = self._held.get(self._find(frame), {})
            around = next((one for one in held if _holds(one, window)), None)
            if around is None:
                return None
            future = held[around]
            if future.cancel():  # it was not begun
                del held[around]
                return None
        # Outside the lock, for this waits. What failed is asked for anew: that meets it, or not.
        if future.exception():
            self._give_up(frame, around)
            return None
        pixels = future.result()
        rows, columns = window.row - around.row, window.column - around.column
        part = pixels[rows : rows + window.height, columns : columns + window.width]
        return np.ascontiguousarray(part)

    def _give_up(self, frame: int, window: Window) -> None:
        with self._lock:
            self._held.get(self._find(frame), {}).pop(window, None)

    def arrive(self, frame: int) -> None:
        """Go on to a frame, and have of the next ones what the last one was asked for."""
        with self._lock:
            position = self._find(frame)
            if self._closed or position <= self._position:
                return
            if self._asked:
                self._expected, self._asked = self._asked, set()
            self._position = position
            self._drop()
            self._submit()

    def ask(self, frame: int, window: Window) -> None:
        """Note what was asked for, and have as much of the next frames."""
        with self._lock:
            # Others are read, too: where prompts are, and for previews in other threads.
            here = self._find(frame) == self._position >= 0
            if here and not self._closed and window not in self._asked:
                self._asked.add(window)
                self._submit()

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True
            for held in self._held.values():
                for future in held.values():
                    future.cancel()
            self._held.clear()

    def _find(self, frame: int) -> int:
        try:
            return self._frames.index(frame)
        except ValueError:
            return -1

    def _drop(self) -> None:
        """Give up what lies behind, and what would no longer be asked for."""
        wanted = self._asked | self._expected
        for position, held in list(self._held.items()):
            for window, future in list(held.items()):
                ahead = position >= self._position and any(_holds(window, w) for w in wanted)
                # What is being read takes its room until it has been.
                if not ahead and (future.cancel() or future.done()):
                    del held[window]
            if not held:
                del self._held[position]

    def _submit(self) -> None:
        last = min(self._position + FRAMES_AHEAD, len(self._frames) - 1)
        room = self._reader.max_bytes - sum(_size(w) for held in self._held.values() for w in held)
        for position in range(self._position + 1, last + 1):
            held = self._held.get(position, {})
            missing = [
                window
                for window in self._asked | self._expected
                if not any(_holds(one, window) for one in held)
            ]
            for window in _together(missing):
                room -= _size(window)
                if room < 0:
                    return
                read = self._thread.submit(self._reader._read, self._frames[position], window)
                self._held.setdefault(position, {})[window] = read


def _window(region: Region, shape: tuple[int, int]) -> Window:
    (row, row_end, _), (column, column_end, _) = (
        part.indices(length) for part, length in zip(region, shape, strict=True)
    )
    return Window(row, column, row_end - row, column_end - column)


def _holds(outer: Window, inner: Window) -> bool:
    return (
        outer.row <= inner.row
        and outer.column <= inner.column
        and outer.row + outer.height >= inner.row + inner.height
        and outer.column + outer.width >= inner.column + inner.width
    )


def _size(window: Window) -> int:
    return window.height * window.width * PIXEL_BYTES


def _together(windows: list[Window]) -> list[Window]:
    """Give one window around all if little else is in it: a read costs more than its pixels."""
    if len(windows) < 2:
        return windows
    row, column = min(w.row for w in windows), min(w.column for w in windows)
    around = Window(
        row,
        column,
        max(w.row + w.height for w in windows) - row,
        max(w.column + w.width for w in windows) - column,
    )
    return [around] if _size(around) <= BLANK * sum(map(_size, windows)) else windows
