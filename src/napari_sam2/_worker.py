"""One generator in a thread. Knows nothing of SAM 2."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING, Any, cast

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

#: Workers that may be about to start: a run, a preview, an edit, a picture, what is computed ahead.
ROOM = 6
LONGEST_STEP = 60.0  #: seconds that a step of another thread is waited for

_LOGGER = logging.getLogger(__name__)


def ignore(outcome: Any) -> None:
    """Take a step, or an error, that nobody has to hear of."""


def _nothing() -> None:
    """Do nothing when a job is done."""


@dataclass(frozen=True, eq=False)
class Call:
    """What to step through in a thread, and who hears of it."""

    steps: Callable[[], Generator[Any, None, None]]
    on_step: Callable[[Any], None]  #: each step
    on_error: Callable[[Exception], None]  #: what stopped it, in place of `on_done`
    on_done: Callable[[], None] = _nothing  #: after the last step


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


def _told(steps: Callable[[], Generator[Any, None, None]]) -> Generator[Any, None, None]:
    """Give what stops the steps as the last of them.

    superqt drops a RuntimeError, finished signal and all, and torch raises little else (out
    of memory included); napari shows any other with its traceback.
    """
    try:
        yield from steps()
    except Exception as error:  # whatever it is, it is told where the user looks
        _LOGGER.debug("A job failed", exc_info=True)
        yield _Failure(error)


class _Worker(GeneratorWorker):
    """napari's worker, but it leaves the warning filters of the whole program alone.

    superqt's catches warnings while it runs. The filters are not a thread's own: what the
    window warns of meanwhile pops up as the worker's, and two workers that overlap never
    put the filters back. Warnings of a step go where all others go.
    """

    def run(self) -> None:
        """Step through the generator; called by Qt."""
        self._running = True
        # Of ours nothing escapes `_told`: it is Qt's half of the worker that is gone, when the
        # program ends before the step does.
        with suppress(RuntimeError):
            try:
                self.work()
            finally:
                # One that was stopped lets go of what it holds, threads and files, and not only
                # when Python comes to clear it away.
                self._gen.close()
            self._running = False
            self.finished.emit()
            self._finished.emit(self)


def _make_room() -> None:
    """See to it that a worker need not wait for others to end.

    Qt has as many threads as cores: on one core, or beside busy plugins, a preview would wait
    for the whole of a run.
    """
    pool = cast("QThreadPool", QThreadPool.globalInstance())
    pool.setMaxThreadCount(max(pool.maxThreadCount(), pool.activeThreadCount() + ROOM))


class Job:
    """At most one generator in a thread; a new one replaces it.

    The replaced one is stopped after its current step, whose answer is dropped, and only
    then does the new one begin: never are two under way, however fast they are asked for.
    Callbacks are called in the thread that called `start`.
    """

    def __init__(self) -> None:
        self._worker: GeneratorWorker | None = None
        self._current: Call | None = None
        self._waiting: Call | None = None

    @property
    def is_running(self) -> bool:
        """Whether answers are still to come."""
        return self._current is not None or self._waiting is not None

    def start(self, call: Call) -> None:
        """Step through a generator in a thread, instead of the one under way."""
        self._waiting, self._current = call, None
        if self._worker is None:
            self._launch()
        else:
            self._worker.quit()

    def cancel(self) -> None:
        """Stop after the current step; nothing more is delivered."""
        self._waiting = self._current = None
        if self._worker is not None:
            self._worker.quit()

    def _launch(self) -> None:
        call, self._waiting = self._waiting, None
        if call is None:
            return
        # The window keeps the worker until it is closed. It has to be kept: Qt's pool looks at it
        # once more after its last signal, and the program dies if it is gone by then.
        worker = create_worker(_told, call.steps, _start_thread=False, _worker_class=_Worker)

        def step(outcome: Any) -> None:
            if call is not self._current:
                return
            if isinstance(outcome, _Failure):
                self._current = None
                call.on_error(outcome.error)
            else:
                call.on_step(outcome)

        def finish() -> None:
            self._worker = None
            # All that its steps have ever held is let go of with them.
            worker.yielded.disconnect(step)
            worker.finished.disconnect(finish)
            if call is self._current:
                self._current = None
                call.on_done()
            if self._worker is None:  # `on_done` may have begun another
                self._launch()

        worker.yielded.connect(step)
        worker.finished.connect(finish)
        self._current, self._worker = call, worker
        _make_room()
        worker.start()


class Steps:
    """Steps that are gone through once, by whichever thread comes first.

    Parameters
    ----------
    steps : callable
        Gives the generator.
    """

    def __init__(self, steps: Callable[[], Generator[Any, None, None]]) -> None:
        self._steps, self._lock, self._is_begun = steps, Lock(), False
        self._ended = Event()

    def __call__(self) -> Generator[Any, None, None]:
        """Go through them, unless another thread does or has."""
        with self._lock:
            if self._is_begun:
                return
            self._is_begun = True
        try:
            yield from self._steps()
        finally:
            self._ended.set()

    @property
    def has_ended(self) -> bool:
        """Whether all was gone through, or given up."""
        return self._ended.is_set()

    def finish(self) -> None:
        """Go through what another thread has not begun, or wait until it has ended."""
        for _ in self():
            pass
        self._ended.wait(LONGEST_STEP)


class WholeSteps(Steps):
    """Steps that are gone through to the end, also where nobody asks for the next one.

    Whoever stops asking goes through the rest of them, and hears nothing of it, unless they were
    called off.
    """

    def __init__(self, steps: Callable[[], Generator[Any, None, None]]) -> None:
        super().__init__(partial(self._whole, steps))
        self._is_called_off = False

    def call_off(self) -> None:
        """Have them end where they are, or not begin."""
        self._is_called_off = True

    def _whole(self, steps: Callable[[], Generator[Any, None, None]]) -> Generator[Any, None, None]:
        if self._is_called_off:
            return
        rest = steps()
        try:
            for step in rest:  # noqa: UP028 - `yield from` would end them, too
                yield step
        except GeneratorExit:
            if not self._is_called_off:
                self._finish_unheard(rest)
            raise
        finally:
            rest.close()

    def _finish_unheard(self, rest: Generator[Any, None, None]) -> None:
        try:
            deque(rest, 0)
        except Exception:  # nobody is there to be told
            _LOGGER.warning("What was asked for was not done to its end", exc_info=True)


class Queue:
    """Generators in a thread, one after another; none is dropped."""

    def __init__(self) -> None:
        self._job = Job()
        self._calls: deque[Call] = deque()
        self._now: Steps | None = None  #: what is under way, or was last

    @property
    def is_running(self) -> bool:
        """Whether answers are still to come."""
        return self._job.is_running

    @property
    def has_more(self) -> bool:
        """Whether any wait for the one that is under way, or has just ended."""
        return bool(self._calls)

    def add(self, call: Call) -> None:
        """Step through a generator in a thread after those added before."""
        self._calls.append(call)
        if not self._job.is_running:
            self._next()

    def cancel(self) -> None:
        """Stop after the current step; nothing more is done."""
        self._calls.clear()
        self._job.cancel()

    def hand_over(self) -> list[Steps]:
        """Do nothing more, and give what is not done: what is under way, and what waits."""
        now = [self._now] if self._now is not None and self.is_running else []
        waiting = [Steps(call.steps) for call in self._calls]
        self.cancel()
        return [*now, *waiting]

    def _next(self) -> None:
        self._now = None
        if not self._calls:
            return
        call = self._calls.popleft()
        self._now = steps = Steps(call.steps)

        def done() -> None:
            call.on_done()
            self._next()

        def fail(error: Exception) -> None:
            call.on_error(error)
            self._next()

        self._job.start(replace(call, steps=steps, on_done=done, on_error=fail))


class Turns:
    """A lock that threads get in the order in which they asked for it.

    With an ordinary one, a thread that takes it again as soon as it has let go, once a frame,
    keeps all others waiting until it is done.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._asked = self._served = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for one's turn, and have it; not to be asked for again meanwhile."""
        with self._changed:
            mine = self._asked
            self._asked += 1
            self._changed.wait_for(lambda: self._served == mine)
        try:
            yield
        finally:
            with self._changed:
                self._served += 1
                self._changed.notify_all()
