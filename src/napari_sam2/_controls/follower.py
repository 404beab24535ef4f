"""Objects followed through frames: one run at a time, watched, and cancelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2._controls.keys import Keys
from napari_sam2._controls.tasks import Begun
from napari_sam2._worker import Call, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.results import Results
    from napari_sam2._controls.tasks import Task
    from napari_sam2.prompts import FrameMasks


class Follower:
    """Follows objects in a worker, and shows each frame as it is found.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    results : Results
    """

    def __init__(self, viewer: ViewerModel, panels: Panels, bench: Bench, results: Results) -> None:
        self._panels, self._bench, self._results = panels, bench, results
        self._job = Job()
        self._task: Task | None = None
        # Bound while there is something to cancel: otherwise napari finishes shapes with it.
        self._escape = Keys(viewer, {"Escape": self.cancel})

    @property
    def is_running(self) -> bool:
        """Whether objects are being followed."""
        return self._job.is_running

    def start(self, task: Task) -> None:
        """Follow the objects of a task where the panel says."""
        route = self._panels.track.route(self._panels.objects.selected())
        self._run(task, partial(self._bench.propagate, task, route))

    def correct(self, task: Task) -> None:
        """Follow the current object again from its new prompts, between its locked frames."""
        self._run(task, partial(self._bench.correct, task))

    def _run(self, task: Task, steps: Callable[[], Generator[Any, None, None]]) -> None:
        self._task = task
        self._panels.status.begin(0)
        self._panels.status.say("Preparing …")
        self._set_running(True)
        self._escape.take()
        self._job.start(
            Call(
                steps,
                on_step=partial(self._show, task),
                on_error=self._fail,
                on_done=partial(self._end, "Done"),
            )
        )

    def cancel(self, why: str = "") -> None:
        """Stop, also in the midst of a frame; what was found stays.

        Parameters
        ----------
        why : str
            Told to the user, if it was not them who asked for it.
        """
        if not self.is_running:
            return
        self._stop()
        self._end(f"Stopped, as {why}" if why else "Cancelled")
        if why:
            self._panels.status.pop_up()

    def give_way(self, task: Task, why: str) -> None:
        """Stop if a task needs another session than the one that objects are followed in."""
        if self._task is not None and not self._task.same_session(task):
            self.cancel(why)

    def let_go(self, image: Image) -> None:
        """Stop if it is this image that objects are followed in."""
        if self._task is not None and self._task.stack.image is image:
            self.cancel()

    def shut(self) -> None:
        """Stop, and show nothing more."""
        self._stop()
        self._escape.give_back()

    def _stop(self) -> None:
        self._job.cancel()
        if self._task is not None:
            self._bench.cancel(self._task.stack.image)

    def _show(self, task: Task, step: Begun | FrameMasks) -> None:
        if isinstance(step, Begun):
            self._panels.model.show_device(self._bench.device)
            self._results.begin(task.stack, step.labels)
            self._panels.status.begin(step.total)
            self._panels.status.say("Following …")
            self._panels.status.note(
                "\n".join(
                    f"{task.names[one.object_id]} is not followed: {one.why}"
                    for one in step.refused
                )
            )
        else:
            self._results.take(task.stack, step)
            self._panels.status.advance()

    def _set_running(self, running: bool) -> None:
        self._panels.track.set_running(running)
        self._panels.review.set_running(running)

    def _fail(self, error: Exception) -> None:
        self._end("Failed")
        self._panels.status.fail(error)

    def _end(self, how: str) -> None:
        self._task = None
        self._panels.status.end(how)
        self._set_running(False)
        self._escape.give_back()
        self._results.refresh_all()
