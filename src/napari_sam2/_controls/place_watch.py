"""Tells when the image is looked at in another place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2._controls.panels import Panels


class PlaceWatch(QObject):
    """Follows the sliders of axes that are held, and which axis is played.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    parent : QObject
    """

    moved = Signal()  #: to another place in the same image, or to another image

    def __init__(self, viewer: ViewerModel, panels: Panels, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._panels = viewer, panels
        self._place: tuple[Any, ...] | None = None
        viewer.dims.events.current_step.connect(self._look)
        panels.image.changed.connect(self._look)
        self._look()

    def shut(self) -> None:
        """Follow nothing more."""
        self._viewer.dims.events.current_step.disconnect(self._look)

    def _look(self, event: Any = None) -> None:
        stack = self._panels.image.shown()
        # By number, so that nothing of an image that is removed is kept.
        place = None if stack is None else (id(stack.image), stack.axis, dict(stack.held))
        if place != self._place:
            self._place = place
            self.moved.emit()
