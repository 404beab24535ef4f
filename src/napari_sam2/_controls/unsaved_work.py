"""Work that is in no file of the user's: found, offered, and thrown away when it is not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_sam2._worker import Call, Queue, ignore
from napari_sam2.autosave import discard, find_unsaved

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_sam2._controls.autosaver import Autosaver
    from napari_sam2._controls.panels import Panels
    from napari_sam2.autosave import Unsaved
    from napari_sam2.session import Session

KEPT = "What was done on {} before is kept: Restore, above, brings it back."


class UnsavedWork(QObject):
    """Looks for unsaved work in a worker, and has the bar offer it.

    Parameters
    ----------
    panels : Panels
    autosaver : Autosaver
    """

    def __init__(self, panels: Panels, autosaver: Autosaver) -> None:
        super().__init__(panels.unsaved)
        self._bar, self._status, self._autosaver = panels.unsaved, panels.status, autosaver
        self._looks = Queue()
        self._replaced: list[tuple[Session, ...]] = []  #: by others, and not in a file yet
        self._bar.discarded.connect(self._discard)
        autosaver.put_away.connect(self._offer_replaced)
        self._look()

    def note_replaced(self, earlier: tuple[Session, ...]) -> None:
        """Offer what was worked on before another session was opened, once it is in a file."""
        if earlier:
            self._replaced.append(earlier)
            self._autosaver.save()

    def shut(self) -> None:
        """Look no more."""
        self._looks.cancel()

    def _look(self) -> None:
        def steps() -> Generator[list[Unsaved], None, None]:
            yield find_unsaved()

        self._looks.add(Call(steps, on_step=self._bar.offer, on_error=self._status.fail))

    def _offer_replaced(self, sessions: tuple[Session, ...], path: Path) -> None:
        """Offer what another session has taken the place of; not what was removed."""
        if not any(sessions is one for one in self._replaced):
            return
        self._replaced = [one for one in self._replaced if one is not sessions]

        def steps() -> Generator[Unsaved, None, None]:
            yield from (one for one in find_unsaved() if one.path == path)

        self._looks.add(Call(steps, on_step=self._offer, on_error=self._status.fail))

    def _offer(self, one: Unsaved) -> None:
        self._bar.add(one)
        self._status.say(f"{self._status.label.text()} {KEPT.format(one.name)}".strip())

    def _discard(self, one: Unsaved) -> None:
        def steps() -> Generator[None, None, None]:
            discard(one.path)
            yield

        self._looks.add(Call(steps, on_step=ignore, on_error=self._status.fail))
