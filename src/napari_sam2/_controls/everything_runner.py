"""What the dock that segments everything does: reads its parts, has workers compute, shows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_sam2._controls.everything_bench import Errand, EverythingBench, number_anew
from napari_sam2._controls.everything_results import EverythingResults
from napari_sam2._controls.keys import Keys
from napari_sam2._controls.results import OPACITY
from napari_sam2._layers import new_labels
from napari_sam2._worker import Call, Job
from napari_sam2.automatic import Selection
from napari_sam2.model.config import load_config

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2._controls.everything_filter import EverythingFilter
    from napari_sam2._controls.everything_panel import EverythingPanel
    from napari_sam2._controls.image_picker import ImagePicker
    from napari_sam2._controls.model_picker import ModelPicker
    from napari_sam2._controls.status import Status
    from napari_sam2._layers import Stack
    from napari_sam2.automatic import EverythingStep

COPY_NAME = "SAM 2 everything (copy)"


class EverythingRunner(QObject):
    """Does what the buttons of the dock ask for.

    Parameters
    ----------
    viewer : ViewerModel
    image, model, panel, filter, status
        The parts of the dock.
    parent : QObject
    """

    objects_begun = Signal(object)  #: a Session whose objects are to be followed

    def __init__(
        self,
        viewer: ViewerModel,
        parts: tuple[ImagePicker, ModelPicker, EverythingPanel, EverythingFilter, Status],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image, self._model, self._panel, self._filter, self._status = parts
        self._bench = EverythingBench()
        self._run, self._handing = Job(), Job()
        self._errand: Errand | None = None  #: the last one
        self._is_open = True
        self.results = EverythingResults(viewer, self._status.fail, self)
        # Bound while there is something to cancel: otherwise napari finishes shapes with it.
        self._escape = Keys(viewer, {"Escape": self.cancel})
        self._connect()
        self._change_model()
        self._change_image()

    @property
    def is_running(self) -> bool:
        """Whether frames are being looked at."""
        return self._run.is_running

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return self._run.is_running or self._handing.is_running or self.results.is_settling

    def run_frame(self) -> None:
        """Find everything on the frame that is shown."""
        self._start(each=False)

    def run_each(self) -> None:
        """Find everything on every frame, the one that is shown first."""
        self._start(each=True)

    def cancel(self, why: str = "") -> None:
        """Stop; what was found stays."""
        if self.is_running:
            self._run.cancel()
            self._end(f"Stopped, as {why}" if why else "Cancelled")

    def copy_labels(self) -> None:
        """Copy the objects that count to a layer of their own, numbered from 1."""
        stack, found = self.results.stack, dict(self.results.found)
        if stack is None or not found:
            self._status.complain("Nothing to copy: run on a frame first.")
            return
        steps = partial(number_anew, found, self._filter.selection(), stack)
        self._hand_over(steps, partial(self._show_copy, stack))

    def track(self) -> None:
        """Have the objects that count on this frame followed, in the other dock."""
        stack, errand = self.results.stack, self._errand
        found = None
        if stack is not None:
            found = self.results.found.get(stack.current_frame(self._viewer.dims))
        if stack is None or errand is None or found is None:
            self._status.complain("Nothing to track on this frame: run on it first.")
            return
        steps = partial(
            self._bench.begin_objects, replace(errand, stack=stack), found, self._filter.selection()
        )
        self._status.say("Preparing …")
        self._hand_over(steps, self.objects_begun.emit)

    def shut(self) -> None:
        """Stop all work, and let go of the viewer and its keys."""
        if not self._is_open:
            return
        self._is_open = False
        self._run.cancel()
        self._handing.cancel()
        self.results.close()
        self._escape.give_back()
        self._viewer.layers.events.removed.disconnect(self._let_go)
        self._viewer.dims.events.current_step.disconnect(self._count)
        self._image.disconnect_viewer()
        self._model.shut()

    def _start(self, *, each: bool) -> None:
        if self.is_running:
            return
        try:
            stack = self._image.stack()
        except ValueError as error:
            self._status.complain(str(error))
            return
        shown = stack.current_frame(self._viewer.dims)
        others = (frame for frame in range(stack.n_frames) if frame != shown)
        self._errand = Errand(
            stack=stack,
            model=self._model.model(),
            settings=self._model.settings(),
            options=self._panel.options(),
            frames=(shown, *others) if each else (shown,),
        )
        self.results.begin(stack)
        self._status.begin(0)
        self._status.say("Preparing …")
        self._panel.set_running(True)
        self._escape.take()
        self._run.start(
            Call(
                partial(self._bench.look, self._errand),
                on_step=self._show,
                on_error=self._fail,
                on_done=partial(self._end, "Done"),
            )
        )

    def _show(self, step: EverythingStep) -> None:
        if step.done == 1:
            self._model.show_device(self._bench.device)
            self._status.begin(step.total)
            self._status.say("Looking …")
        self._status.advance()
        if step.is_new:
            selection = self._filter.selection()
            self.results.take(step.found, selection)
            self._filter.offer_areas(*self.results.areas())

    def _fail(self, error: Exception) -> None:
        self._end("Failed")
        self._status.fail(error)

    def _end(self, how: str) -> None:
        self._status.end(how)
        self._panel.set_running(False)
        self._escape.give_back()

    def _hand_over(self, steps: Any, show: Any) -> None:
        self._handing.start(Call(steps, on_step=show, on_error=self._status.fail))

    def _show_copy(self, stack: Stack, labels: Any) -> None:
        if stack.image in self._viewer.layers:
            layer = new_labels(stack, labels, COPY_NAME)
            layer.opacity = OPACITY
            self._viewer.add_layer(layer)
            self.results.hide()
            self._status.say(f"The objects are on the layer {layer.name!r}.")

    def _select(self) -> None:
        self.results.select(self._filter.selection())

    def _count(self, event: Any = None) -> None:
        stack = self.results.stack
        counted = None
        if stack is not None and stack.image in self._viewer.layers:
            counted = self.results.counts.get(stack.current_frame(self._viewer.dims))
        self._filter.show_count(*((counted.count, counted.total) if counted else (0, 0)))

    def _change_image(self) -> None:
        stack = self._image.shown()
        gone = self._errand is not None and self._errand.stack.image not in self._viewer.layers
        # A layer that is removed is no longer the one that is chosen.
        self.cancel("the image was removed" if gone else "another image or axis was chosen")
        self._panel.set_n_frames(1 if stack is None else stack.n_frames)

    def _change_model(self) -> None:
        self.cancel("another model was chosen")
        model = self._model.model()
        config = load_config(model) if isinstance(model, str) else model.config
        self._filter.use(Selection.suited(config))

    def _let_go(self, event: Any) -> None:
        """Stop work on an image that is removed, and keep nothing of it."""
        image = event.value
        if not isinstance(image, Image):
            return
        if self._errand is not None and self._errand.stack.image is image:
            self.cancel("the image was removed")
            self._errand = None
            self._handing.cancel()
            self._bench.forget()
        self.results.let_go(image)

    def _connect(self) -> None:
        self._image.changed.connect(self._change_image)
        self._model.changed.connect(self._change_model)
        self._filter.changed.connect(self._select)
        self.results.settled.connect(self._count)
        self._viewer.layers.events.removed.connect(self._let_go)
        self._viewer.dims.events.current_step.connect(self._count)
        for button, action in (
            (self._panel.frame_button, self.run_frame),
            (self._panel.each_button, self.run_each),
            (self._panel.cancel_button, self.cancel),
            (self._filter.labels_button, self.copy_labels),
            (self._filter.track_button, self.track),
        ):
            button.clicked.connect(lambda checked=False, action=action: action())
