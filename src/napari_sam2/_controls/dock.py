"""What all docks have in common: they stop when they are closed."""

from __future__ import annotations

import atexit
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Callable


class Dock(QWidget):
    """A widget that lets go of everything when napari closes it, in whichever way.

    napari takes the content out of a dock that is closed, closes a window of its own, and
    deletes both with the viewer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Callable[[], None]] = []  #: for the end

    def shut_with(self, shut: Callable[[], None]) -> None:
        """Say what is called, once, when the dock is closed."""
        self._waiting.append(shut)
        # Called while the widget is being deleted, which a bound method would not be.
        call = partial(_call, self._waiting)
        self._waiting.append(partial(atexit.unregister, call))
        self.destroyed.connect(lambda: call())
        # A script may end with the viewer open. Qt deletes its widgets later, when Python has
        # stopped the threads that are needed to save.
        atexit.register(call)

    def shut(self) -> None:
        """Stop all work, and let go of the viewer; once."""
        _call(self._waiting)

    def changeEvent(self, event: QEvent | None) -> None:
        """Notice that the dock was closed: napari then takes its content out; called by Qt."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.ParentChange and not self.parent():
            self.shut()

    def closeEvent(self, event: Any) -> None:
        """Notice the end of a window of its own; called by Qt."""
        self.shut()
        super().closeEvent(event)


def unwrapped(viewer: Any) -> Any:
    """Give the viewer itself: napari gives plugins a proxy, with new objects for its layers."""
    return getattr(viewer, "__wrapped__", viewer)


def _call(waiting: list[Callable[[], None]]) -> None:
    while waiting:
        waiting.pop()()
