"""What is looked for, and where: the upper half of the dock that segments everything."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QGridLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_sam2._controls.forms import Form
from napari_sam2.automatic import EverythingOptions

MOST_PIXELS = 5000  #: of a diameter


class EverythingPanel(QWidget):
    """Diameter of objects and density of points; the buttons are connected by the dock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.diameter = QSpinBox()
        self.diameter.setRange(0, MOST_PIXELS)
        self.diameter.setSpecialValueText("not known")
        self.diameter.setSuffix(" px")
        self.diameter.setToolTip(
            "How long a typical object is, in pixels of the image. The image is then looked at\n"
            "in parts of a suitable size, and at points that lie as close as objects do.\n"
            "Give it where objects are small in a large image, or of another size than found."
        )
        self.density = QComboBox()
        for text, density in (("Sparse", 0.6), ("Usual", 1.0), ("Dense", 1.6)):
            self.density.addItem(text, density)
        self.density.setCurrentIndex(1)
        self.density.setToolTip(
            "How close the points lie at which the model is asked.\n"
            "Dense finds more small objects, and takes two and a half times as long."
        )
        self.frame_button = QPushButton("Run on this frame")
        self.frame_button.setToolTip("Find everything on the frame that is shown")
        self.each_button = QPushButton("Run on each frame")
        self.each_button.setToolTip(
            "Find everything on every frame, each on its own: objects are not followed from\n"
            "frame to frame. To have that, run on one frame and track what was found."
        )
        self.cancel_button = QPushButton("Cancel (Esc)")
        self.cancel_button.setToolTip("Stop; what was found stays")
        form = Form()
        form.add("Diameter", self.diameter)
        form.add("Points", self.density)
        buttons = QGridLayout()
        buttons.addWidget(self.frame_button, 0, 0)
        buttons.addWidget(self.each_button, 0, 1)
        buttons.addWidget(self.cancel_button, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(buttons)
        self._n_frames = 1
        self.set_running(False)

    def options(self) -> EverythingOptions:
        """Read what to look for."""
        return EverythingOptions(
            diameter=self.diameter.value() or None, density=self.density.currentData()
        )

    def choose(self, options: EverythingOptions) -> None:
        """Choose what to look for: a diameter, and the nearest density that is offered."""
        self.diameter.setValue(round(options.diameter or 0))
        offered = [self.density.itemData(i) for i in range(self.density.count())]
        nearest = min(offered, key=lambda density: abs(density - options.density))
        self.density.setCurrentIndex(offered.index(nearest))

    def set_n_frames(self, n_frames: int) -> None:
        """Offer each frame where there are several."""
        self._n_frames = n_frames
        self.each_button.setEnabled(n_frames > 1 and self.frame_button.isEnabled())

    def set_running(self, running: bool) -> None:
        """Make the buttons agree with what is going on."""
        self.frame_button.setEnabled(not running)
        self.each_button.setEnabled(not running and self._n_frames > 1)
        self.cancel_button.setEnabled(running)
