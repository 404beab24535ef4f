"""The labels as they were before the last run, to compare."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_sam2._controls.keys import Keys
from napari_sam2._layers import new_preview, write_frame
from napari_sam2._worker import Call, Job

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.results import Results
    from napari_sam2._layers import Stack

NAME = "SAM 2 before"


class Before(QObject):
    """While its button is down, shows earlier labels of the current frame in place of ours."""

    def __init__(
        self,
        viewer: ViewerModel,
        panels: Panels,
        bench: Bench,
        results: Results,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._results, self._reading = results, Job()
        self._layer: Labels | None = None
        self._hidden: Labels | None = None  #: the layer that is hidden meanwhile
        self._button = panels.review.before_button
        self._keys = Keys(viewer, {"B": self._button.toggle})
        self._keys.take()
        self._button.toggled.connect(self._toggle)
        panels.image.changed.connect(self._put_down)
        viewer.dims.events.current_step.connect(self._read)

    def shut(self) -> None:
        """Stop, and show the labels as they are."""
        self._keys.give_back()
        self._put_down()
        self._viewer.dims.events.current_step.disconnect(self._read)

    def _toggle(self, is_on: bool) -> None:
        if is_on:
            self._read()
        else:
            self._end()

    def _put_down(self) -> None:
        self._button.setChecked(False)

    def _read(self, event: Any = None) -> None:
        stack = self._panels.image.shown()
        if not self._button.isChecked() or stack is None:
            return
        frame = stack.current_frame(self._viewer.dims)
        self._reading.start(
            Call(
                partial(self._bench.look, stack, lambda session: session.labels_before(frame)),
                on_step=partial(self._show, stack, frame),
                on_error=self._panels.status.fail,
            )
        )

    def _show(self, stack: Stack, frame: int, labels: np.ndarray | None) -> None:
        shown = self._results.labels_layer
        if labels is None or shown is None:
            self._put_down()
            self._panels.status.complain("Nothing to compare with: propagate or correct first.")
            return
        if self._layer is None or self._layer not in self._viewer.layers:
            self._layer = new_preview(stack, NAME)
            self._layer.colormap = shown.colormap
            self._results.insert(self._layer)
        write_frame(self._layer, stack, frame, labels)
        if self._hidden is None and shown.visible:
            self._hidden, shown.visible = shown, False
        self._panels.status.say(f"Frame {frame} as it was before the last run.")

    def _end(self) -> None:
        self._reading.cancel()
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            hidden.visible = True
            self._panels.status.say("The labels as they are now.")
