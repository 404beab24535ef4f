"""How long a window does not answer, and what keeps it: a late timer, and a thread that looks."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

INTERVAL = 0.005  #: seconds from tick to tick
LATE = 0.02  #: seconds, after which the thread looks what the window does
OURS = "napari_sam2"

#: File, line and function of what is being called, from the inside out.
Stack = tuple[tuple[str, int, str], ...]


@dataclass
class Block:
    """A time without a tick."""

    seconds: float
    at_work: float  #: seconds of it that the thread of the window had the processor
    stacks: list[Stack]
    held: bool  #: whether no other thread ran Python either
    clearing: float  #: seconds of it that Python cleared away what is not used any more

    def tell(self) -> str:
        """Say what the window did, most of that time."""
        if self.clearing > self.seconds / 3:
            return f"Python's garbage collection ({1000 * self.clearing:.0f} ms)"
        ours = Counter(name for one in self.stacks if (name := _innermost(one, OURS)))
        inner = Counter(_name(one[0]) for one in self.stacks if one)
        if not inner:
            return "no sample: Python's lock was held" if self.held else "no sample"
        (where, _), *_ = inner.most_common(1)
        if not ours:
            waits = self.at_work < self.seconds / 3
            return f"{'waiting for the processor, ' if waits else ''}in {where}"
        (mine, _), *_ = ours.most_common(1)
        return mine if mine == where else f"{mine}, in {where}"


@dataclass
class Phase:
    """All ticks of a time."""

    name: str
    gaps: list[float] = field(default_factory=list)  #: seconds beyond the interval
    blocks: list[Block] = field(default_factory=list)  #: those of `LATE` and more

    @property
    def longest(self) -> float:
        """The longest time without an answer, in seconds."""
        return max(self.gaps, default=0.0)

    @property
    def usual(self) -> float:
        """The 99th percentile of times without an answer, in seconds."""
        return float(np.percentile(self.gaps, 99)) if self.gaps else 0.0

    def worst(self, n: int = 1) -> list[Block]:
        """Give the longest blocks."""
        return sorted(self.blocks, key=lambda one: -one.seconds)[:n]


class Heartbeat:
    """Ticks in the thread of the window, which has to be the one that makes it."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._phase: Phase | None = None
        self._stacks: list[Stack] = []
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self._looked = self._longest_look = 0.0
        self._clearing = self._began_clearing = 0.0
        gc.callbacks.append(self._note_clearing)
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(1000 * INTERVAL))
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        threading.Thread(target=self._watch, name="heartbeat", daemon=True).start()

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Listen for as long as this is open."""
        phase = Phase(name)
        self._begin()
        self._phase = phase
        try:
            yield phase
        finally:
            self._tick()
            self._phase = None

    def _begin(self) -> None:
        self._stacks, self._longest_look, self._clearing = [], 0.0, 0.0
        self._last, self._worked = time.perf_counter(), time.thread_time()

    def _note_clearing(self, what: str, about: object) -> None:
        if what == "start":
            self._began_clearing = time.perf_counter()
        else:
            self._clearing += time.perf_counter() - self._began_clearing

    def _tick(self) -> None:
        gap = time.perf_counter() - self._last - INTERVAL
        if self._phase is not None:
            self._phase.gaps.append(max(gap, 0.0))
            if gap > LATE:
                worked = time.thread_time() - self._worked
                held = self._longest_look > gap / 2
                block = Block(gap, worked, self._stacks, held, self._clearing)
                self._phase.blocks.append(block)
        self._begin()

    def _watch(self) -> None:
        while True:
            time.sleep(INTERVAL)
            now = time.perf_counter()
            self._longest_look = max(self._longest_look, now - self._looked)
            self._looked = now
            if self._phase is not None and now - self._last > LATE:
                frame = sys._current_frames().get(self._main)
                self._stacks.append(_stack(frame))


def until(condition: Callable[[], Any], seconds: float = 300.0) -> None:
    """Let the window live until something holds."""
    loop, timer = QEventLoop(), QTimer()
    deadline = time.perf_counter() + seconds
    late: list[bool] = []

    def look() -> None:
        if condition():
            loop.quit()
        elif time.perf_counter() > deadline:
            late.append(True)
            loop.quit()

    timer.timeout.connect(look)
    timer.start(round(1000 * INTERVAL))
    loop.exec()
    timer.stop()
    if late:
        raise TimeoutError(f"The window has not got there in {seconds:g} s.")


def rest(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() > end)


def _stack(frame: FrameType | None) -> Stack:
    found = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(found)


def _innermost(stack: Stack, package: str) -> str:
    return next((_name(one) for one in stack if f"/{package}/" in Path(one[0]).as_posix()), "")


def _name(place: tuple[str, int, str]) -> str:
    file, line, function = place
    return f"{Path(file).stem}.{function}:{line}"
