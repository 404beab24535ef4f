"""Sessions saved and opened, work that was not saved restored, and results exported."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_sam2._controls.autosaver import with_content
from napari_sam2._controls.missing_layers import MissingLayers
from napari_sam2._controls.session_opening import Opened, open_steps
from napari_sam2._controls.session_paths import SessionPaths
from napari_sam2._controls.unsaved_work import UnsavedWork
from napari_sam2._layers import flat_alignment, full, placed
from napari_sam2._reader import SESSION
from napari_sam2._worker import Call, Queue, WholeSteps
from napari_sam2.result_files import name_axes, write_animation, write_labels, write_quality
from napari_sam2.session_files.session_file import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari.components import ViewerModel

    from napari_sam2._controls.autosaver import Autosaver
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.tasks import Task
    from napari_sam2.autosave import Unsaved
    from napari_sam2.results.tracks import Tracks
    from napari_sam2.session import Session

MOST_COLUMNS = 5  #: of tracks, as napari takes them: the number of a track, and four axes
SESSIONS = f"Sessions (*{SUFFIX})"
#: Of what is exported to a file: how its name ends, and what is offered.
KINDS = {
    "labels": ("-labels.ome.tif", "OME-TIFF (*.tif *.tiff);;OME-Zarr (*.zarr)"),
    "quality": ("-quality.csv", "Tables (*.csv)"),
    "animation": ("-overlay.gif", "GIF (*.gif);;MP4 (*.mp4)"),
}


class Files(QObject):
    """Does what the save panel and the bar of unsaved work ask for, in a worker.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    autosaver : Autosaver
    read : callable
        Gives the task that layers and controls ask for; None where they make no sense.
    adopt : callable
        Goes on with a session, whose image is called so, and with those at other places in it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        panels: Panels,
        bench: Bench,
        autosaver: Autosaver,
        read: Callable[[], Task | None],
        adopt: Callable[[Session, str, Sequence[Session]], None],
    ) -> None:
        super().__init__(panels.save)
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._autosaver, self._read, self._adopt = autosaver, read, adopt
        self._jobs, self._unsaved = Queue(), UnsavedWork(panels, autosaver)
        self._saves: list[WholeSteps] = []  #: that were asked for and have not ended
        self._paths = SessionPaths()
        self._missing = MissingLayers(viewer, panels.image)
        self._waiting: Labels | None = None  #: of a session, whose image is not there yet
        self._connect()
        for layer in list(viewer.layers):
            self._notice(layer, is_new=False)

    def save(self) -> None:
        """Ask where to, and save the session of the chosen image."""
        image = self._panels.image.image()
        name = self._paths.file_of(image) or self._paths.suggest(image, SUFFIX)
        chosen, _ = QFileDialog.getSaveFileName(
            self._panels.save, "Save session", str(name), SESSIONS
        )
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, path: Path) -> None:
        """Save the session of the chosen image."""
        task = self._read()
        if task is None:
            return
        if path.suffix.lower() != SUFFIX:  # by which napari knows whose it is
            path = path.with_name(f"{path.name}{SUFFIX}")

        def steps() -> Generator[int, None, None]:
            with self._bench.sessions_for(task) as sessions:
                session, others = with_content(sessions)
                total = prod(session.labels.shape) // prod(session.source.shape)
                for _ in session.saving(path, others=others):
                    yield total
                self._autosaver.note_saved(task.stack.image, sessions)

        def done() -> None:
            self._paths.remember(task.stack.image, path)
            self._panels.status.say(f"Saved: {path}")

        self._saves = [one for one in self._saves if not one.has_ended]
        self._saves.append(WholeSteps(steps))
        self._begin(self._saves[-1], done)

    def open(self) -> None:
        """Ask which session to open, and go on with it."""
        start = str(self._paths.folder or "")
        chosen, _ = QFileDialog.getOpenFileName(self._panels.save, "Open session", start, SESSIONS)
        if chosen:
            self.open_file(Path(chosen))

    def open_file(
        self,
        path: Path,
        *,
        unsaved: Unsaved | None = None,
        labels: Labels | None = None,
        is_clean: bool = True,
    ) -> None:
        """Go on with a session from a file.

        Parameters
        ----------
        path : Path
        unsaved : Unsaved, optional
            What the file is, if it is not one of the user's.
        labels : Labels, optional
            The layer that shows its labels already.
        is_clean : bool
            Whether these are as they were saved.
        """
        shown = {one.name: full(one) for one in self._viewer.layers if isinstance(one, Image)}
        chosen = self._panels.model.model()
        steps = partial(open_steps, path, shown, chosen)
        if labels is not None:
            steps = partial(steps, labels=labels.data)
        show = partial(self._show_opened, path, unsaved, labels, is_clean=is_clean)
        self._begin(steps, on_step=show)

    def export(self, what: str) -> None:
        """Export results of the chosen image: see `EXPORTS`."""
        if what == "tracks":
            self.show_tracks()
            return
        ending, kinds = KINDS[what]
        suggested = self._paths.suggest(self._panels.image.image(), ending)
        chosen, kind = QFileDialog.getSaveFileName(
            self._panels.save, "Export", str(suggested), kinds
        )
        if chosen:
            path = Path(chosen)
            self.export_to(what, path if path.suffix else path.with_suffix(_suffix(kind)))

    def export_to(self, what: str, path: Path) -> None:
        """Export labels, quality or an animation to a file."""
        task = self._read()
        if task is None:
            return

        given = flat_alignment(task.stack)
        axes = name_axes(given["axis_labels"], given["scale"], given["units"])

        def steps() -> Generator[int, None, None]:
            with self._bench.sessions_for(task) as (session, *_):
                pass
            # Without a turn: a long export does not keep previews waiting.
            if what == "labels":
                yield from write_labels(path, session.labels, axes)
            elif what == "quality":
                yield from write_quality(path, session)
            else:
                yield from write_animation(path, session)

        self._begin(steps, lambda: self._panels.status.say(f"Exported: {path}"))

    def show_tracks(self) -> None:
        """Add a layer of tracks, on the image."""
        task = self._read()
        if task is None:
            return

        def steps() -> Generator[Tracks, None, None]:
            with self._bench.sessions_for(task) as (session, *_):
                yield session.tracks()

        self._begin(steps, on_step=partial(self._show_tracks, task))

    def note_replaced(self, image: Image, earlier: tuple[Session, ...]) -> None:
        """Keep what was worked on in an image before another session was opened, and offer it."""
        self._paths.forget(image)
        self._unsaved.note_replaced(earlier)

    def cancel(self) -> None:
        """Stop saving, opening or exporting."""
        for save in self._saves:
            save.call_off()
        self._jobs.cancel()
        self._end()
        self._panels.status.say("Cancelled: nothing was written.")

    def shut(self) -> None:
        """Stop, and let go of the viewer; what is being saved is saved to its end."""
        self._jobs.cancel()
        self._unsaved.shut()
        self._missing.shut()
        self._autosaver.do_first(self._saves)
        self._viewer.layers.events.inserted.disconnect(self._notice_inserted)
        self._autosaver.shut()

    def _connect(self) -> None:
        save, unsaved = self._panels.save, self._panels.unsaved
        save.save_button.clicked.connect(lambda: self.save())
        save.open_button.clicked.connect(lambda: self.open())
        save.cancel_button.clicked.connect(lambda: self.cancel())
        save.export_asked.connect(self.export)
        unsaved.restored.connect(lambda one: self.open_file(one.path, unsaved=one))
        self._viewer.layers.events.inserted.connect(self._notice_inserted)

    def _begin(
        self,
        steps: Callable[[], Generator[Any, None, None]],
        on_done: Callable[[], None] | None = None,
        on_step: Callable[[Any], None] | None = None,
    ) -> None:
        """Have something done after what is under way: nobody loses what they asked for."""

        def done() -> None:
            self._end()
            if on_done:
                on_done()

        if self._jobs.is_running:
            self._panels.status.say("It begins when what is being saved or opened is done.")
        else:
            self._panels.save.begin()
            self._panels.unsaved.set_busy(True)
        step = on_step or self._panels.save.advance
        self._jobs.add(Call(steps, on_step=step, on_error=self._fail, on_done=done))

    def _end(self) -> None:
        if self._jobs.has_more:
            self._panels.save.begin()
        else:
            self._panels.save.end()
            self._panels.unsaved.set_busy(False)

    def _fail(self, error: Exception) -> None:
        self._end()
        self._panels.status.fail(error)

    def _show_opened(
        self,
        path: Path,
        unsaved: Unsaved | None,
        labels: Labels | None,
        opened: Opened,
        *,
        is_clean: bool,
    ) -> None:
        if labels is not self._waiting and labels is not None:  # it was opened meanwhile
            return
        if self._waiting is not None:  # what it shows is no longer what is in the file
            self._waiting.metadata.pop(SESSION, None)
            self._waiting = None
        try:
            self._adopt(opened.session, opened.name, opened.others)
        except ValueError as error:
            self._panels.status.complain(str(error))
            return
        image = self._panels.image.image()
        if unsaved is None:
            self._paths.remember(image, path)
            if is_clean:
                self._autosaver.begin_clean(image)
        else:
            self._panels.unsaved.take_out(unsaved)
            self._autosaver.resume(image, path)
        count = len({i for one in (opened.session, *opened.others) for i in one.objects})
        self._panels.status.say(f"{count} objects of {opened.name}. {opened.advice}".strip())
        self._panels.status.note(opened.remark)
        if opened.advice:  # the next preview has the line
            self._panels.status.pop_up()
        self._missing.expect(image, opened)

    def _show_tracks(self, task: Task, tracks: Tracks) -> None:
        if not len(tracks.data) or task.stack.axis is None:
            self._panels.status.complain("No tracks: follow objects through several frames first.")
            return
        data, given, channels = tracks.data, flat_alignment(task.stack), task.stack.channel_axis
        # napari aligns the last axes of layers; what has the first of them is the time of tracks.
        if channels:
            data, given = np.insert(data, 1 + channels, 0, axis=1), placed(task.stack)
        if data.shape[1] > MOST_COLUMNS:
            self._panels.status.complain(
                f"No tracks: napari draws them along {MOST_COLUMNS - 1} axes at most, and these "
                f"have {data.shape[1] - 1}. Session.tracks() gives them to a script."
            )
            return
        self._viewer.add_tracks(
            data, graph=tracks.graph, features=tracks.properties, name="SAM 2 tracks", **given
        )

    def _notice_inserted(self, event: Any) -> None:
        self._notice(event.value)

    def _notice(self, layer: Any, *, is_new: bool = True) -> None:
        """Go on with a session whose labels the reader has opened, once its image is there."""
        if isinstance(layer, Labels) and SESSION in layer.metadata:
            self._waiting = layer
        elif not (isinstance(layer, Image) and self._waiting in self._viewer.layers):
            return
        labels = self._waiting
        if labels is not None:  # where its image is not there, that is said
            path = Path(labels.metadata[SESSION])
            self.open_file(path, labels=labels, is_clean=is_new and labels is layer)


def _suffix(kind: str) -> str:
    """Give the first ending of a kind of files, as dialogs name it."""
    return kind.partition("*")[2].split(" ")[0].rstrip(")")
