"""Previews of many objects are counted, and can be cancelled."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_sam2._controls.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sam2._controls.panels import Panels

PATIENCE_MS = 500  #: until it is shown: what is quick comes without a bar


class LongPreview(QObject):
    """Shows a bar, and offers Cancel and Esc, once previews take their time.

    A run that is under way has the bar, the button and the key for itself.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    cancel : callable
        Stops the previews.
    parent : QObject
    """

    def __init__(
        self, viewer: ViewerModel, panels: Panels, cancel: Callable[[], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._status, self._track = panels.status, panels.track
        self._escape = Keys(viewer, {"Escape": cancel})
        self._total = self._done = 0
        self._since, self._is_shown = 0.0, False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE_MS)
        self._timer.timeout.connect(self._show)

    def begin(self, total: int) -> None:
        """Expect previews of so many objects."""
        self.end()
        self._total, self._done, self._since = total, 0, monotonic()
        self._timer.start()

    def advance(self) -> None:
        """Count an object."""
        self._done += 1
        if self._is_shown and not self._track.is_running:
            self._status.advance()

    def end(self, how: str = "") -> None:
        """Take bar and key away; say how it ended, if there is anything to say."""
        self._timer.stop()
        if self._is_shown:
            self._is_shown = False
            self._escape.give_back()
            self._track.offer_cancel(False)
            if not self._track.is_running:
                self._status.end(how)

    def _show(self) -> None:
        if not self._track.is_running:
            self._is_shown = True
            self._escape.take()
            self._track.offer_cancel(True)
            self._status.begin(self._total, "objects", self._since)
            for _ in range(self._done):
                self._status.advance()
