"""Results looked through and mended: where to look first, locks, corrections, before and after."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.keys import Keys
from napari_sam2._controls.quality_plot import Curve
from napari_sam2._controls.summary import Summary, summarise
from napari_sam2._layers import go_to
from napari_sam2._worker import Call, Job, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.follower import Follower
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.tasks import Task
    from napari_sam2._worker import Steps
    from napari_sam2.session import Session

REFRESH_MS = 500  #: results are summed up no more often than this


class Reviewer(QObject):
    """Shows how sure objects are on each frame, and does what the review section asks for.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    follower : Follower
    read : callable
        Reads layers and controls; None if they make no sense, which it says.
    parent : QObject
    """

    something_found = Signal()  #: there are results to look through

    def __init__(
        self,
        viewer: ViewerModel,
        panels: Panels,
        bench: Bench,
        follower: Follower,
        read: Callable[[], Task | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._follower, self._read = follower, read
        self._summary, self._is_open = Summary(), True
        self._reading, self._edits = Job(), Queue()
        self._asked = 0.0  #: when
        self._is_stale = False  #: whether something changed since the summary was asked for
        self._seen: set[tuple[int, int, float]] = set()  #: worst frames that were gone to
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._summarise)
        self.keys = Keys(viewer, {"G": self.go_to_worst, "L": self.toggle_lock})
        self.keys.take()
        self._connect()

    @property
    def summary(self) -> Summary:
        """What is shown."""
        return self._summary

    def go_to_worst(self) -> None:
        """Go to the frame to look at first; again, to the one to look at next."""
        worst = self._summary.worst
        if not len(worst):
            self._panels.status.complain("Nothing to look through: propagate first.")
            return
        left = [row for row in worst if _mark(row) not in self._seen]
        if not left:
            self._seen.clear()
            left = list(worst)
        row, place = left[0], len(worst) - len(left) + 1
        self._seen.add(_mark(row))
        self.go_to(int(row["frame"]), int(row["object"]))
        self._panels.status.say(f"Number {place} of the worst: {self._describe(row)}.")

    def go_to(self, frame: int, object_id: int = 0) -> None:
        """Show a frame, and make an object the current one if one is given."""
        if object_id:
            self._panels.objects.make_current(object_id)
        stack = self._panels.image.shown()
        if stack is not None and stack.axis is not None:
            go_to(stack.image, self._viewer.dims, {stack.axis: frame})

    def toggle_lock(self) -> None:
        """Lock the current object on this frame, or unlock it."""
        task = self._read()
        if task is not None:
            self._edits.add(
                Call(
                    partial(self._bench.use, task, partial(_toggle_lock, task)),
                    on_step=self._tell_lock,
                    on_error=self._fail,
                )
            )
        self._show_place()  # the button has changed by itself

    def correct(self) -> None:
        """Follow the current object again from its new prompts on this frame."""
        task = self._read()
        if task is not None and not self._follower.is_running:
            self._follower.correct(task)

    def refresh(self) -> None:
        """Sum up soon what was found."""
        if self._is_open and not self._timer.isActive():
            self._timer.start()

    def hand_over(self) -> list[Steps]:
        """Give what was asked for and is not done yet, to be done by another thread."""
        return self._edits.hand_over()

    def shut(self) -> None:
        """Stop, and let go of the viewer."""
        self._is_open = False
        self._timer.stop()
        self._reading.cancel()
        self._edits.cancel()
        self.keys.give_back()
        self._viewer.dims.events.current_step.disconnect(self._show_place)

    def _summarise(self) -> None:
        if self._reading.is_running:  # it waits for the frame under way, and is asked again
            self._is_stale = True
            return
        stack = self._panels.image.shown()
        if stack is None:
            self._show(Summary())
            return
        self._is_stale = False
        self._asked = monotonic()
        self._reading.start(
            Call(
                partial(self._bench.look, stack, summarise),
                on_step=self._show,
                on_error=self._fail,
                on_done=self._end_reading,
            )
        )

    def _end_reading(self) -> None:
        # Thousands of objects take long to sum up: that is not to slow down what finds them.
        took = 1000 * (monotonic() - self._asked)
        self._timer.setInterval(min(max(REFRESH_MS, round(4 * took)), 10 * REFRESH_MS))
        if self._is_stale:
            self.refresh()

    def _show(self, summary: Summary | None) -> None:
        self._summary = summary = summary or Summary()
        self._panels.objects.model.show_locked(summary.locked)
        self._panels.objects.model.show_parents(summary.parents)
        self._panels.review.list_worst(
            [(self._describe(r), int(r["frame"]), int(r["object"])) for r in summary.worst[:20]]
        )
        self._plot()
        self._show_place()
        if summary.rows:
            self.something_found.emit()

    def _plot(self) -> None:
        column, limits = self._panels.review.column()
        names, hidden = self._panels.objects.names(), self._panels.objects.hidden()
        listed = names.keys() - hidden
        shown = {i: rows for i, rows in self._summary.rows.items() if i in listed}
        colors = self._panels.objects.model.colors(list(shown))
        curves = []
        for (object_id, rows), color in zip(shown.items(), colors, strict=True):
            values = rows[column].astype(float)
            known = ~np.isnan(values)
            curves.append(
                Curve(
                    object_id,
                    names[object_id],
                    color,
                    rows["frame"][known],
                    values[known],
                    self._summary.prompted.get(object_id, ()),
                    self._summary.locked.get(object_id, ()),
                )
            )
        self._panels.review.plot.show_curves(curves, self._summary.n_frames, limits)

    def _show_place(self, event: Any = None) -> None:
        """Follow the slider, and the current object."""
        stack = self._panels.image.shown()
        if stack is None:
            return
        frame = stack.current_frame(self._viewer.dims)
        current = self._panels.objects.current()
        self._panels.review.plot.show_frame(frame)
        self._panels.review.plot.show_current(current)
        self._panels.review.show_lock(frame in self._summary.locked.get(current, ()))
        self._panels.objects.model.show_scores(self._summary.scores(frame))

    def _describe(self, row: np.void) -> str:
        object_id = int(row["object"])
        name = self._panels.objects.names().get(object_id, f"object {object_id}")
        found = f"IoU {row['iou']:.2f}" if row["area"] else "not there"
        return f"frame {row['frame']}: {name}, {found}, doubt {row['doubt']:.2f}"

    def _tell_lock(self, said: str) -> None:
        self._panels.status.say(said)
        self.refresh()

    def _fail(self, error: Exception) -> None:
        self._panels.status.report(error)

    def _connect(self) -> None:
        panels = self._panels
        self._viewer.dims.events.current_step.connect(self._show_place)
        panels.image.changed.connect(self.refresh)
        panels.objects.current_changed.connect(self._show_place)
        panels.objects.visibility_changed.connect(self._plot)
        panels.objects.renamed.connect(self._plot)
        panels.objects.jump_wanted.connect(self.go_to)
        panels.review.measure_changed.connect(self._plot)
        panels.review.place_picked.connect(self.go_to)
        for button, action in (
            (panels.review.worst_button, self.go_to_worst),
            (panels.review.lock_button, self.toggle_lock),
            (panels.review.correct_button, self.correct),
        ):
            button.clicked.connect(lambda checked=False, action=action: action())


def _mark(row: np.void) -> tuple[int, int, float]:
    """Tell rows apart; one that was found anew is another."""
    return int(row["object"]), int(row["frame"]), float(row["doubt"])


def _toggle_lock(task: Task, session: Session) -> str:
    """Lock or unlock the current object of a task on its frame; say which."""
    object_id, frame = task.object_id, task.frame
    name = task.names[object_id]
    if frame in session.locked(object_id):
        session.unlock(object_id, frame)
        return f"{name} is unlocked on frame {frame}."
    session.lock(object_id, frame)
    return f"{name} is locked on frame {frame}: propagation leaves it as it is."
