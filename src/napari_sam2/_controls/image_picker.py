"""Which image to work on, and which of its axes to play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sam2._controls.forms import Form
from napari_sam2._controls.layer_picker import LayerPicker
from napari_sam2._layers import Stack, read_stack

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ImagePicker(QWidget):
    """Chooses an image layer, and the axis along which objects are followed."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.images = LayerPicker(viewer, Image)
        self.images.setToolTip("The image or stack to segment. It is never changed.")
        self.axes = QComboBox()
        self.axes.setToolTip(
            "The axis along which objects are followed: time, or depth.\n"
            "Axes that are neither this one nor displayed stay where the sliders are."
        )
        form = Form(self)
        form.add("Image", self.images)
        self._axes_label = form.add("Play along", self.axes)
        self.images.picked.connect(self._list_axes)
        self.axes.activated.connect(self._show_axis)
        self._list_axes()

    def image(self) -> Any:
        """Give the chosen layer, or None."""
        return self.images.layer()

    def stack(self) -> Stack:
        """Read how the chosen image is looked at.

        Raises
        ------
        ValueError
            If there is no image.
        """
        if self.image() is None:
            raise ValueError("There is no image to segment: open one first.")
        return read_stack(self.image(), self._viewer.dims, max(self.axes.currentIndex(), 0))

    def choose(self, image: Any, axis: int) -> None:
        """Choose an image, and the axis to play."""
        self.images.pick(image)
        if image.ndim > 2:
            self.axes.setCurrentIndex(axis)
            self._show_axis(axis)

    def _list_axes(self, image: Any = None) -> None:
        self.axes.clear()
        image = self.image()
        if image is not None and image.ndim > 2:
            shape = image.data[0].shape if image.multiscale else image.data.shape
            for axis, label in enumerate(image.axis_labels):
                # An axis without a name is called "-3" by napari.
                name = f"axis {axis}" if label.lstrip("-").isdigit() else label
                self.axes.addItem(f"{name} ({shape[axis]} frames)")
        self.axes.setVisible(self.axes.count() > 0)
        self._axes_label.setVisible(self.axes.count() > 0)
        self.changed.emit()

    def _show_axis(self, axis: int) -> None:
        """Give the played axis a slider: displayed, its frames could not be seen."""
        dims = self._viewer.dims
        played = axis + dims.ndim - self.image().ndim
        if played in dims.displayed:
            dims.order = (played, *(i for i in range(dims.ndim) if i != played))
        self.changed.emit()
