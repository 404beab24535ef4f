"""What is taken back, and done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.workspace import Workspace


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

    def undo(self) -> str:
        """Undo the last change: what it changed is bit for bit what it was before.

        A run that is under way ends: it gives no further frames.

        Returns
        -------
        str
            What was undone.

        Raises
        ------
        ValueError
            If there is nothing to undo.
        """
        with self._work.lock:
            return self._work.history.undo().text

    def redo(self) -> str:
        """Do again what was undone last, bit for bit, unless something was changed since.

        A run that is under way ends.

        Returns
        -------
        str
            What was done again.

        Raises
        ------
        ValueError
            If there is nothing to redo.
        """
        with self._work.lock:
            return self._work.history.redo().text
