"""Sessions made for what is chosen: with a model that is loaded, on labels that are there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.session import Overlap, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam2._controls.synchronising import Made
    from napari_sam2._controls.tasks import Task
    from napari_sam2._layers import Stack
    from napari_sam2.model.sam2 import SAM2


class SessionMaker:
    """Makes sessions; those of one image share its labels, and a model is loaded once."""

    def __init__(self) -> None:
        #: Of sessions to come. A hand sees where objects meet, and the surer one is mostly right
        #: there; a script keeps what is there, so that what was found stays bit for bit.
        self.overlap = Overlap.HIGHEST
        self.new_labels: Callable[[Stack], Any] = lambda stack: None  #: none: in memory
        self._loaded: tuple[str | SAM2, SAM2] | None = None  #: by what was asked for

    @property
    def device(self) -> str:
        """Where the loaded model computes; empty before one is loaded."""
        return "" if self._loaded is None else str(self._loaded[1].device)

    def is_loaded(self, model: str | SAM2) -> bool:
        """Whether the model is there already."""
        return self._loaded is not None and self._loaded[0] == model

    def make(self, task: Task, known: Sequence[Made], earlier: Made | None) -> Session:
        """Make a session for a task.

        Parameters
        ----------
        task : Task
        known : sequence of Made
            At all places in its image, that at hand first.
        earlier : Made, optional
            What was made in this place; the new session takes over what is in it.
        """
        if earlier is None:
            near = next((one for one in known if _sees_alike(one.task, task)), None)
            if near is not None:
                return near.session.at(task.stack.view.held or {}, task.stack.view.axis)
        session = self._begin(task, earlier or next(iter(known), None))
        if earlier is not None:
            session.take_over(earlier.session)
        return session

    def keep(self, asked: str | SAM2, session: Session) -> None:
        """Go on with the model of a session, that was asked for so."""
        self._loaded = asked, session.model

    def _begin(self, task: Task, other: Made | None) -> Session:
        """Make a session beside another one of the image, or the first one."""
        stack, model = task.stack, task.model
        labels = self.new_labels(stack) if other is None else other.session.labels
        if self._loaded is not None and self._loaded[0] == model:
            model = self._loaded[1]
        wanted = replace(task.settings, overlap=self.overlap)
        if other is not None:  # the weights are those of the model that is chosen now
            wanted = replace(
                other.session.settings,
                overlap=other.session.overlap,
                checkpoint=None,
                device=wanted.device,
                precision=wanted.precision,
            )
        session = Session(
            stack.data, model, stack.view.axis, view=stack.view, settings=wanted, labels=labels
        )
        session.name_model(task.model)
        if other is not None:
            session.origin = other.session.origin
        return session


def _sees_alike(one: Task, other: Task) -> bool:
    """Whether two tasks want the same but for the place."""
    view = other.stack.view
    there = one.stack.elsewhere(view.axis, view.held or {})
    return replace(one, stack=there).same_session(other)
