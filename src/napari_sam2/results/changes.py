"""What was written, and after what else: so that only what is new is saved."""

from __future__ import annotations

import itertools
from typing import Any, Generic, TypeVar

Part = TypeVar("Part", bound=Any)


class Changes(Generic[Part]):
    """Which parts of something were written, and after which others."""

    def __init__(self) -> None:
        self.count = 0  #: of all changes so far
        self._numbers = itertools.count(1)  # two threads never get the same
        self._last: dict[Part, int] = {}

    def note(self, *parts: Part) -> None:
        """Say that parts were written."""
        for part in parts:
            self._last[part] = self.count = next(self._numbers)

    def since(self, count: int) -> list[Part]:
        """Give the parts that were written after so many changes, in order."""
        # Another thread may write meanwhile.
        return sorted(part for part, last in self._last.copy().items() if last > count)
