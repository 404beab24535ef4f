"""Keys, taken on a viewer and its layers, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeyEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget


_in_use: WeakSet[Keys] = WeakSet()  #: of all docks


class Keys:
    """Takes keys on a viewer and on the layer that is active, whose own would win.

    Parameters
    ----------
    viewer : ViewerModel
    actions : mapping of str to callable
        What each key does, e.g. ``"Shift-S"``; or as app-model writes keys, ``KeyMod.CtrlCmd |
        KeyCode.KeyZ``, where a Mac has other ones.
    leaves : callable, optional
        Says of a layer whether its own keys are left alone.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        actions: Mapping[Any, Callable[[], None]],
        leaves: Callable[[Any], bool] = lambda layer: False,
    ) -> None:
        self._viewer, self._leaves = viewer, leaves
        self._actions = {key: _handler(action) for key, action in actions.items()}
        self._bound: list[tuple[Any, dict[Any, Any]]] = []  #: on what, and what was there before
        _in_use.add(self)

    def take(self) -> None:
        """Take the keys, unless they are taken already."""
        if not self._bound:
            self._bind(self._viewer)
            self._follow_active()
            self._viewer.layers.selection.events.active.connect(self._follow_active)

    def give_back(self) -> None:
        """Give the keys back to whatever they did before."""
        if self._bound:
            self._viewer.layers.selection.events.active.disconnect(self._follow_active)
        while self._bound:
            self._release()

    def refresh(self) -> None:
        """Take them again on the active layer, which may be left alone no more."""
        if self._bound:
            self._follow_active()

    def _follow_active(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        while len(self._bound) > 1:
            self._release()
        if active is not None and not self._leaves(active):
            self._bind(active)

    def _bind(self, provider: Any) -> None:
        earlier = {
            key: provider.bind_key(key, handler, overwrite=True)
            for key, handler in self._actions.items()
        }
        self._bound.append((provider, earlier))

    def _release(self) -> None:
        provider, earlier = self._bound.pop()
        for key, handler in earlier.items():
            present = provider.bind_key(key, None)
            # Somebody else may have bound the key meanwhile; another dock is to give it back to
            # whoever had it before us.
            keep = handler if present is self._actions[key] else present
            for other in list(_in_use):
                other._give_instead(provider, key, self._actions[key], handler)
            if keep is not None:
                provider.bind_key(key, keep, overwrite=True)

    def _give_instead(self, provider: Any, key: Any, gone: Any, handler: Any) -> None:
        """Give a key back to another one than who is gone."""
        for bound, earlier in self._bound:
            if bound is provider and earlier.get(key) is gone:
                earlier[key] = handler


class LettersPassThrough(QObject):
    """Lets letters typed on lists and boxes reach the viewer, instead of searching in them."""

    def watch(self, *widgets: QWidget) -> None:
        """Let letters through these widgets."""
        for widget in widgets:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Send letters to the parent; called by Qt."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        if not event.text().isalpha():
            return False
        event.ignore()  # and so Qt offers it to the parent
        return True


def _handler(action: Callable[[], None]) -> Callable[[Any], None]:
    def press(provider: Any) -> None:
        action()

    return press
