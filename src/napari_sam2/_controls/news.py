"""What a session does that the dock has not asked for: daughters are born, a script goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.sessions import ignore_news

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.synchronising import News
    from napari_sam2._controls.timeline import Timeline
    from napari_sam2.session import Step

REFRESH_MS = 100  #: labels are drawn no more often than this


class NewsReader(QObject):
    """Lists objects as the session has them, and shows labels that a script has written.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    timeline : Timeline
        Is to undo the listing together with what led to it.
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
        self._panels, self._layers, self._results = parts.panels, parts.layers, parts.results
        self._painting, self._bench, self._timeline = parts.painting, bench, timeline
        self._is_busy, self._is_open = is_busy, True
        self.expected: set[int] = set()  #: objects that somebody else will list no more
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._show_labels)
        self._told.connect(self._take)
        timeline.stepped.connect(self._timer.start)
        bench.sessions.on_news = self._told.emit

    def shut(self) -> None:
        """Listen no more."""
        self._bench.sessions.on_news = ignore_news
        self._is_open = False  # what was told before may come later
        self._timer.stop()

    def _take(self, image: Any, step: Step | None, news: News) -> None:
        if not self._is_open or image is not self._panels.image.image():
            return
        objects = self._panels.objects
        listed = objects.names()
        come = {i: name for i, name in news.come.items() if i not in listed}
        gone = tuple(i for i in news.gone if i in listed and i not in self.expected)
        objects.list_also(come)
        self._bench.note_listed(image, come)
        objects.model.show_names({i: n for i, n in news.renamed.items() if i in listed})
        if gone:
            # Before their rows, as prompts of objects that are not listed would list them again.
            if (stack := self._panels.image.shown()) is not None:
                self._layers.remove_objects(stack, gone, objects.current())
                for object_id in gone:
                    self._painting.remove(stack, object_id)
            objects.take_out(gone)
        if come or gone or news.renamed:
            self._timeline.relist(step)

    def _show_labels(self) -> None:
        """Show what was found, wherever it was asked for."""
        stack = self._panels.image.shown()
        if stack is None or self._is_busy():
            return
        labels = self._bench.labels_found(stack)
        if labels is not None:
            self._results.show_labels(stack, labels)
