"""Every change is in a file within seconds, whether the user saves it or not."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_sam2._controls.status import explain
from napari_sam2._worker import Call, Queue
from napari_sam2.autosave import Autosave
from napari_sam2.label_arrays import is_large
from napari_sam2.labels import LABEL_DTYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_sam2._controls.bench import Bench
    from napari_sam2._layers import Stack
    from napari_sam2.session import Session

EVERY_MS = 2000
LOOK_S = 30.0  #: seconds, after which changes are looked for that no one told of
SHARE = 10  #: saving takes at most one in so many seconds
PAINTED = 16  #: planes that were painted last, and may be changed back without a word


class Autosaver(QObject):
    """Keeps a file for each image that is worked on, in a worker.

    Whatever touches the files has its turn at the bench, so that sessions stand still.

    Parameters
    ----------
    bench : Bench
    tell : callable
        Hears what went wrong; once, until it goes well again.
    parent : QObject
    """

    def __init__(self, bench: Bench, tell: Callable[[str], None], parent: QObject) -> None:
        super().__init__(parent)
        self._bench, self._tell = bench, tell
        self._files: dict[Image, Autosave] = {}
        self._queue = Queue()
        self._seen, self._last, self._took = 0, 0.0, 0.0
        self._is_saving = self._has_failed = False
        self._painted: dict[int, tuple[Any, np.ndarray]] = {}  #: by id of the layer
        bench.new_labels = self._new_labels
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def resume(self, image: Image, path: Path) -> None:
        """Go on with a file of unsaved work that was opened."""
        self._do(partial(self._resume, image, path))

    def begin_clean(self, image: Image) -> None:
        """Note that all of an image's session is in a file of the user's."""

        def steps() -> Generator[None, None, None]:
            with self._bench.session_of(image) as session:
                if session is not None:
                    self.note_saved(image, session)
            yield

        self._do(steps)

    def leave(self, image: Image) -> None:
        """Let go of an image's file: another session comes; called in a worker."""
        with self._bench.session_of(image) as session:
            if file := self._files.pop(image, None):
                if session is not None:
                    file.save(session)
                file.close()

    def note_saved(self, image: Image, session: Session) -> None:
        """Note that a session is in a file of the user's; by whoever has it to themselves."""
        file = self._file(image)
        file.save(session)
        file.mark_clean()

    def save(self) -> None:
        """Save what has changed, soon."""
        self._is_saving = True
        self._do(self._save)

    def watch_painting(self, layer: Labels) -> None:
        """Notice what the user paints on a layer of results."""
        layer.events.paint.disconnect(self._note_painting)
        layer.events.paint.connect(self._note_painting)

    def shut(self) -> None:
        """Save for the last time, and let go of all files."""
        self._timer.stop()
        self._do(self._save)
        self._do(self._close)

    def _tick(self) -> None:
        now = monotonic()
        has_changed = self._bench.changes != self._seen or bool(self._bench.left)
        if self._is_saving or now - self._last < SHARE * self._took:
            return
        if has_changed or now - self._last > LOOK_S:
            self.save()

    def _do(self, steps: Callable[[], Generator[None, None, None]]) -> None:
        self._queue.add(Call(steps, on_step=_ignore, on_error=self._fail, on_done=self._done))

    def _done(self) -> None:
        self._is_saving = self._has_failed = False

    def _fail(self, error: Exception) -> None:
        self._is_saving, self._last = False, monotonic()
        self._seen = self._bench.changes  # tried again when more changes, or after a while
        if not self._has_failed:
            self._tell(f"What you do is not saved by itself: {explain(error)}")
        self._has_failed = True

    def _save(self) -> Generator[None, None, None]:
        began = monotonic()
        for labels, places in list(self._painted.values()):
            self._bench.note_edits(labels, places)
        seen = self._bench.changes
        for image in self._bench.images():
            with self._bench.session_of(image) as session:
                if session is not None and (image in self._files or _has_content(session)):
                    self._file(image).save(session)
            yield
        while self._bench.left:
            image, session = self._bench.left.popleft()
            if file := self._files.pop(image, None):
                file.save(session)
                file.close()
            yield
        self._seen, self._last = seen, monotonic()
        self._took = self._last - began

    def _close(self) -> Generator[None, None, None]:
        for image in list(self._files):
            self._files.pop(image).close()
        yield

    def _resume(self, image: Image, path: Path) -> Generator[None, None, None]:
        if earlier := self._files.pop(image, None):
            earlier.close()
        self._files[image] = Autosave(path=path)
        yield

    def _file(self, image: Image) -> Autosave:
        if image not in self._files:
            self._files[image] = Autosave()
        return self._files[image]

    def _new_labels(self, stack: Stack) -> Any:
        """Make labels on the disk where they are large; called by the bench, in its turn."""
        shape = tuple(stack.data.shape[: stack.image.ndim])
        if not is_large(shape, LABEL_DTYPE):
            return None
        if earlier := self._files.pop(stack.image, None):  # of labels of another shape
            earlier.close()
        return self._file(stack.image).new_labels(shape, LABEL_DTYPE, stack.seen)

    def _note_painting(self, event: Any) -> None:
        labels = event.source.data
        places = np.concatenate([_places(atom[0], labels.shape) for atom in event.value])
        _, earlier = self._painted.get(id(labels), (None, places[:0]))
        places = np.unique(np.concatenate([places, earlier[-PAINTED:]]), axis=0)
        self._painted[id(labels)] = labels, places
        self._bench.note_edits(labels, places)


def _places(index: tuple[Any, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Give positions (N, D), one or more on each plane that an index of napari's reaches."""
    if all(isinstance(part, slice) for part in index):
        corner = [range(*part.indices(n)) for part, n in zip(index, shape, strict=True)]
        # Rows and columns do not matter: no box is much larger along them than it is high.
        return np.stack(np.meshgrid(*corner, indexing="ij"), axis=-1).reshape(-1, len(shape))
    return np.stack(np.broadcast_arrays(*index), axis=-1).reshape(-1, len(shape))


def _has_content(session: Session) -> bool:
    return any(one.prompts or one.frames for one in session.objects.values())


def _ignore(step: None) -> None:
    """Show nothing."""
