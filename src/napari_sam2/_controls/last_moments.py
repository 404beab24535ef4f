"""What was drawn just before another image is chosen, or the end of layers, dock or viewer."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2._worker import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.layer_picker import LayerPicker
    from napari_sam2._controls.previewing import Previewer
    from napari_sam2._controls.tasks import Task


class LastMoments(QObject):
    """Has the session know of prompts that the dock was about to read.

    Parameters
    ----------
    viewer : ViewerModel
    images : LayerPicker
        Of the image that is worked on.
    bench : Bench
    previews : Previewer
        Knows whether anything drawn has not been read yet.
    read : callable
        Reads layers and controls; gives None where they make no sense.
    parent : QObject
    """

    def __init__(
        self,
        viewer: ViewerModel,
        images: LayerPicker,
        bench: Bench,
        previews: Previewer,
        read: Callable[[], Task | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._images, self._bench = viewer, images, bench
        self._previews, self._read = previews, read
        self._is_removing = False  #: whether layers are being removed, one after the other
        viewer.layers.events.removing.connect(self._read_before_removal)
        images.leaving.connect(self._read_in_time)

    def steps(self) -> list[Steps]:
        """Read what was drawn a moment ago; give what is to be done for the session to know."""
        if self._is_removing:  # with what they were drawn on, prompts are gone, but not taken back
            return []
        with suppress(RuntimeError):  # of the window, not everything may be there any more
            if task := self._read():
                return [Steps(partial(self._bench.synchronise, task))]
        return []

    def shut(self) -> None:
        """Let go of the viewer."""
        self._images.leaving.disconnect(self._read_in_time)
        self._viewer.layers.events.removing.disconnect(self._read_before_removal)

    def _read_before_removal(self, event: Any) -> None:
        """Read before the first of several layers goes: with the viewer, all do."""
        if self._is_removing:
            return
        self._read_in_time()
        self._is_removing = True
        QTimer.singleShot(0, self._end_removal)

    def _read_in_time(self) -> None:
        if not self._is_removing and self._previews.is_waiting and (task := self._read()):
            self._previews.take_in(task)

    def _end_removal(self) -> None:
        self._is_removing = False
