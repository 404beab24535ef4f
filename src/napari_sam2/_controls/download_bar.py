"""Fetching the weights of a model that is not here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam2._controls.status import ERROR_COLOR
from napari_sam2._worker import Call, Job
from napari_sam2.downloads import download_weights

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_sam2.model.registry import PublishedModel

LOOK_MS = 100  #: between two looks at how far it is
KILO = 1000


class _StoppedError(Exception):
    """The user wants no more of it."""


@dataclass(eq=False)
class _Transfer:
    """How far a download is; written by its thread, read by the window."""

    here: int = 0
    total: int | None = None
    stop: Event = field(default_factory=Event)

    def report(self, here: int, total: int | None) -> None:
        self.here, self.total = here, total
        if self.stop.is_set():
            raise _StoppedError


class DownloadBar(QWidget):
    """A button to fetch a model with, and how far that is; hidden where nothing is missing."""

    done = Signal(str)  #: the name of the model that is here now

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model: PublishedModel | None = None
        self._transfer: _Transfer | None = None
        self._job = Job()
        self.button = QPushButton()
        self.button.setToolTip(
            "Fetches Meta's weights once, and checks them. What came is kept when it breaks off\n"
            "or is cancelled, and the next try goes on from there."
        )
        self.bar = QProgressBar()
        self.cancel_button = QPushButton("Cancel")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setStyleSheet(f"color: {ERROR_COLOR};")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((self.button, 1), (self.bar, 1), (self.cancel_button, 0)):
            row.addWidget(widget, share)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.message)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self.button.clicked.connect(lambda checked: self.start())
        self.cancel_button.clicked.connect(lambda checked: self.cancel())
        self.offer(None)

    def offer(self, model: PublishedModel | None) -> None:
        """Offer to fetch a model; nothing if there is none to fetch."""
        if self._transfer is not None:  # shown until it is over
            self._model = model
            return
        self._model = model
        self.message.hide()
        self._show_running(running=False)
        if model is not None:
            self.button.setText(f"Download ({size_text(model.approximate_bytes)})")

    def start(self) -> None:
        """Fetch the model that is offered."""
        model = self._model
        if model is None or self._transfer is not None:
            return
        self._transfer = transfer = _Transfer()
        self.message.hide()
        self.bar.setRange(0, 0)
        self._show_running(running=True)
        self._timer.start()
        self._job.start(
            Call(
                partial(_fetch, model, transfer),
                on_step=lambda path: self._end(model, arrived=path is not None),
                on_error=lambda error: self._end(model, str(error)),
            )
        )

    def cancel(self) -> None:
        """Stop; what came is kept."""
        if self._transfer is not None:
            self._transfer.stop.set()

    def _look(self) -> None:
        transfer = self._transfer
        if transfer is None or not transfer.total:
            return
        self.bar.setRange(0, transfer.total // KILO)  # bytes are more than Qt's numbers hold
        self.bar.setValue(transfer.here // KILO)
        self.bar.setFormat(f"{size_text(transfer.here)} of {size_text(transfer.total)}")

    def _end(self, model: PublishedModel, problem: str = "", *, arrived: bool = False) -> None:
        self._timer.stop()
        self._transfer = None
        self.offer(None if arrived and self._model == model else self._model)
        self.message.setText(problem)
        self.message.setVisible(bool(problem))
        if arrived:
            self.done.emit(model.name)

    def _show_running(self, *, running: bool) -> None:
        self.setVisible(running or self._model is not None)
        self.button.setVisible(not running)
        self.bar.setVisible(running)
        self.cancel_button.setVisible(running)


def _fetch(model: PublishedModel, transfer: _Transfer) -> Generator[Path | None, None, None]:
    try:
        path = download_weights(model, report=transfer.report)
    except _StoppedError:
        yield None
    else:
        yield path


def size_text(size: int) -> str:
    """Write a size in bytes for people, e.g. ``156 MB``."""
    return f"{size / KILO**2:.0f} MB" if size >= KILO**2 else f"{size / KILO:.0f} kB"
