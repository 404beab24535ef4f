"""What is going on: one line of text and a bar."""

from __future__ import annotations

from time import monotonic

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2.results.room import NoRoomError

ERROR_COLOR = "#e0442e"  #: reads on dark and on light


class Status(QWidget):
    """Says what was found, what went wrong, and how long it will take.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    """

    def __init__(self, unit: str = "frames", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unit = self._counted = unit
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.label.setMinimumHeight(2 * self.label.fontMetrics().lineSpacing())
        self.label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.remark = QLabel()
        self.remark.setWordWrap(True)
        self.remark.hide()
        self.bar = QProgressBar()
        self.bar.setToolTip("What is done, and the time left")
        self.bar.hide()
        self._began = 0.0
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self.label)
        layout.addWidget(self.remark)

    def say(self, text: str) -> None:
        """Show a line."""
        self._show(text, wrong=False)

    def complain(self, text: str) -> None:
        """Show a line that wants attention."""
        self._show(text, wrong=True)

    def fail(self, error: Exception) -> None:
        """Show what stopped the work, and pop it up: the user may be looking elsewhere."""
        self.complain(explain(error))
        show_error(explain(error))

    def report(self, error: Exception) -> None:
        """Show what stopped the work; what the user can mend in the dock does not pop up."""
        if isinstance(error, ValueError):
            self.complain(explain(error))
        else:
            self.fail(error)

    def pop_up(self) -> None:
        """Pop up what is shown, for a user who looks elsewhere."""
        show_info(self.label.text())

    def note(self, text: str) -> None:
        """Keep a remark below whatever is shown; empty for none."""
        self.remark.setText(text)
        self.remark.setVisible(bool(text))

    def begin(self, total: int, unit: str = "", since: float | None = None) -> None:
        """Show an empty bar of so many frames; a busy one for none.

        Parameters
        ----------
        total : int
        unit : str
            What is counted this time, if it is something else.
        since : float, optional
            When it began, as `monotonic` tells it; now unless given.
        """
        self._began = monotonic() if since is None else since
        self._counted = unit or self._unit
        self.bar.setRange(0, total)
        self.bar.setValue(0)
        self.bar.setFormat("" if total == 0 else f"0 / {total} {self._counted}")
        self.bar.show()

    def advance(self) -> None:
        """Count one frame."""
        done, total = self.bar.value() + 1, self.bar.maximum()
        left = (monotonic() - self._began) / done * (total - done)
        self.bar.setValue(done)
        self.bar.setFormat(f"{done} / {total} {self._counted}, {_duration(left)} left")

    def end(self, how: str) -> None:
        """Take the bar away; say how it ended, if there is anything to say, and how far it came."""
        if how and not self.bar.isHidden():
            took = _duration(monotonic() - self._began)
            done, total = self.bar.value(), self.bar.maximum()
            self.say(f"{how}: {done} of {total} {self._counted} in {took}." if total else f"{how}.")
        self.bar.hide()

    def _show(self, text: str, *, wrong: bool) -> None:
        self.label.setStyleSheet(f"color: {ERROR_COLOR};" if wrong else "")
        self.label.setText(text)


def _duration(seconds: float) -> str:
    """Say how long, e.g. ``8 s`` or ``3 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def explain(error: Exception) -> str:
    """Say what stopped the work, for the user."""
    if type(error).__name__ == "DeviceMemoryError":  # by name, as torch's: torch may not be loaded
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            f"The device ran out of memory ({error}). Choose a smaller model, or follow fewer "
            "objects at a time."
        )
    if isinstance(error, (ValueError, IndexError, NoRoomError)):
        return str(error)
    return f"{type(error).__name__}: {error}"
