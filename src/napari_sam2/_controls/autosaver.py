"""Every change is in a file within seconds, whether the user saves it or not."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.status import explain
from napari_sam2.autosave import Autosave, autosave_folder
from napari_sam2.results.label_arrays import is_large
from napari_sam2.results.labels import LABEL_DTYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_sam2._controls.bench import Bench
    from napari_sam2._layers import Stack
    from napari_sam2._worker import Steps
    from napari_sam2.session import Session

_LOGGER = logging.getLogger(__name__)

EVERY_MS = 2000
LOOK_S = 30.0  #: seconds, after which changes are looked for that no one told of
SHARE = 10  #: saving takes at most one in so many seconds
PAINTED = 16  #: planes that were painted last, and may be changed back without a word


class Autosaver(QObject):
    """Keeps a file for each image that is worked on, in a thread of its own.

    The thread needs no event loop, and Python waits for it: what is asked for last is saved
    although the window is gone. Whatever touches the files has its turn at the bench, so that
    sessions stand still.

    Parameters
    ----------
    bench : Bench
    tell : callable
        Hears what went wrong; once, until it goes well again.
    parent : QObject
    """

    put_away = Signal(object, object)  #: sessions that are worked on no more, and their file
    _failed = Signal(str)

    def __init__(self, bench: Bench, tell: Callable[[str], None], parent: QObject) -> None:
        super().__init__(parent)
        self._bench, self._folder = bench, autosave_folder()
        self._files: dict[Image, Autosave] = {}
        self._thread = ThreadPoolExecutor(1, "napari-sam2-autosave")
        self._last: Future[None] | None = None
        self._seen, self._ended, self._took = 0, 0.0, 0.0
        self._has_failed = False
        #: A position on each plane that was painted on, the last one last, by id of the array.
        self._painted: dict[int, tuple[Any, list[tuple[int, ...]]]] = {}
        bench.sessions.maker.new_labels = self._new_labels
        self._failed.connect(tell)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def resume(self, image: Image, path: Path) -> None:
        """Go on with a file of unsaved work that was opened."""

        def work() -> None:
            with self._bench.sessions_of(image):
                self._save_left()
                if earlier := self._files.pop(image, None):
                    earlier.close()
                self._files[image] = Autosave(path=path)

        self._do(work)

    def begin_clean(self, image: Image) -> None:
        """Note that all of an image's session is in a file of the user's."""

        def work() -> None:
            with self._bench.sessions_of(image) as sessions:
                self._save_left()
                if sessions:
                    self.note_saved(image, sessions)

        self._do(work)

    def note_saved(self, image: Image, sessions: Sequence[Session]) -> None:
        """Note that an image's sessions are in a file of the user's; by whoever has them alone."""
        file = self._file(image)
        file.save(*with_content(sessions))
        file.mark_clean()

    def watch_painting(self, layer: Labels) -> None:
        """Notice what the user paints on a layer of results."""
        layer.events.paint.disconnect(self._note_painting)
        layer.events.paint.connect(self._note_painting)

    def save(self) -> None:
        """Save what has changed, without waiting for the next time."""
        self._do(self._save)

    def do_first(self, waiting: Sequence[Steps]) -> None:
        """Have changes of sessions made in the thread that saves, before it saves."""

        def work() -> None:
            for steps in waiting:
                try:
                    steps.finish()
                except Exception:  # the others are to be done all the same, and nobody is told
                    _LOGGER.warning("A change was not made", exc_info=True)

        if waiting:
            self._do(work)

    def shut(self) -> None:
        """Save for the last time, and let go of all files."""
        self._timer.stop()
        self._do(self._save)
        self._do(self._close)
        self._thread.shutdown(wait=False)

    def wait(self) -> None:
        """Wait until what was asked for is done."""
        if self._last is not None:
            self._last.result()

    def _tick(self) -> None:
        now = monotonic()
        is_saving = self._last is not None and not self._last.done()
        if is_saving or now - self._ended < SHARE * self._took:
            return
        has_changed = self._bench.sessions.changes != self._seen or bool(self._bench.sessions.left)
        if has_changed or now - self._ended > LOOK_S:
            self._do(self._save)

    def _do(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
                self._has_failed = False
            # In a thread whose future nobody asks, anything else would be lost, and the user would
            # believe that their work is safe.
            except Exception as error:
                _LOGGER.debug("Saving failed", exc_info=True)
                self._ended, self._seen = monotonic(), self._bench.sessions.changes
                has_failed, self._has_failed = self._has_failed, True
                if not has_failed:
                    with suppress(RuntimeError):  # Qt's half may be gone
                        self._failed.emit(f"What you do is not saved by itself: {explain(error)}")

        try:
            self._last = self._thread.submit(run)
        except RuntimeError:  # the program ends, and begins nothing in threads any more
            run()

    def _save(self) -> None:
        with self._bench.standstill():
            for key, (labels, planes) in list(self._painted.items()):
                if not self._bench.sessions.note_edits(labels, [tuple(np.array(planes).T)]):
                    self._painted.pop(key, None)  # the labels of an image that is gone
        seen, took = self._bench.sessions.changes, 0.0
        for image in self._bench.images():
            with self._bench.sessions_of(image) as sessions:
                self._save_left()
                if sessions and (image in self._files or any(map(has_content, sessions))):
                    began = monotonic()
                    self._file(image).save(*with_content(sessions))
                    took += monotonic() - began
        with self._bench.standstill():
            self._save_left()
        self._seen, self._ended, self._took = seen, monotonic(), took

    def _save_left(self) -> None:
        """Save what is worked on no more, before anything else comes into its file; in a turn."""
        left = self._bench.sessions.left
        while left:
            image, sessions = left[0]  # it stays there until it is in a file: saving may fail
            if image in self._files or any(map(has_content, sessions)):
                file = self._file(image)
                file.save(*with_content(sessions))
                self._files.pop(image).close()
                if any(map(has_content, sessions)):
                    with suppress(RuntimeError):  # Qt's half may be gone
                        self.put_away.emit(sessions, file.path)
            left.popleft()

    def _close(self) -> None:
        with self._bench.standstill():
            for image in list(self._files):
                self._files.pop(image).close()

    def _file(self, image: Image) -> Autosave:
        if image not in self._files:
            self._files[image] = Autosave(self._folder)
        return self._files[image]

    def _new_labels(self, stack: Stack) -> Any:
        """Make labels on the disk where they are large; called by the bench, in its turn."""
        shape = stack.label_shape
        if not is_large(shape, LABEL_DTYPE):
            return None
        self._save_left()  # of labels of another shape
        if earlier := self._files.pop(stack.image, None):
            earlier.close()
        return self._file(stack.image).new_labels(shape, LABEL_DTYPE, stack.label_seen)

    def _note_painting(self, event: Any) -> None:
        labels = event.source.data
        planes = self._bench.sessions.note_edits(labels, [atom[0] for atom in event.value])
        _, earlier = self._painted.get(id(labels), (None, []))
        before = [plane for plane in earlier if plane not in planes]
        if planes:
            self._painted[id(labels)] = labels, before[-PAINTED:] + planes


def with_content(sessions: Sequence[Session]) -> tuple[Session, list[Session]]:
    """Give the first of an image's sessions, and those of the others in which there is anything."""
    first, *others = sessions
    return first, [one for one in others if has_content(one)]


def has_content(session: Session) -> bool:
    """Whether there is anything in a session that would be missed."""
    return any(one.prompts or one.frames for one in list(session.objects.values()))
