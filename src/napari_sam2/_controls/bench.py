"""The sessions of what is chosen in the dock: made when needed, made anew when the choice changes.

The generators run in a worker's thread: they may load a model, or wait for one.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from napari_sam2._controls.synchronising import (
    Made,
    Said,
    find_news,
    find_refused,
    has_ended,
    synchronise,
    try_segmenting,
)
from napari_sam2._controls.tasks import Begun, Refused, Task, Written
from napari_sam2._label_layers import is_laid
from napari_sam2._worker import Turns
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.transforms import as_seen
from napari_sam2.predictors.windows import Window
from napari_sam2.results.divisions import DivisionRule
from napari_sam2.session import Overlap, Session, Step
from napari_sam2.session_files.session_file import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from napari.layers import Image

    from napari_sam2._controls.synchronising import News
    from napari_sam2._controls.tasks import Route
    from napari_sam2._layers import Stack
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.frames import Region
    from napari_sam2.prompts import Candidates, FrameMasks

T = TypeVar("T")


class Bench:
    """Holds the session of each image that is worked on.

    A session that takes the place of another one on the same image has its labels, and the
    objects in them, and a model is loaded once: new contrast limits or another model cost no
    results.
    """

    def __init__(self) -> None:
        # One step at a time, whoever takes it: of two sessions of an image, only the later one
        # may write the labels that they share.
        self._turns = Turns()
        self._urgent = Event()  #: whether there is work that somebody waits for
        self._made: dict[Image, Made] = {}
        self._loaded: tuple[str | SAM2, SAM2] | None = None  #: by what was asked for
        self._serial = -1
        self.overlap = Overlap.KEEP  #: of sessions to come
        #: Called with the image, a step that is new in the history of its session or grows, and
        #: the object that is removed as it is not listed any more, or 0; in any thread.
        self.on_step: Callable[[Image, Step, int], None] = ignore_step
        #: Called after it with what the dock does not know, and the step that it came with, if any.
        self.on_news: Callable[[Image, Step | None, News], None] = ignore_news
        self._unlisted = 0
        self._labels: WeakKeyDictionary[Image, Any] = WeakKeyDictionary()
        self.changes = 0  #: of any session, so far
        self.left: deque[tuple[Image, Session]] = deque()  #: of images that are gone, to be saved
        self.new_labels: Callable[[Stack], Any] = lambda stack: None  #: none: in memory

    @property
    def device(self) -> str:
        """Where the loaded model computes; empty before one is loaded."""
        return "" if self._loaded is None else str(self._loaded[1].device)

    def note_listed(self, image: Image, object_ids: Iterable[int]) -> None:
        """Note that the dock lists objects that the session of an image had told it of."""
        if (made := self._made.get(image)) is not None:
            made.said.hear(object_ids)

    def labels_found(self, stack: Stack) -> Any:
        """Give the labels of a stack in which anything was found, or None."""
        made = self._made.get(stack.image)
        if made is None or not made.task.stack.same_place(stack):
            return None
        found = any(one.frames for one in list(made.session.objects.values()))
        return made.session.labels if found else None

    def is_loaded(self, model: str | SAM2) -> bool:
        """Whether the model is there already."""
        return self._loaded is not None and self._loaded[0] == model

    def images(self) -> list[Image]:
        """Give the images that there are sessions of."""
        return list(self._made)

    @contextmanager
    def session_of(self, image: Image) -> Iterator[Session | None]:
        """Have the session of an image to oneself; none if there is none."""
        with self._turns.take():
            made = self._made.get(image)
            yield None if made is None else _named(image, made.session)

    @contextmanager
    def session_for(self, task: Task) -> Iterator[Session]:
        """Have the session that agrees with a task to oneself."""
        with self._turns.take():
            yield _named(task.stack.image, self._synchronised(task).session)

    def session(self, task: Task) -> Session:
        """Give the session that agrees with a task, once the step under way is done."""
        with self._turn():
            return _named(task.stack.image, self._synchronised(task).session)

    def note_edits(self, shown: Any, places: np.ndarray) -> None:
        """Note that the user has painted on labels as a layer shows them, at positions (N, D)."""
        for made in list(self._made.values()):
            if is_laid(shown, made.session.labels):
                # Of channels, labels have no axis.
                axis = made.task.stack.channel_axis
                made.session.note_edits(places if axis is None else np.delete(places, axis, 1))
                self.changes += 1

    def adopt(self, task: Task, session: Session) -> None:
        """Go on with a session that was made elsewhere; the task says how layers show it."""
        image = task.stack.image
        self.changes += 1
        earlier = self._made.get(image)
        if earlier is not None and earlier.session is not session:
            self.left.append((image, earlier.session))
        # What was read before is late: it must not take objects out of this session.
        self._serial = max(self._serial, task.serial)
        self._made[image] = Made(task, session, said=Said(task.names, task.prompts))
        session.watch_steps(partial(self._tell_step, image))
        self._labels[image] = session.labels
        self._loaded = (session.model, session.model)

    def segment(
        self, task: Task, *, again: bool = False
    ) -> Generator[Candidates | Refused, None, None]:
        """Find the objects whose prompts on the current frame are new, the current one first.

        Parameters
        ----------
        task : Task
        again : bool
            Whether to give all objects that are prompted on the frame, new or not.
        """
        frame = task.frame
        with self._turn():
            made = self._synchronised(task)
        prompted = [i for i, by_frame in task.prompts.items() if frame in by_frame]
        for object_id in sorted(prompted, key=lambda i: i != task.object_id):
            if not (again or (object_id, frame) in made.unanswered):
                continue
            with self._turn():
                # Either may have been taken away since.
                session = made.session
                known = session.objects.get(object_id)
                if not self._holds(made) or known is None:
                    continue
                if frame not in known.prompts and not has_ended(session, object_id, frame):
                    continue
                step = try_segmenting(session, object_id, frame, task.prompts[object_id][frame])
            yield step

    def read(self, stack: Stack, frame: int, region: Region) -> Generator[np.ndarray, None, None]:
        """Read a part of a frame, (H, W, 3) in [0, 1], as the model of its session sees it."""
        made = self._made.get(stack.image)
        if made is not None and made.task.stack.same_place(stack):
            yield made.session.source.read(frame, region)

    def picture(
        self, stack: Stack, frame: int, object_id: int, size: int
    ) -> Generator[tuple[np.ndarray, Window], None, None]:
        """Show what a model with inputs of a size sees of a frame: around an object, if known.

        Yields
        ------
        np.ndarray, shape (size, size, 3), uint8
        Window
            Which part of the frame that is.
        """
        made = self._made.get(stack.image)
        if made is not None and made.task.stack.same_pixels(stack):
            source, window = made.session.source, made.session.window(object_id, frame)
        else:
            source, window = FrameSource(stack.data, stack.view), Window(0, 0, *stack.shape)
        yield as_seen(source.read(frame, window.region), size), window

    def prepare(
        self,
        stack: Stack,
        object_id: int,
        clicks: Sequence[tuple[int, tuple[float, float] | None]],
        is_late: Callable[[], bool],
    ) -> Generator[int, None, None]:
        """Compute what clicks will need, as long as nothing else is to be done.

        Parameters
        ----------
        stack : Stack
        object_id : int
        clicks : sequence of (int, (float, float) or None)
            The frame, and (row, column) on it; None for where the object was last.
        is_late : callable
            Whether it is other clicks that are expected by now.

        Yields
        ------
        int
            A frame that is ready.
        """
        self._urgent.clear()

        def stop() -> bool:
            return self._urgent.is_set() or is_late()

        for frame, place in clicks:
            with self._turns.take():
                made = self._made.get(stack.image)
                if made is None or not made.task.stack.same_pixels(stack):
                    return
                is_ready = made.session.prepare(object_id, frame, stop, place)
            if not is_ready:
                return
            yield frame

    def mark_shown(self, task: Task, candidates: Candidates) -> None:
        """Note that an answer has reached the user; until then it is given again."""
        made = self._made.get(task.stack.image)
        if made is not None:
            made.unanswered.discard((candidates.best.object_id, candidates.frame))

    def propagate(self, task: Task, route: Route) -> Generator[Begun | FrameMasks, None, None]:
        """Follow objects; the first step says how far. Ends where the session is replaced."""
        with self._turn():
            made = self._synchronised(task)
            session, span = made.session, (route.direction, route.start, route.stop)
            chosen = session.objects if route.objects is None else route.objects
            wanted = [i for i in chosen if i in session.objects]
            refused = tuple(find_refused(session, wanted))
            objects = tuple(i for i in wanted if i not in {one.object_id for one in refused})
            if refused and not any(session.objects[i].prompts for i in objects):
                raise ValueError(refused[0].why)
            total = sum(len(one.frames) for one in session.plan(*span, objects))
            rule = DivisionRule() if route.divisions else None
            steps = session.propagate(*span, objects, divisions=rule)
        yield Begun(session.labels, total, refused)
        yield from self._stepped(made, steps)

    def correct(self, task: Task) -> Generator[Begun | FrameMasks, None, None]:
        """Follow the current object again from its prompts on the current frame."""
        where = task.object_id, task.frame
        with self._turns.take():
            made = self._synchronised(task)
            session = made.session
            total = sum(len(one.frames) for one in session.plan_correction(*where))
            steps = session.correct(*where)
        yield Begun(session.labels, total)
        yield from self._stepped(made, steps)

    def cancel(self, image: Image) -> None:
        """Have a run end before its frame is done, without waiting for a turn."""
        if made := self._made.get(image):
            made.session.cancel()

    def _stepped(
        self, made: Made, steps: Iterator[FrameMasks]
    ) -> Generator[FrameMasks, None, None]:
        """Give steps while their session is the image's."""
        while True:
            with self._turn():
                masks = next(steps, None) if self._holds(made) else None
                if masks is None:
                    return
                made.unanswered.difference_update((i, masks.frame) for i in masks.object_ids)
                self.changes += 1
            yield masks

    def accept(self, task: Task, candidates: Candidates) -> Generator[Written, None, None]:
        """Write a previewed mask to the labels."""
        with self._turn():
            session = self._synchronised(task).session
            session.accept(candidates)
            self.changes += 1
        yield Written(session.labels)

    def synchronise(self, task: Task) -> Generator[Written, None, None]:
        """Take over objects and prompts, if there is a session or anything to begin one for."""
        with self._turn():
            wanted = task.prompts or task.stack.image in self._made
            made = self._synchronised(task) if wanted else None
        if made is not None:
            yield Written(made.session.labels)

    def overlap_of(self, image: Image | None) -> Overlap:
        """Give the rule by which objects of an image share pixels."""
        made = None if image is None else self._made.get(image)
        return self.overlap if made is None else made.session.overlap

    def settle_overlaps(self, task: Task, rule: Overlap) -> Generator[Written, None, None]:
        """Have another rule say which object has the pixels that several claim."""
        if task.stack.image in self._made:
            with self._turns.take():
                session = self._synchronised(task).session
                session.set_overlap(rule)
                self.changes += 1
            yield Written(session.labels)

    def rewind(
        self, before: Task, steps: Sequence[Step], after: Task, *, back: bool
    ) -> Generator[Written, None, None]:
        """Undo steps of the session, or redo them.

        Parameters
        ----------
        before, after : Task
            What is drawn and listed before this and after it.
        steps : sequence of Step
            In the order in which they were made.
        back : bool
            Whether to undo them.

        Raises
        ------
        ValueError
            If there was no room to keep one of them.
        """
        with self._turns.take():
            session = self._synchronised(before).session
            for step in reversed(steps) if back else steps:
                (session.undo if back else session.redo)(step)
            session = self._synchronised(after, afresh=True).session
            self.changes += 1
        yield Written(session.labels)

    def use(self, task: Task, act: Callable[[Session], T]) -> Generator[T, None, None]:
        """Have something done with the session of a task, and give what it gives."""
        with self._turns.take():
            answer = act(self._synchronised(task).session)
            self.changes += 1
        yield answer

    def look(self, stack: Stack, act: Callable[[Session], T]) -> Generator[T | None, None, None]:
        """Have a session looked at as it is; None where there is none for the stack."""
        with self._turns.take():
            made = self._made.get(stack.image)
            is_there = made is not None and made.task.stack.same_place(stack)
            answer = act(made.session) if made is not None and is_there else None
        yield answer

    def let_go(self, image: Image) -> Generator[Written, None, None]:
        """Forget an image that is gone from the viewer, and what was found in it."""
        with self._turn():
            self._labels.pop(image, None)
            if made := self._made.pop(image, None):
                self.left.append((image, made.session))
        yield from ()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have a turn, as soon as what is computed ahead has given way."""
        self._urgent.set()
        with self._turns.take():
            yield

    def _holds(self, made: Made) -> bool:
        return self._made.get(made.task.stack.image) is made

    def _synchronised(self, task: Task, *, afresh: bool = False) -> Made:
        """Give a session that agrees with the task, unless a later task was there before."""
        made = self._made.get(task.stack.image)
        is_late = task.serial <= self._serial
        if made is not None and is_late and made.task.stack.same_place(task.stack):
            return made
        if made is None or not made.task.same_session(task):
            made = self._made[task.stack.image] = self._make(task, made)
        self._serial = max(self._serial, task.serial)
        self.changes += 1
        self._remove_unlisted(made, task)
        # What is drawn and listed is the dock's to undo.
        with made.session.apart_from_history():
            synchronise(made, task, afresh=afresh)
        self._tell_news(made, None)
        return made

    def _tell_step(self, image: Image, step: Step) -> None:
        self.changes += 1
        self.on_step(image, step, self._unlisted)
        if (made := self._made.get(image)) is not None:
            self._tell_news(made, step)

    def _tell_news(self, made: Made, step: Step | None) -> None:
        if news := find_news(made):
            self.on_news(made.task.stack.image, step, news)

    def _remove_unlisted(self, made: Made, task: Task) -> None:
        """Remove objects of which something was found: a step of the session."""
        session = made.session
        for object_id in made.said.removed_in(task):
            made.said.forget(object_id)
            known = session.objects.get(object_id)
            if known is not None and known.frames:
                self._unlisted = object_id
                session.remove_object(object_id)
            elif known is not None:
                with session.apart_from_history():
                    session.remove_object(object_id)
        self._unlisted = 0

    def _make(self, task: Task, earlier: Made | None) -> Made:
        session, said = self._new_session(task, earlier), Said()
        if earlier is not None and task.stack.same_place(earlier.task.stack):
            session.take_over(earlier.session)
            said = earlier.said
        session.watch_steps(partial(self._tell_step, task.stack.image))
        prompted = {(i, f) for i, known in session.objects.items() for f in known.prompts}
        return Made(task, session, prompted, said)

    def _new_session(self, task: Task, earlier: Made | None) -> Session:
        stack, model = task.stack, task.model
        labels = self._labels.get(stack.image)
        if labels is not None and labels.shape != stack.label_shape:
            labels = None
        if labels is None:
            labels = self.new_labels(stack)
        if self._loaded is not None and self._loaded[0] == model:
            model = self._loaded[1]
        wanted = replace(task.settings, overlap=self.overlap)
        if earlier is not None:  # the weights are those of the model that is chosen now
            wanted = replace(
                earlier.session.settings,
                overlap=earlier.session.overlap,
                checkpoint=None,
                device=wanted.device,
                precision=wanted.precision,
            )
        session = Session(
            stack.data, model, stack.view.axis, view=stack.view, settings=wanted, labels=labels
        )
        self._loaded = (task.model, session.model)
        self._labels[stack.image] = session.labels
        if earlier is not None:
            session.origin = earlier.session.origin
        return session


def _named(image: Image, session: Session) -> Session:
    """Tell a session where its data came from."""
    path = image.source.path
    session.origin = Origin(image.name, session.origin.path if path is None else str(path))
    return session


def ignore_step(image: Image, step: Step, unlisted: int) -> None:
    """Tell nobody."""


def ignore_news(image: Image, step: Step | None, news: News) -> None:
    """Tell nobody."""
