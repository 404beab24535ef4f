"""How far to follow objects, and the buttons that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.forms import Form
from napari_sam2._controls.tasks import Route

if TYPE_CHECKING:
    from napari_sam2.predictors.passes import Direction


class TrackPanel(QWidget):
    """Direction, range and objects of a run; the buttons are connected by the dock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.direction = QComboBox()
        # Both ways first: napari opens a stack in its middle, and there it is prompted.
        for text, value in (
            ("← Both →", "both"),
            ("Forward →", "forward"),
            ("← Backward", "backward"),
        ):
            self.direction.addItem(text, value)
        self.direction.setToolTip(
            "Both ways from the first prompted frame, forward from it, or backward from the last"
        )
        self.objects = QComboBox()
        self.objects.addItem("All objects", False)
        self.objects.addItem("Selected objects", True)
        self.objects.setToolTip("Objects that are not followed stay as they are")
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip("The first frame that may change")
        self.last.setToolTip("The last frame that may change")
        self.divisions = QCheckBox("Watch for divisions")
        self.divisions.setToolTip(
            "An object that falls into two of like size has divided: it ends there, and its\n"
            "daughters are objects of their own. Seen forward only."
        )
        self.segment_button = QPushButton("Segment frame (S)")
        self.segment_button.setToolTip("Find the prompted objects on this frame, as a preview")
        self.propagate_button = QPushButton("Propagate (Shift-S)")
        self.propagate_button.setToolTip("Follow the prompted objects through the frames above")
        self.cancel_button = QPushButton("Cancel (Esc)")
        self.cancel_button.setToolTip("Stop at once; what was found stays")
        self.accept_button = QPushButton("Accept (C)")
        self.accept_button.setToolTip("Write the current object's preview into the labels")
        self.is_running = False  #: whether objects are being followed
        self._place: object = None  #: whose frames are offered
        self._lay_out()
        self.set_running(False)

    def route(self, selected: tuple[int, ...]) -> Route:
        """Read where to go; `selected` are the objects that are selected."""
        return Route(
            direction=cast("Direction", self.direction.currentData()),
            start=self.first.value(),
            stop=self.last.value() + 1,
            objects=selected if self.objects.currentData() else None,
            divisions=self.divisions.isChecked(),
        )

    def choose(
        self,
        direction: Direction | None = None,
        first: int | None = None,
        last: int | None = None,
        *,
        selected: bool | None = None,
        divisions: bool | None = None,
    ) -> None:
        """Choose how to follow objects; what is not given stays.

        Parameters
        ----------
        direction : {"forward", "backward", "both"}, optional
        first, last : int, optional
            The frames that may change, both included.
        selected : bool, optional
            Whether only the objects that are selected in the table are followed.
        divisions : bool, optional
            Whether to watch for objects that divide.

        Raises
        ------
        ValueError
            If there is no such direction or frame. Nothing is changed then.
        """
        if direction is not None and self.direction.findData(direction) < 0:
            raise ValueError(f"Objects are followed forward, backward or both, not {direction!r}.")
        chosen = [(b, n) for b, n in ((self.first, first), (self.last, last)) if n is not None]
        for box, frame in chosen:
            if not 0 <= frame <= box.maximum():
                raise ValueError(f"There are frames 0 to {box.maximum()}; got {frame}.")
        for box, frame in chosen:
            box.setValue(frame)
        if direction is not None:
            self.direction.setCurrentIndex(self.direction.findData(direction))
        if selected is not None:
            self.objects.setCurrentIndex(self.objects.findData(selected))
        if divisions is not None:
            self.divisions.setChecked(divisions)

    def set_n_frames(self, n_frames: int, place: object) -> None:
        """Offer so many frames; all of them to begin with, at another place than before."""
        if (n_frames, place) == (self.first.maximum() + 1, self._place):
            return
        self._place = place
        for box, value in ((self.first, 0), (self.last, n_frames - 1)):
            box.setRange(0, n_frames - 1)
            box.setValue(value)
        for widget in (self.first, self.last, self.direction, self.divisions):
            widget.setEnabled(n_frames > 1)

    def set_running(self, running: bool) -> None:
        """Make the buttons agree with what is going on."""
        self.is_running = running
        self.propagate_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)

    def offer_cancel(self, offered: bool) -> None:
        """Offer to cancel something else than a run, whose own offer stands."""
        self.cancel_button.setEnabled(offered or self.is_running)

    def _lay_out(self) -> None:
        frames = QHBoxLayout()
        frames.addWidget(self.first, 1)
        frames.addWidget(QLabel("to"), 0, Qt.AlignmentFlag.AlignCenter)
        frames.addWidget(self.last, 1)
        form = Form()
        form.add("Direction", self.direction)
        form.add("Frames", frames)
        form.add("Follow", self.objects)
        form.addRow("", self.divisions)
        buttons = QGridLayout()
        buttons.addWidget(self.segment_button, 0, 0)
        buttons.addWidget(self.accept_button, 0, 1)
        buttons.addWidget(self.propagate_button, 1, 0)
        buttons.addWidget(self.cancel_button, 1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(buttons)
