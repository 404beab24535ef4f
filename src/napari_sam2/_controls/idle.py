"""What is computed while nobody asks for anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2._layers import pixel_at
from napari_sam2._worker import Call, Job, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._layers import Stack

REST_MS = 250  #: without work or a change of frame, before anything is computed ahead
AIM_MS = 60  #: without a move of the mouse that is about to click; hands aim longer


class Idle(QObject):
    """Has encoded what the next click will need, so that it is answered fast.

    That is what lies under the mouse, where it would click, and the current object's place on the
    neighbours of the current frame. It gives way to whatever else is to be computed: see
    `Bench.prepare`.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    is_busy : callable
        Whether anything else is under way or about to begin.
    parent : QObject
    """

    def __init__(
        self,
        parts: Parts,
        bench: Bench,
        is_busy: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panels, self._layers = parts.viewer, parts.panels, parts.layers
        self._bench, self._is_busy = bench, is_busy
        self._job = Job()
        self._wanted = object()  #: another one for each time that something else is
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)
        parts.results.previewed.connect(self.rest)
        self._viewer.dims.events.current_step.connect(self.rest)
        self._viewer.cursor.events.position.connect(self._aim)

    def rest(self, event: Any = None) -> None:
        """Wait again: the user is at work."""
        self._stop()
        self._timer.start(REST_MS)

    def shut(self) -> None:
        """Compute nothing more."""
        self._timer.stop()
        self._stop()
        self._viewer.dims.events.current_step.disconnect(self.rest)
        self._viewer.cursor.events.position.disconnect(self._aim)

    def _stop(self) -> None:
        self._wanted = object()
        self._job.cancel()

    def _aim(self, event: Any = None) -> None:
        """Follow the mouse, if it would click."""
        # What is under way may be what is clicked: it goes on until the mouse rests elsewhere.
        if self._layers.tool == "point" and (
            not self._timer.isActive() or self._timer.interval() == AIM_MS
        ):
            self._timer.start(AIM_MS)

    def _begin(self) -> None:
        stack = self._panels.image.shown()
        if stack is None:
            return
        if self._is_busy():
            self._timer.start(REST_MS)
            return
        self._stop()
        here = stack.current_frame(self._viewer.dims)
        frames = [f for f in (here, here + 1, here - 1) if 0 <= f < stack.n_frames]
        clicks: list[tuple[int, tuple[float, float] | None]] = [(f, None) for f in frames]
        if (place := self._place(stack)) is not None:
            clicks.insert(0, (here, place))
        wanted, current = self._wanted, self._panels.objects.current()
        steps = partial(
            self._bench.prepare, stack, current, clicks, lambda: wanted is not self._wanted
        )
        self._job.start(Call(steps, on_step=ignore, on_error=ignore))

    def _place(self, stack: Stack) -> tuple[float, float] | None:
        """Give where the mouse would click; None where it would not."""
        if self._layers.tool != "point":
            return None
        return pixel_at(stack, self._viewer.cursor.position)
