"""What is computed for the dock, each piece in its turn.

The generators run in a worker's thread: they may load a model, or wait for one.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from napari_sam2._controls.sessions import Sessions, named
from napari_sam2._controls.synchronising import (
    Made,
    find_refused,
    has_ended,
    has_prompts,
    try_segmenting,
)
from napari_sam2._controls.tasks import Awaited, Begun, Refused, Task, Written
from napari_sam2._worker import Turns
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.transforms import as_seen
from napari_sam2.predictors.windows import Window
from napari_sam2.results.divisions import DivisionRule

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    import numpy as np
    from napari.layers import Image

    from napari_sam2._controls.tasks import Route
    from napari_sam2._layers import Stack
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.frames import Region
    from napari_sam2.prompts import Candidates, FrameMasks, Prompt
    from napari_sam2.session import Overlap, Session, Step

T = TypeVar("T")


class Bench:
    """Has sessions do what is asked for, whoever asks: a step at a time."""

    def __init__(self) -> None:
        # One step at a time, whoever takes it: of two sessions of an image, only the later one
        # may write the labels that they share.
        self._turns = Turns()
        self._urgent = Event()  #: whether there is work that somebody waits for
        self.sessions = Sessions()
        self._made = self.sessions.made

    @property
    def device(self) -> str:
        """Where the loaded model computes; empty before one is loaded."""
        return self.sessions.maker.device

    def note_listed(self, image: Image, object_ids: Iterable[int]) -> None:
        """Note that the dock lists objects that the session of an image had told it of."""
        if (made := self._made.get(image)) is not None:
            made.said.hear(object_ids)

    def labels_found(self, stack: Stack) -> Any:
        """Give the labels of a stack in which anything was found, or None."""
        made = self._made.find(stack)
        if made is None:
            return None
        found = any(one.frames for one in list(made.session.objects.values()))
        return made.session.labels if found else None

    def labels_of(self, image: Image) -> Any:
        """Give the labels of an image, or None if there is no session of it."""
        made = self._made.get(image)
        return None if made is None else made.session.labels

    def knows_prompts(self, task: Task) -> bool:
        """Whether all prompts of a task are in a session, as it is now."""
        made = self._made.find(task.stack)
        return not task.prompts if made is None else has_prompts(made.session, task)

    def stack_of_labels(self, shown: Any) -> Stack | None:
        """Give the stack whose labels a layer shows, as it shows them; or None."""
        made = self.sessions.of_labels(shown)
        return None if made is None else made.task.stack

    def is_loaded(self, model: str | SAM2) -> bool:
        """Whether the model is there already."""
        return self.sessions.maker.is_loaded(model)

    def images(self) -> list[Image]:
        """Give the images that there are sessions of."""
        return list(self._made)

    @contextmanager
    def standstill(self) -> Iterator[None]:
        """Have all sessions stand still."""
        with self._turns.take():
            yield

    @contextmanager
    def sessions_of(self, image: Image) -> Iterator[tuple[Session, ...]]:
        """Have the sessions of an image to oneself: the one at hand, and those elsewhere."""
        with self._turns.take():
            yield tuple(named(made) for made in self._made.of(image))

    @contextmanager
    def sessions_for(self, task: Task) -> Iterator[tuple[Session, ...]]:
        """Have the session that agrees with a task to oneself, and those elsewhere in its image."""
        image = task.stack.image
        with self._turns.take():
            made = self.sessions.agreeing_with(task)
            others = (one for one in self._made.of(image) if one is not made)
            yield tuple(named(one) for one in (made, *others))

    def session(self, task: Task) -> Session:
        """Give the session that agrees with a task, once the step under way is done."""
        with self._turn():
            return named(self.sessions.agreeing_with(task))

    def segment(
        self, task: Task, *, again: bool = False
    ) -> Generator[Awaited | Candidates | Refused, None, None]:
        """Find the objects whose prompts on the current frame are new, the current one first.

        Where there are several, the first step says how many.

        Parameters
        ----------
        task : Task
        again : bool
            Whether to give all objects that are prompted on the frame, new or not.
        """
        frame = task.frame
        with self._turn():
            made = self.sessions.agreeing_with(task)
            prompted = [i for i, by_frame in task.prompts.items() if frame in by_frame]
            prompted = [i for i in prompted if again or (i, frame) in made.unanswered]
        if len(prompted) > 1:
            yield Awaited(len(prompted))
        for object_id in sorted(prompted, key=lambda i: i != task.object_id):
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
        made = self._made.find(stack)
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
        made = self._made.find(stack)
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
                made = self._made.find(stack)
                if made is None or not made.task.stack.same_pixels(stack):
                    return
                is_ready = made.session.prepare(object_id, frame, stop, place)
            if not is_ready:
                return
            yield frame

    def mark_shown(self, task: Task, candidates: Candidates) -> None:
        """Note that an answer has reached the user; until then it is given again."""
        made = self._made.find(task.stack)
        if made is not None:
            made.unanswered.discard((candidates.best.object_id, candidates.frame))

    def propagate(self, task: Task, route: Route) -> Generator[Begun | FrameMasks, None, None]:
        """Follow objects; the first step says how far. Ends where the session is replaced."""
        with self._turn():
            made = self.sessions.agreeing_with(task)
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
            made = self.sessions.agreeing_with(task)
            session = made.session
            total = sum(len(one.frames) for one in session.plan_correction(*where))
            steps = session.correct(*where)
        yield Begun(session.labels, total)
        yield from self._stepped(made, steps)

    def cancel(self, image: Image) -> None:
        """Have a run in an image end before its frame is done, without waiting for a turn."""
        for made in self._made.of(image):
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
                self.sessions.changes += 1
            yield masks

    def accept(self, task: Task, candidates: Candidates) -> Generator[Written, None, None]:
        """Write a previewed mask to the labels."""
        with self._turn():
            session = self.sessions.agreeing_with(task).session
            session.accept(candidates)
            self.sessions.changes += 1
        yield Written(session.labels)

    def synchronise(self, task: Task) -> Generator[Written, None, None]:
        """Take over objects and prompts, if there is a session or anything to begin one for."""
        with self._turn():
            if task.prompts or self._made.find(task.stack) is not None:
                self.sessions.agreeing_with(task)
            else:
                self.sessions.look_at(task)
            made = self._made.get(task.stack.image)
        if made is not None:
            yield Written(made.session.labels)

    def overlap_of(self, stack: Stack | None) -> Overlap:
        """Give the rule by which objects of a stack share pixels."""
        made = None if stack is None else self._made.find(stack)
        return self.sessions.maker.overlap if made is None else made.session.overlap

    def settle_overlaps(self, task: Task, rule: Overlap) -> Generator[Written, None, None]:
        """Have another rule say which object has the pixels that several claim."""
        if self._made.find(task.stack) is not None:
            with self._turns.take():
                session = self.sessions.agreeing_with(task).session
                session.set_overlap(rule)
                self.sessions.changes += 1
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
            self.sessions.agreeing_with(before)
            sessions = [made.session for made in self._made.of(before.stack.image)]
            for step in reversed(steps) if back else steps:
                session = next((one for one in sessions if one.knows(step)), sessions[0])
                (session.undo if back else session.redo)(step)
            session = self.sessions.agreeing_with(after, afresh=True).session
            self.sessions.changes += 1
        yield Written(session.labels)

    def merge(
        self, task: Task, into: int, others: Sequence[int]
    ) -> Generator[dict[int, tuple[Prompt, ...]], None, None]:
        """Make one object of several, at all places; give its prompts at the task's, by frame."""
        with self._turns.take():
            here = self.sessions.agreeing_with(task).session
            everywhere = [made.session for made in self._made.of(task.stack.image)]
            for session in (here, *(one for one in everywhere if one is not here)):
                ids = [i for i in others if i in session.objects]
                if ids and into not in session.objects:
                    with session.apart_from_history():
                        session.add_object(task.names[into], into)
                if ids:
                    session.merge(into, ids)
            self.sessions.changes += 1
            prompts = dict(here.objects[into].prompts)
        yield prompts

    def use(self, task: Task, act: Callable[[Session], T]) -> Generator[T, None, None]:
        """Have something done with the session of a task, and give what it gives."""
        with self._turns.take():
            answer = act(self.sessions.agreeing_with(task).session)
            self.sessions.changes += 1
        yield answer

    def look(self, stack: Stack, act: Callable[[Session], T]) -> Generator[T | None, None, None]:
        """Have a session looked at as it is; None where there is none for the stack."""
        with self._turns.take():
            made = self._made.find(stack)
            answer = None if made is None else act(made.session)
        yield answer

    def let_go(self, image: Image) -> Generator[None, None, None]:
        """Forget an image that is gone from the viewer, and what was found in it."""
        with self._turn():
            self.sessions.put_aside(image)
        yield from ()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have a turn, as soon as what is computed ahead has given way."""
        self._urgent.set()
        with self._turns.take():
            yield

    def _holds(self, made: Made) -> bool:
        return self._made.get(made.task.stack.image) is made
