"""Keys, taken on a viewer and on layers, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeyEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtWidgets import QWidget


class Keys:
    """Binds the same keys on several viewers or layers; a layer's win over the viewer's.

    Parameters
    ----------
    actions : mapping of str to callable
        What each key does, e.g. ``"Shift-S"``.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = {key: _handler(action) for key, action in actions.items()}
        self._bound: list[tuple[Any, dict[str, Any]]] = []

    def bind(self, provider: Any) -> None:
        """Take the keys on a viewer or a layer, unless they are taken there already."""
        if not any(one is provider for one, _ in self._bound):
            earlier = {
                key: provider.bind_key(key, handler, overwrite=True)
                for key, handler in self._actions.items()
            }
            self._bound.append((provider, earlier))

    def release(self, provider: Any) -> None:
        """Give the keys back to whatever they did before."""
        for bound in [one for one in self._bound if one[0] is provider]:
            self._bound.remove(bound)
            for key, earlier in bound[1].items():
                ours = provider.bind_key(key, None)
                # Somebody else may have bound the key meanwhile.
                keep = earlier if ours is self._actions[key] else ours
                if keep is not None:
                    provider.bind_key(key, keep, overwrite=True)

    def release_all(self) -> None:
        """Give back all keys everywhere."""
        for provider, _ in list(self._bound):
            self.release(provider)


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
