"""What is computed while nobody asks for anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2._worker import Call, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.results import Results

REST_MS = 400  #: without work or a change of frame, before anything is computed ahead


class Idle(QObject):
    """Has the neighbours of the current frame encoded, so that a click there is answered fast.

    It gives way to whatever else is to be computed: see `Bench.prepare`.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    results : Results
    is_busy : callable
        Whether anything else is under way or about to begin.
    parent : QObject
    """

    def __init__(
        self,
        viewer: ViewerModel,
        panels: Panels,
        bench: Bench,
        results: Results,
        is_busy: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._is_busy = is_busy
        self._job = Job()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._begin)
        results.previewed.connect(self.rest)
        viewer.dims.events.current_step.connect(self.rest)

    def rest(self, event: Any = None) -> None:
        """Wait again: the user is at work."""
        self._job.cancel()
        self._timer.start()

    def shut(self) -> None:
        """Compute nothing more."""
        self._timer.stop()
        self._job.cancel()
        self._viewer.dims.events.current_step.disconnect(self.rest)

    def _begin(self) -> None:
        if self._panels.image.image() is None:
            return
        if self._is_busy():
            self._timer.start()
            return
        try:
            stack = self._panels.image.stack()
        except ValueError:  # said where it matters
            return
        here = stack.current_frame(self._viewer.dims)
        frames = [f for f in (here, here + 1, here - 1) if 0 <= f < stack.n_frames]
        steps = partial(self._bench.prepare, stack, self._panels.objects.current(), frames)
        self._job.start(Call(steps, on_step=_ignore, on_error=_ignore))


def _ignore(outcome: Any) -> None:
    """Say nothing: what could not be computed ahead fails again where it is asked for."""
