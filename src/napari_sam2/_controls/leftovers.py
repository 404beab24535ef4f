"""Layers of a session that another one took the place of: gone once what they show is in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_sam2._controls.autosaver import has_content
from napari_sam2._controls.owners import disown, owner_of
from napari_sam2._label_layers import shows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sam2._controls.autosaver import Autosaver
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.tasks import Task
    from napari_sam2.session import Session

BEFORE = "{} (before)"


class Leftovers(QObject):
    """Takes layers out of the viewer whose prompts and labels are those of a replaced session.

    What is drawn and in no session stays where it is, and so do layers of the user's own.

    Parameters
    ----------
    viewer : ViewerModel
    bench : Bench
    autosaver : Autosaver
        Says when a session that was replaced is in a file.
    read : callable
        Reads layers and controls; gives None where they make no sense.
    parent : QObject
    """

    def __init__(
        self,
        viewer: ViewerModel,
        bench: Bench,
        autosaver: Autosaver,
        read: Callable[[], Task | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._bench, self._read = viewer, bench, read
        #: By the sessions that they show.
        self._waiting: list[tuple[tuple[Session, ...], list[Layer]]] = []
        autosaver.put_away.connect(self._clear_away)

    def gather(self, image: Image, labels: Any) -> list[Layer]:
        """Set aside what shows the session of an image, before another one is shown.

        Parameters
        ----------
        image : Image
        labels : array-like
            Those of the other session; their layer stays.
        """
        found: list[Layer] = [*self._drawn_on(image), *self._showing_labels_of(image, labels)]
        for layer in found:
            disown(layer)  # no dock is to go on with it
            layer.visible = False
            layer.name = BEFORE.format(layer.name)
        return found

    def clear(self, layers: list[Layer], earlier: tuple[Session, ...]) -> None:
        """Take layers away, as soon as the sessions that they show are in a file.

        Of sessions without objects none is written: what a hand has painted on their labels stays.
        """
        if any(map(has_content, earlier)):
            self._waiting.append((earlier, layers))
            return
        for layer in layers:
            is_result = isinstance(layer, Labels) and any(shows(layer, s.labels) for s in earlier)
            if is_result:
                layer.visible = True
            else:
                self._remove([layer])

    def _drawn_on(self, image: Image) -> list[Layer]:
        """Give the layers that were drawn on for an image, if the session knows of all of it."""
        task = self._read()
        if task is None or not self._bench.knows_prompts(task):
            return []
        return [one for one in self._viewer.layers if owner_of(one) is image]

    def _showing_labels_of(self, image: Image, labels: Any) -> list[Labels]:
        earlier = self._bench.labels_of(image)
        if earlier is None:
            return []
        layers = (one for one in self._viewer.layers if isinstance(one, Labels))
        return [one for one in layers if shows(one, earlier) and not shows(one, labels)]

    def _clear_away(self, sessions: tuple[Session, ...], path: object) -> None:
        gone = [layers for of, layers in self._waiting if of is sessions]
        self._waiting = [one for one in self._waiting if one[0] is not sessions]
        for layers in gone:
            self._remove(layers)

    def _remove(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
