"""What was changed, step by step: undone and redone bit for bit, within a budget of bytes."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

#: What is changed.
Held = TypeVar("Held")
Held_contra = TypeVar("Held_contra", contravariant=True)

HISTORY_BYTES = 256 * 2**20


class Change(Protocol[Held_contra]):
    """One thing that was changed, and what was there before."""

    @property
    def nbytes(self) -> int:
        """About how much memory this takes."""

    @property
    def is_seen(self) -> bool:
        """Whether it is more than what is remembered in order to compute."""

    def swap(self, held: Held_contra) -> None:
        """Put back what was there, and keep what is there now in its place."""


class Step(Generic[Held]):
    """Changes that are undone together.

    Parameters
    ----------
    text : str
        What was done, as the user is told: "remove cell 1".
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._changes: list[Change[Held]] = []
        self._saved: set[Hashable] = set()
        self._is_undone = False
        self.is_seen = False  #: whether anything was changed
        self.nbytes = 0

    def save(self, key: Hashable, make: Callable[[], Change[Held]]) -> None:
        """Keep what is about to change, if it changes for the first time in this step."""
        if key not in self._saved:
            self._saved.add(key)
            self.add(make())

    def add(self, change: Change[Held]) -> None:
        """Keep a change on top of all others."""
        self._changes.append(change)
        self.is_seen |= change.is_seen
        self.nbytes += change.nbytes

    def swap(self, held: Held) -> None:
        """Undo the changes, the last one first; or redo them, if they are undone."""
        for change in self._changes if self._is_undone else reversed(self._changes):
            change.swap(held)
        self._is_undone = not self._is_undone
        self.nbytes = sum(change.nbytes for change in self._changes)


class History(Generic[Held]):
    """The steps that can be undone, and those that can be redone.

    Not for several threads at once: whoever changes something holds a lock meanwhile.

    Parameters
    ----------
    held : object
        What is changed: changes are swapped with it.
    budget : int
        Bytes. Beyond it the oldest steps are forgotten, and are there for good.
    """

    def __init__(self, held: Held, budget: int = HISTORY_BYTES) -> None:
        self.held, self.budget = held, budget
        self._done: deque[Step[Held]] = deque()
        self._bytes = 0  #: of what is done
        self._undone: list[Step[Held]] = []
        self._open: Step[Held] | None = None
        self._is_apart = False
        #: How often anything was undone or redone: whoever goes on with something compares.
        self.rewinds = 0
        #: Called with each new step, and as it grows, in the thread that makes it.
        self.watcher: Callable[[Step[Held]], None] | None = None

    @property
    def done(self) -> tuple[Step[Held], ...]:
        """What can be undone; the last one first."""
        return tuple(reversed(self._done))

    @property
    def undone(self) -> tuple[Step[Held], ...]:
        """What can be redone; that which was undone last first."""
        return tuple(reversed(self._undone))

    @property
    def nbytes(self) -> int:
        """About how much memory all steps take."""
        return sum(step.nbytes for step in (*self._done, *self._undone))

    @contextmanager
    def step(self, text: str, onto: Step[Held] | None = None) -> Iterator[Step[Held]]:
        """Take what changes while this is open as one step; within another one, as its part.

        What is changed for nothing, as an error is raised, is put back.

        Parameters
        ----------
        text : str
            What is done, as the user is told.
        onto : Step, optional
            The step to go on with, if it is still the last one.
        """
        if self._open is not None or self._is_apart:
            yield self._open or Step(text)
            return
        goes_on = onto is not None and bool(self._done) and self._done[-1] is onto
        self._open = step = onto if onto is not None and goes_on else Step(text)
        before = step.nbytes
        try:
            yield step
        except BaseException:
            if not goes_on:
                step.swap(self.held)
                step.is_seen = False
            raise
        finally:
            self._open = None
            self._take_in(step, step.nbytes - before)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Change something that others know how to undo; steps made before stay redoable.

        Only what no step made meanwhile restores may be changed so: prompts and names, and
        objects of which nothing was found.
        """
        was_apart, self._is_apart = self._is_apart, True
        try:
            yield
        finally:
            self._is_apart = was_apart

    def save(self, key: Hashable, make: Callable[[], Change[Held]]) -> None:
        """Keep what is about to change; `make` is called the first time in each step."""
        if not self._is_apart:
            self._opened().save(key, make)

    def add(self, change: Change[Held]) -> None:
        """Keep a change on top of all others of the step."""
        if not self._is_apart:
            self._opened().add(change)

    def undo(self) -> Step[Held]:
        """Undo the last step.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not self._done:
            raise ValueError("There is nothing to undo.")
        step = self._done.pop()
        self._bytes -= step.nbytes
        self._undone.append(step)
        return self._swap(step)

    def redo(self) -> Step[Held]:
        """Do again what was undone last.

        Raises
        ------
        ValueError
            If nothing was undone since the last change.
        """
        if not self._undone:
            raise ValueError("There is nothing to redo.")
        step = self._undone.pop()
        self._done.append(self._swap(step))
        self._bytes += step.nbytes
        return step

    def forget(self) -> None:
        """Forget all steps: nothing can be undone or redone."""
        self._done.clear()
        self._undone.clear()
        self._bytes = 0

    def _swap(self, step: Step[Held]) -> Step[Held]:
        step.swap(self.held)
        self.rewinds += 1
        return step

    def _opened(self) -> Step[Held]:
        assert self._open is not None, "changed outside of a step: it could not be undone"
        return self._open

    def _take_in(self, step: Step[Held], grown: int) -> None:
        if not step.is_seen:
            return
        is_new = not self._done or self._done[-1] is not step
        if is_new:
            self._undone.clear()
            self._done.append(step)
        self._bytes += grown
        while self._bytes > self.budget:
            self._bytes -= self._done.popleft().nbytes
        if self.watcher is not None:
            self.watcher(step)
