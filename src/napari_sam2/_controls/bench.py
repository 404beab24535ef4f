"""The session of what is chosen in the dock: made when needed, made anew when the choice changes.

The generators run in a worker's thread: they may load a model, or wait for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from napari_sam2.session import Session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from napari.layers import Image

    from napari_sam2._layers import Stack
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.prompts import Candidates, FrameMasks, Prompt

Direction = Literal["forward", "backward", "both"]

_serials = count()


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """All that a worker has to know of layers and controls, read at once."""

    stack: Stack
    model: str | SAM2
    names: Mapping[int, str]  #: of all objects
    prompts: Mapping[int, Mapping[int, tuple[Prompt, ...]]]  #: by object, then by frame
    frame: int  #: where the viewer is
    object_id: int  #: the current object
    serial: int = field(default_factory=lambda: next(_serials))  #: later ones have larger ones


@dataclass(frozen=True)
class Route:
    """Where to follow objects."""

    direction: Direction
    start: int
    stop: int
    objects: tuple[int, ...] | None  #: None for all


@dataclass(frozen=True, eq=False)
class Begun:
    """The first step of following objects."""

    labels: Any  #: where results are written
    total: int  #: how many frames will be visited


@dataclass(frozen=True, eq=False)
class Written:
    """The labels were changed."""

    labels: Any


@dataclass(frozen=True, eq=False)
class _Made:
    """A session, and the task it was made for."""

    task: Task
    session: Session

    def agrees_with(self, task: Task) -> bool:
        """Whether the session does for another task."""
        return self.task.model == task.model and task.stack.same_pixels(self.task.stack)


class Bench:
    """Holds the one session that is worked on.

    Sessions of the same image share its labels and the objects in them, and a model is loaded
    once: new contrast limits or another model cost no results.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._made: _Made | None = None
        self._loaded: tuple[str | SAM2, SAM2] | None = None  #: by what was asked for
        self._serial = -1
        self._unanswered: set[tuple[int, int]] = set()  #: (object, frame) with new prompts
        self._labels: WeakKeyDictionary[Image, Any] = WeakKeyDictionary()

    @property
    def device(self) -> str:
        """Where the loaded model computes; empty before one is loaded."""
        return "" if self._loaded is None else str(self._loaded[1].device)

    def is_loaded(self, model: str | SAM2) -> bool:
        """Whether the model is there already."""
        return self._loaded is not None and self._loaded[0] == model

    def segment(self, task: Task, *, again: bool = False) -> Generator[Candidates, None, None]:
        """Find the objects whose prompts on the current frame are new, the current one first.

        Parameters
        ----------
        task : Task
        again : bool
            Whether to give all objects that are prompted on the frame, new or not.
        """
        session = self._synchronised(task)
        prompted = [i for i, by_frame in task.prompts.items() if task.frame in by_frame]
        for object_id in sorted(prompted, key=lambda i: i != task.object_id):
            if again or (object_id, task.frame) in self._unanswered:
                yield session.segment(object_id, task.frame)

    def mark_shown(self, candidates: Candidates) -> None:
        """Note that an answer has reached the user; until then it is given again."""
        self._unanswered.discard((candidates.best.object_id, candidates.frame))

    def propagate(self, task: Task, route: Route) -> Generator[Begun | FrameMasks, None, None]:
        """Follow objects; the first step says how far."""
        session = self._synchronised(task)
        plan = session.plan(route.direction, route.start, route.stop, route.objects)
        yield Begun(session.labels, sum(len(one.frames) for one in plan))
        yield from session.propagate(route.direction, route.start, route.stop, route.objects)

    def accept(self, task: Task, candidates: Candidates) -> Generator[Written, None, None]:
        """Write a previewed mask to the labels."""
        session = self._synchronised(task)
        session.accept(candidates)
        yield Written(session.labels)

    def synchronise(self, task: Task) -> Generator[Written, None, None]:
        """Take over objects and prompts, if there is a session at all."""
        if self._made is not None:
            yield Written(self._synchronised(task).labels)

    def let_go(self, image: Image) -> Generator[Written, None, None]:
        """Forget an image that is gone from the viewer, and what was found in it."""
        with self._lock:
            self._labels.pop(image, None)
            if self._made is not None and self._made.task.stack.image is image:
                self._made = None
        yield from ()

    def _synchronised(self, task: Task) -> Session:
        """Give a session that agrees with the task, unless a later task was there before."""
        with self._lock:
            session = self._session_for(task)
            if task.serial > self._serial:
                self._serial = task.serial
                self._synchronise_objects(session, task)
                for object_id, frame in list(_frames(session, task)):
                    self._synchronise_prompts(session, task, object_id, frame)
            return session

    def _session_for(self, task: Task) -> Session:
        made = self._made
        if made is not None and made.agrees_with(task):
            return made.session
        session = self._new_session(task)
        if made is not None and task.stack.same_place(made.task.stack):
            session.take_over(made.session)
        self._made = _Made(task, session)
        self._unanswered = {(i, f) for i, known in session.objects.items() for f in known.prompts}
        return session

    def _new_session(self, task: Task) -> Session:
        stack = task.stack
        labels = self._labels.get(stack.image)
        if labels is not None and labels.shape != stack.data.shape[: stack.image.ndim]:
            labels = None
        model = task.model
        if self._loaded is not None and self._loaded[0] == model:
            model = self._loaded[1]
        session = Session(stack.data, model, stack.view.axis, view=stack.view, labels=labels)
        self._loaded = (task.model, session.model)
        self._labels[stack.image] = session.labels
        return session

    def _synchronise_objects(self, session: Session, task: Task) -> None:
        for object_id in session.objects.keys() - task.names.keys():
            session.remove_object(object_id)
        for object_id, name in task.names.items():
            if object_id not in session.objects:
                session.add_object(name, object_id)
            session.objects[object_id].name = name

    def _synchronise_prompts(
        self, session: Session, task: Task, object_id: int, frame: int
    ) -> None:
        wanted = task.prompts.get(object_id, {}).get(frame, ())
        if session.set_prompts(object_id, frame, wanted):
            (self._unanswered.add if wanted else self._unanswered.discard)((object_id, frame))


def _frames(session: Session, task: Task) -> Iterator[tuple[int, int]]:
    """Give every object and frame that has prompts, or had."""
    for object_id, known in session.objects.items():
        for frame in sorted(known.prompts.keys() | task.prompts.get(object_id, {}).keys()):
            yield object_id, frame
