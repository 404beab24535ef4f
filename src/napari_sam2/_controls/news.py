"""What a session does that the dock has not asked for: daughters are born, a script goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.sessions import ignore_news

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.synchronising import News, Prompted
    from napari_sam2._controls.timeline import Timeline
    from napari_sam2._layers import Stack
    from napari_sam2.session import Step

    #: By object and frame.
    Changes = Mapping[int, Mapping[int, Prompted]]

REFRESH_MS = 100  #: labels are drawn no more often than this
RETRY_MS = 50  #: until a hand has let go of what it draws


class NewsReader(QObject):
    """Lists objects as the session has them, and shows what a script has prompted and written.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    timeline : Timeline
        Is to undo what is listed and drawn together with what led to it.
    is_busy : callable
        Whether the dock itself has changes made, and shows them.
    parent : QObject
    """

    _told = Signal(object, object, object)  #: from any thread; see `Sessions.on_news`

    def __init__(
        self,
        parts: Parts,
        bench: Bench,
        timeline: Timeline,
        is_busy: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._panels = parts.viewer, parts.panels
        self._layers, self._results = parts.layers, parts.results
        self._painting, self._bench, self._timeline = parts.painting, bench, timeline
        self._is_busy, self._is_open = is_busy, True
        self.expected: set[int] = set()  #: objects that somebody else lists and draws anew
        self._undrawn: list[tuple[Stack, Changes]] = []  #: prompts of scripts, in their order
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._show_labels)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(RETRY_MS)
        self._later.timeout.connect(self._draw)
        self._panels.image.changed.connect(self._later.start)
        self._told.connect(self._take)
        timeline.stepped.connect(self._timer.start)
        bench.sessions.on_news = self._told.emit

    def shut(self) -> None:
        """Listen no more."""
        self._bench.sessions.on_news = ignore_news
        self._is_open = False  # what was told before may come later
        self._timer.stop()
        self._later.stop()

    def _take(self, stack: Stack, step: Step | None, news: News) -> None:
        if not self._is_open:
            return
        if prompts := {i: by for i, by in news.prompts.items() if i not in self.expected}:
            self._undrawn.append((stack, prompts))
        if stack.image is not self._panels.image.image():
            return
        if prompts:
            self._timeline.capture()  # what a hand has drawn before is undone by itself
        self._list(stack, step, news)
        if prompts:
            self._draw(step)

    def _list(self, stack: Stack, step: Step | None, news: News) -> None:
        objects = self._panels.objects
        listed = objects.names()
        come = {i: name for i, name in news.come.items() if i not in listed}
        gone = tuple(i for i in news.gone if i in listed and i not in self.expected)
        objects.list_also(come)
        self._bench.note_listed(stack.image, come)
        objects.model.show_names({i: n for i, n in news.renamed.items() if i in listed})
        if gone:
            # Before their rows, as prompts of objects that are not listed would list them again.
            if (shown := self._panels.image.shown()) is not None:
                self._layers.remove_objects(shown, gone, objects.current())
                for object_id in gone:
                    self._painting.remove(shown, object_id)
            objects.take_out(gone)
        if come or gone or news.renamed:
            self._timeline.relist(step)

    def _draw(self, step: Step | None = None) -> None:
        """Draw what scripts have prompted in the image that is shown, if no hand is drawing."""
        if not self._undrawn:
            return
        if self._layers.is_drawing:
            self._later.start()
            return
        waiting, self._undrawn = self._undrawn, []
        for stack, changes in waiting:
            if stack.image is self._panels.image.image():
                self._draw_changes(stack, changes)
            elif stack.image in self._viewer.layers:
                self._undrawn.append((stack, changes))
        self._timeline.note_drawn(step)

    def _draw_changes(self, stack: Stack, changes: Changes) -> None:
        """Add what has come, and draw anew where anything is not there any more."""
        listed = self._panels.objects.names()
        known = {i: by_frame for i, by_frame in changes.items() if i in listed}
        further = {
            i: {f: one.now if one.added is None else one.added for f, one in by_frame.items()}
            for i, by_frame in known.items()
        }
        try:
            self._layers.check(stack, further)
        except ValueError as error:
            self._panels.status.complain(
                f"What a script has prompted counts, but cannot be drawn: {error}."
            )
            return
        for object_id, by_frame in known.items():
            for frame in (f for f, one in by_frame.items() if one.added is None):
                self._layers.remove(stack, object_id, frame)
                self._painting.remove(stack, object_id, frame)
        self._layers.add(stack, further)

    def _show_labels(self) -> None:
        """Show what was found, wherever it was asked for."""
        stack = self._panels.image.shown()
        if stack is None or self._is_busy():
            return
        labels = self._bench.labels_found(stack)
        if labels is not None:
            self._results.show_labels(stack, labels)
