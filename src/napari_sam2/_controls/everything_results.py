"""What was found everywhere, on a Labels layer that follows the sliders."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_sam2._controls.everything_bench import LABEL_DTYPE, Canvas, settle
from napari_sam2._controls.results import OPACITY
from napari_sam2._layers import align, new_labels
from napari_sam2._worker import Call, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sam2._controls.everything_bench import Settled
    from napari_sam2._layers import Stack
    from napari_sam2.automatic import Everything, Selection

EVERYTHING_NAME = "SAM 2 everything"


class EverythingResults(QObject):
    """Keeps what was found on each frame, and shows what of it counts.

    Parameters
    ----------
    viewer : ViewerModel
    fail : callable
        Told of what went wrong.
    parent : QObject
    """

    settled = Signal()  #: what is shown, or how many there are, has changed

    def __init__(
        self, viewer: ViewerModel, fail: Callable[[Exception], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._fail = viewer, fail
        self.stack: Stack | None = None
        self.found: dict[int, Everything] = {}
        self.counts: dict[int, Settled] = {}  #: by frame
        self._canvas: Canvas | None = None
        self._layer: Labels | None = None
        # What one settles the other may not write meanwhile: sliders act when a step is settled.
        self._job = Job()
        self._waiting: set[int] = set()  #: frames that are not settled yet

    @property
    def is_settling(self) -> bool:
        """Whether labels are still being written."""
        return self._job.is_running

    def begin(self, stack: Stack) -> None:
        """Expect results of an image; those of another place are forgotten."""
        if not stack.same_place(self.stack) or not self._is_shown():
            self._job.cancel()
            self._waiting.clear()
            self.found, self.counts = {}, {}
            self._canvas = Canvas(stack, LABEL_DTYPE)
            self._layer = None
        self.stack = stack

    def take(self, found: Everything, selection: Selection) -> None:
        """Take what was found on a frame so far, and show it."""
        self.found[found.frame] = found
        self._waiting.add(found.frame)
        self._settle(selection)

    def select(self, selection: Selection) -> None:
        """Show what counts now, on the frame in view first."""
        self._waiting.update(self.found)
        self._settle(selection)

    def areas(self) -> tuple[float, float]:
        """Give the smallest and the largest area that was found; 1 and 1 of nothing."""
        areas = [piece.area for one in self.found.values() for piece in one.objects]
        return min(areas, default=1), max(areas, default=1)

    def let_go(self, image: Image) -> bool:
        """Forget an image that is removed; its labels stay as they are. Say whether it was ours."""
        if self.stack is None or self.stack.image is not image:
            return False
        self._job.cancel()
        self.stack, self._canvas, self._layer = None, None, None
        self.found, self.counts = {}, {}
        self._waiting.clear()
        self.settled.emit()
        return True

    def hide(self) -> None:
        """Show nothing for now: the objects are shown by others."""
        if self._layer is not None:
            self._layer.visible = False

    def close(self) -> None:
        """Draw no more."""
        self._job.cancel()

    def _settle(self, selection: Selection) -> None:
        stack, canvas = self.stack, self._canvas
        if stack is None or canvas is None or not self._waiting:
            return
        shown = stack.current_frame(self._viewer.dims)
        frames = sorted(self._waiting, key=lambda frame: (frame != shown, frame))
        found = [self.found[frame] for frame in frames]
        self._job.start(
            Call(
                partial(settle, found, selection, stack, canvas),
                on_step=partial(self._show, stack, canvas),
                on_error=self._fail,
            )
        )

    def _show(self, stack: Stack, canvas: Canvas, step: Settled) -> None:
        self._waiting.discard(step.frame)
        self.counts[step.frame] = step
        if stack.image not in self._viewer.layers:
            return
        if not self._is_shown():
            self._layer = new_labels(stack, canvas.array, EVERYTHING_NAME)
            self._layer.opacity = OPACITY
            active = self._viewer.layers.selection.active
            self._viewer.layers.insert(self._viewer.layers.index(stack.image) + 1, self._layer)
            self._viewer.layers.selection.active = active
        elif self._layer is not None and stack.is_shown(self._viewer.dims, step.frame):
            align(self._layer, stack)
            self._layer.visible = True
            self._layer.refresh()
        self.settled.emit()

    def _is_shown(self) -> bool:
        return self._layer is not None and self._layer in self._viewer.layers
