"""Computation that others end, from whatever thread, before it is done."""

from __future__ import annotations

from threading import Event


class Cancelled(Exception):
    """What is computed was told to end; all is as before the frame under way."""


class Cancellation:
    """Tells whoever computes that nobody waits for it any more."""

    def __init__(self) -> None:
        self._asked = Event()

    def ask(self) -> None:
        """Have what is under way end at its next `check`; called from any thread."""
        self._asked.set()

    def begin(self) -> None:
        """Begin something that was not cancelled yet."""
        self._asked.clear()

    def check(self) -> None:
        """End here if it was asked for.

        Raises
        ------
        Cancelled
        """
        if self._asked.is_set():
            raise Cancelled
