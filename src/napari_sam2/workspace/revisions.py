"""What is taken back, and done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.results.overlaps import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari_sam2.workspace.ledger import Step
    from napari_sam2.workspace.workspace import Workspace


class Revisions:
    """What was changed in a session, and how to change it back.

    Parameters
    ----------
    work : Workspace
        What holds it.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work

    @property
    def history(self) -> tuple[str, ...]:
        """What can be undone, in words; the first is what `undo` undoes.

        Every change of objects, prompts, locks and labels is a step, and so is what one run
        found, however far it came. There are as many as `Settings.history_bytes` has room for;
        the oldest go first.
        """
        with self._work.lock:
            return tuple(step.text for step in self._work.history.done)

    @property
    def undone(self) -> tuple[str, ...]:
        """What can be done again, in words; the first is what `redo` does."""
        with self._work.lock:
            return tuple(step.text for step in self._work.history.undone)

    def knows(self, step: Step) -> bool:
        """Whether a step is one of those that can be undone, or redone."""
        with self._work.lock:
            return step in (*self._work.history.done, *self._work.history.undone)

    def undo(self, only: Step | None = None) -> str:
        """Undo the last change: what it changed is bit for bit what it was before.

        A run that is under way ends: it gives no further frames.

        Parameters
        ----------
        only : Step, optional
            What is expected to be undone; see `watch_steps`.

        Returns
        -------
        str
            What was undone.

        Raises
        ------
        ValueError
            If there is nothing to undo, or not what is expected: there was no room for it.
        """
        with self._work.lock:
            _expect(self._work.history.done, only)
            return self._work.history.undo().text

    def redo(self, only: Step | None = None) -> str:
        """Do again what was undone last, bit for bit, unless something was changed since.

        A run that is under way ends.

        Parameters
        ----------
        only : Step, optional
            What is expected to be done again.

        Returns
        -------
        str
            What was done again.

        Raises
        ------
        ValueError
            If there is nothing to redo, or not what is expected.
        """
        with self._work.lock:
            _expect(self._work.history.undone, only)
            return self._work.history.redo().text

    def forget_history(self) -> None:
        """Let go of what is kept to undo and redo, and of what objects lost to others.

        What is in the labels stays, and so do objects and prompts.
        """
        self._work.forget_history()

    @property
    def overlap(self) -> Overlap:
        """Which of the objects that were found at a pixel has it in the labels."""
        return self._work.overlap

    def set_overlap(self, rule: Overlap | str) -> None:
        """Say which of the objects that were found at a pixel has it in the labels.

        What is in the labels is settled anew, as if it had been the rule from the start, and
        nothing is lost: what objects claim of pixels that others have is kept, as far as
        `Settings.overlap_bytes` has room for it. Frames that were found longest ago go first,
        and stay as they are until they are found anew. Whatever the rule, locked results,
        pixels that were painted by hand and labels that were there before stay.

        Parameters
        ----------
        rule : Overlap or {"keep", "highest", "overwrite"}
            See `Overlap`.

        Raises
        ------
        ValueError
            If there is no such rule.
        """
        self._work.set_overlap(Overlap(rule))

    def watch_steps(self, watcher: Callable[[Step], None] | None) -> None:
        """Have each new step told, and as it grows, in the thread that makes it; to one watcher."""
        with self._work.lock:
            self._work.history.watcher = watcher

    def apart_from_history(self) -> AbstractContextManager[None]:
        """Change what others know how to undo, while this is open, without a step.

        For whoever shows prompts and names and has a history of them; nothing else may be
        changed so, but that objects of which nothing was found begin and end.
        """
        return self._work.apart()


def _expect(steps: tuple[Step, ...], only: Step | None) -> None:
    if only is not None and only not in steps[:1]:
        raise ValueError(
            f"{only.text!r} cannot be changed back any more: there was no room to keep what it "
            "changed. `Settings.history_bytes` is how much there is."
        )
