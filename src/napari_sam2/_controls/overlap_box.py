"""Who has the pixels that several objects claim."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_sam2._controls.forms import Form
from napari_sam2._worker import Call
from napari_sam2.session import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.tasks import Task, Written
    from napari_sam2._worker import Queue

TEXTS = {
    Overlap.HIGHEST: "Highest score wins",
    Overlap.KEEP: "Keep what is there",
    Overlap.OVERWRITE: "Last one overwrites",
}


class OverlapBox(QWidget):
    """Chooses a rule; the labels follow at once, and nothing is lost by it."""

    chosen = Signal()  #: by the user

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QComboBox()
        for rule, text in TEXTS.items():
            self.box.addItem(text, rule)
        self.box.setToolTip(
            "Where objects overlap, one of them has the pixels in the labels: the one of the\n"
            "highest score there, the one that has them already, or the one found last.\n"
            "Of objects that are followed together it is always the one of the highest score.\n"
            "Change it at any time: what objects lost to others is kept."
        )
        form = Form()
        form.add("Overlaps", self.box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        self.box.activated.connect(lambda index: self.chosen.emit())

    def rule(self) -> Overlap:
        """Give the rule that is chosen."""
        return Overlap(self.box.currentData())

    def choose(self, rule: Overlap | str) -> None:
        """Choose a rule, as the user does; see `Overlap`.

        Raises
        ------
        ValueError
            If there is no such rule.
        """
        self.show_rule(Overlap(rule))
        self.chosen.emit()

    def show_rule(self, rule: Overlap) -> None:
        """Show a rule that was chosen elsewhere."""
        self.box.setCurrentIndex(list(TEXTS).index(rule))


class OverlapChooser:
    """Has the session follow the box, and the box the session.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    edits : Queue
        Where changes of the session wait for their turn.
    read : callable
        Reads layers and controls; gives None where they make no sense.
    """

    def __init__(
        self, parts: Parts, bench: Bench, edits: Queue, read: Callable[[], Task | None]
    ) -> None:
        self._parts, self._bench, self._edits, self._read = parts, bench, edits, read
        parts.panels.overlap.chosen.connect(self._choose)
        parts.panels.image.changed.connect(self.show)
        parts.results.labels_shown.connect(self.show)
        self.show()

    def show(self, layer: object = None) -> None:
        """Show the rule of the image that is chosen."""
        rule = self._bench.overlap_of(self._parts.panels.image.shown())
        self._parts.panels.overlap.show_rule(rule)

    def _choose(self) -> None:
        panels = self._parts.panels
        self._bench.sessions.maker.overlap = panels.overlap.rule()
        task = None if panels.image.image() is None else self._read()
        if task is not None:
            steps = partial(self._bench.settle_overlaps, task, panels.overlap.rule())
            show = partial(self._show_labels, task)
            self._edits.add(Call(steps, on_step=show, on_error=panels.status.fail))

    def _show_labels(self, task: Task, step: Written) -> None:
        self._parts.results.show_labels(task.stack, step.labels)
