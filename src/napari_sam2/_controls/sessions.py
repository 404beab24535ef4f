"""The sessions of what is chosen: made when needed, made anew when the choice changes."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_sam2._controls.places import Places, find
from napari_sam2._controls.session_making import SessionMaker
from napari_sam2._controls.synchronising import Made, Said, adopted, find_news, synchronise
from napari_sam2._label_layers import is_laid, planes_of_edit
from napari_sam2.session_files.session_file import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.layers import Image

    from napari_sam2._controls.synchronising import News
    from napari_sam2._controls.tasks import Task
    from napari_sam2._layers import Stack
    from napari_sam2.session import Session, Step


class Sessions:
    """Holds the sessions of each image that is worked on: one for each place, see `Places`.

    A session that takes the place of another one has its labels, and the objects in them, and a
    model is loaded once: new contrast limits or another model cost no results.

    Who changes a session has a turn; see `Bench`. Only `adopt` is called without.
    """

    def __init__(self) -> None:
        self.made = Places()
        self.maker = SessionMaker()
        #: Called with the stack, a step that is new in the history of its session or grows, and
        #: the object that is removed as it is not listed any more, or 0; in any thread.
        self.on_step: Callable[[Stack, Step, int], None] = ignore_step
        #: Called after it with what the dock does not know, and the step that it came with, if any.
        self.on_news: Callable[[Stack, Step | None, News], None] = ignore_news
        self.changes = 0  #: of any session, so far
        #: The sessions of images that are gone, to be saved.
        self.left: deque[tuple[Image, tuple[Session, ...]]] = deque()
        self._latest: WeakKeyDictionary[Image, int] = WeakKeyDictionary()  #: serial of a task
        self._adopted: WeakKeyDictionary[Image, int] = WeakKeyDictionary()  #: likewise
        self._unlisted = 0  #: the object that is being removed

    def adopt(
        self, task: Task, session: Session, others: Sequence[Session] = ()
    ) -> tuple[Session, ...]:
        """Go on with a session that was made elsewhere.

        Parameters
        ----------
        task : Task
            How layers show it.
        session : Session
        others : sequence of Session
            At other places in the same data, with the same labels.

        Returns
        -------
        tuple of Session
            Those that were worked on before, and are put aside.
        """
        image = task.stack.image
        made = [adopted(task, one) for one in (session, *others)]
        for one in made:
            one.session.watch_steps(partial(self._tell_step, one.task.stack))
        # What was read before is late: it must not take objects out of these sessions.
        self._latest[image] = self._adopted[image] = task.serial
        self.maker.keep(session.model, session)
        earlier = tuple(one.session for one in self.made.replace(image, made))
        self.changes += 1
        if not earlier or any(one is session for one in earlier):
            return ()
        self.left.append((image, earlier))
        return earlier

    def note_edits(self, shown: Any, indices: Iterable[tuple[Any, ...]]) -> list[tuple[int, ...]]:
        """Note that the user has painted on labels.

        Parameters
        ----------
        shown : array-like
            The labels as a layer shows them.
        indices : iterable of tuple
            What was painted, as napari indexes them; see `planes_of_edit`.

        Returns
        -------
        list of tuple of int
            One position on each plane that was painted on; empty if they are labels of no session.
        """
        if (made := self.of_labels(shown)) is None:
            return []
        # Of channels, labels have no axis.
        stack = made.task.stack
        planes, axis = planes_of_edit(indices, shown.shape, stack.seen), stack.channel_axis
        made.session.note_edits(planes if axis is None else np.delete(planes, axis, 1))
        self.changes += 1
        return [tuple(plane) for plane in planes.tolist()]

    def of_labels(self, shown: Any) -> Made | None:
        """Give what is at hand of the image whose labels a layer shows, as it shows them."""
        each = list(self.made.values())
        return next((made for made in each if is_laid(shown, made.session.labels)), None)

    def put_aside(self, image: Image) -> None:
        """Work no more on what is there of an image; it is saved."""
        if made := self.made.replace(image, ()):
            self.left.append((image, tuple(one.session for one in made)))
            self.changes += 1

    def look_at(self, task: Task) -> None:
        """Put aside what is of no use for a task, unless a later one was there before.

        That is all that was made of other data of the layer, or of its channels as an axis; and,
        at all places, objects that are not listed any more.
        """
        image = task.stack.image
        if task.serial < self._latest.get(image, -1):
            return
        known = self.made.of(image)
        if known and not known[0].task.stack.same_layer(task.stack):
            self.put_aside(image)
        for made in self.made.of(image):
            self._remove_from(made, task)

    def agreeing_with(self, task: Task, *, afresh: bool = False) -> Made:
        """Give a session that agrees with the task, unless a later task was there before.

        Raises
        ------
        ValueError
            If it is of a place in what another session has taken the place of.
        """
        image = task.stack.image
        is_latest = task.serial >= self._latest.get(image, -1)
        self.look_at(task)
        while True:
            known = self.made.of(image)
            made = find(known, task.stack)
            if made is not None and task.serial <= made.said.serial:
                return made
            if task.serial < self._adopted.get(image, -1):
                raise ValueError("Another session was opened meanwhile: try again.")
            if made is None or not made.task.same_session(task):
                made = self._make(task, known, made)
            # The window may have opened another session while this one was made.
            if self.made.put(made, known, at_hand=is_latest):
                break
        self.maker.keep(task.model, made.session)
        self.changes += 1
        if is_latest:
            self._latest[image] = task.serial
        # What is drawn and listed is the dock's to undo.
        with made.session.apart_from_history():
            synchronise(made, task, afresh=afresh)
            news = find_news(made, agrees=True)
        self._tell_news(made, None, news)
        return made

    def _make(self, task: Task, known: Sequence[Made], earlier: Made | None) -> Made:
        session = self.maker.make(task, known, earlier)
        session.watch_steps(partial(self._tell_step, task.stack))
        prompted = {(i, f) for i, known in session.objects.items() for f in known.prompts}
        return Made(task, session, prompted, Said() if earlier is None else earlier.said)

    def _tell_step(self, stack: Stack, step: Step) -> None:
        self.changes += 1
        self.on_step(stack, step, self._unlisted)
        made = self.made.get(stack.image)
        if made is not None and made.task.stack.same_position(stack):
            self._tell_news(made, step, find_news(made))

    def _tell_news(self, made: Made, step: Step | None, news: News) -> None:
        if news:
            self.on_news(made.task.stack, step, news)

    def _remove_from(self, made: Made, task: Task) -> None:
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


def named(made: Made) -> Session:
    """Give a session, and tell it where its data came from."""
    session, stack = made.session, made.task.stack
    origin, path = session.origin, _path_of(stack.image)
    # Of each layer, too: the image alone is not what the session sees.
    known = dict(origin.layers)
    layers = tuple((one.name, _path_of(one) or known.get(one.name)) for one in stack.layers)
    session.origin = Origin(stack.image.name, path or origin.path, layers)
    return session


def _path_of(image: Image) -> str | None:
    path = image.source.path
    return None if path is None else str(path)


def ignore_step(stack: Stack, step: Step, unlisted: int) -> None:
    """Tell nobody."""


def ignore_news(stack: Stack, step: Step | None, news: News) -> None:
    """Tell nobody."""
