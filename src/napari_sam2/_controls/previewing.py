"""Segments what was prompted on the frame in view, as soon as the hand rests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_sam2._controls.long_preview import LongPreview
from napari_sam2._controls.tasks import Awaited, Refused
from napari_sam2._worker import Call, Job, Queue, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.tasks import Task
    from napari_sam2.prompts import Candidates

LOADING = "Loading the model …"
DEBOUNCE_MS = 50  #: a preview waits until the hand has rested this long


class Previewer(QObject):
    """Asks for previews, and shows them; late answers are dropped.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    edits : Queue
        Of what changes the session.
    read : callable
        Gives what is drawn and chosen, or None where it makes no sense.
    parent : QObject
    """

    def __init__(
        self,
        parts: Parts,
        bench: Bench,
        edits: Queue,
        read: Callable[[], Task | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._parts, self._bench, self._edits, self._read = parts, bench, edits, read
        self._job = Job()
        self._long = LongPreview(parts.viewer, parts.panels, self.cancel, self)
        self._refused = -1  #: the serial number of the last task that had something wrong
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(DEBOUNCE_MS)
        self._rest.timeout.connect(self._answer_edits)

    @property
    def is_waiting(self) -> bool:
        """Whether something was edited that was not read yet."""
        return self._rest.isActive()

    @property
    def is_busy(self) -> bool:
        """Whether a preview is under way or about to begin."""
        return self.is_waiting or self._job.is_running

    def begin_soon(self) -> None:
        """Begin once the hand has rested."""
        self._rest.start()

    def begin(self) -> None:
        """Begin at once, also where nothing has changed."""
        self._rest.stop()
        self._begin(again=True)

    def stop(self) -> None:
        """Neither begin nor show anything any more."""
        self._rest.stop()
        self._drop()

    def cancel(self) -> None:
        """Stop at the user's wish; what was found stays, the rest is asked for with S."""
        if self._job.is_running:
            self._job.cancel()
            self._long.end("Cancelled")

    def start_over(self) -> None:
        """Drop the answers under way, and begin once the hand has rested."""
        self._drop()
        self._rest.start()

    def take_in(self, task: Task) -> None:
        """Have the session know of all prompts, so that they are saved."""
        fail = self._parts.panels.status.fail
        self._edits.add(Call(partial(self._bench.synchronise, task), on_step=ignore, on_error=fail))

    def _drop(self) -> None:
        self._job.cancel()
        self._long.end()

    def _answer_edits(self) -> None:
        if self._parts.layers.is_drawing or self._edits.is_running:
            self._rest.start()
        elif self._parts.panels.image.image() is None:
            return
        elif self._parts.panels.prompts.live.isChecked():
            self._begin()
        elif task := self._read():
            self.take_in(task)

    def _begin(self, *, again: bool = False) -> None:
        task = self._read()
        if task is None:
            return
        status = self._parts.panels.status
        self._parts.results.keep(task.prompts)
        if not any(task.frame in by_frame for by_frame in task.prompts.values()):
            self._drop()
            if again:
                status.complain("Nothing to segment: add a point, a box or an outline here.")
            self.take_in(task)
            return
        if not self._bench.is_loaded(task.model):
            status.say(LOADING)
        self._long.end()
        self._job.start(
            Call(
                partial(self._bench.segment, task, again=again),
                on_step=partial(self._show, task),
                on_error=self._fail,
                on_done=self._end,
            )
        )

    def _show(self, task: Task, step: Awaited | Candidates | Refused) -> None:
        panels = self._parts.panels
        if isinstance(step, Awaited):
            self._long.begin(step.total)
            return
        self._long.advance()
        if isinstance(step, Refused):
            self._refused = task.serial
            self._parts.results.forget(step.object_id)
            panels.status.complain(f"{task.names[step.object_id]}: {step.why}")
            return
        self._bench.mark_shown(task, step)
        self._parts.results.preview(task.stack, step)
        panels.model.show_device(self._bench.device)
        if self._refused != task.serial:  # what is wrong has to be read
            self._tell_quality(task, step)

    def _tell_quality(self, task: Task, candidates: Candidates) -> None:
        panels = self._parts.panels
        best, count = candidates.best, len(candidates.masks)
        panels.objects.model.show_scores({best.object_id: best.iou})
        now = task.stack.current_frame(self._parts.viewer.dims)
        # An answer that comes late, or is another object's, is not what the eye is on.
        if (best.object_id, candidates.frame) != (panels.objects.current(), now):
            return
        panels.status.say(
            f"{task.names[best.object_id]}, frame {candidates.frame}: predicted IoU {best.iou:.2f}"
            + (f", number {candidates.chosen + 1} of {count} candidates" if count > 1 else "")
        )

    def _end(self) -> None:
        self._long.end()
        status = self._parts.panels.status
        if status.label.text() == LOADING:  # no answer was about the current object
            status.say("")

    def _fail(self, error: Exception) -> None:
        self._long.end()
        self._parts.panels.status.report(error)
