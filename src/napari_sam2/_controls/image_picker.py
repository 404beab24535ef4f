"""Which image to work on, and which of its axes to play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sam2._controls.channel_picker import ChannelPicker
from napari_sam2._controls.forms import Form
from napari_sam2._controls.layer_picker import LayerPicker
from napari_sam2._controls.model_view import ModelView
from napari_sam2._layers import Channels, Stack, read_stack

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtGui import QStandardItem, QStandardItemModel


@dataclass(frozen=True)
class Left:
    """How an image was played when another one was chosen."""

    shape: tuple[int, ...]  #: of its data
    axis: int
    channels: Channels  #: on an axis of its own


class ImagePicker(QWidget):
    """Chooses an image layer, and the axis along which objects are followed."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._followed: Any = None  #: the image whose data may be replaced
        self._shape: tuple[int, ...] = ()
        self._left: WeakKeyDictionary[Image, Left] = WeakKeyDictionary()
        self.images = LayerPicker(viewer, Image)
        self.images.setToolTip("The image or stack to segment. It is never changed.")
        self.axes = QComboBox()
        self.axes.setToolTip(
            "The axis along which objects are followed: time, or depth.\n"
            "Axes that are neither this one nor displayed stay where the sliders are."
        )
        self.channels = ChannelPicker(viewer)
        self.view = ModelView()
        form = Form(self)
        form.add("Image", self.images)
        self._axes_label = form.add("Play along", self.axes)
        self._channels_label = form.add("Channels", self.channels)
        form.addRow(self.view)
        self.images.leaving.connect(self._note_axes)
        self.images.picked.connect(self._list_axes)
        self.axes.activated.connect(self._show_axis)
        self.channels.changed.connect(self._change_channels)
        self.channels.offered.connect(self._show_choices)
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
        axis = max(self.axes.currentIndex(), 0)
        return read_stack(self.image(), self._viewer.dims, axis, self.channels.channels())

    def shown(self) -> Stack | None:
        """Do as `stack`, but give None where there is no image, or layers that make no sense.

        For whatever follows the sliders: what is wrong is said where something is asked for.
        """
        try:
            return self.stack()
        except ValueError:
            return None

    def play(self, axis: int) -> None:
        """Play another axis of the image."""
        if axis != self.axes.currentIndex():
            self.axes.setCurrentIndex(axis)
            self._show_axis(axis)

    def choose(self, image: Any, axis: int, channels: Channels | None = None) -> None:
        """Choose an image, the axis to play, and what of it is seen in colour."""
        self.images.pick(image)
        self.channels.choose(channels or Channels())
        if image.ndim > 2:
            self.axes.setCurrentIndex(axis)
            self._show_axis(axis)

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers, and the image."""
        self.images.disconnect_viewer()
        self.channels.disconnect_viewer()
        self._follow(None)

    def _follow(self, image: Any) -> None:
        """Notice when the pixels of an image are replaced by others."""
        if image is not self._followed:
            if self._followed is not None:
                self._followed.events.data.disconnect(self._notice_data)
            if image is not None:
                image.events.data.connect(self._notice_data)
        self._followed, self._shape = image, () if image is None else _shape(image)

    def _notice_data(self, event: Any) -> None:
        if _shape(event.source) != self._shape:
            self._list_axes()
        else:
            self.changed.emit()

    def _list_axes(self, image: Any = None) -> None:
        self.axes.clear()
        image = self.image()
        self._follow(image)
        if image is not None and image.ndim > 2:
            for axis, label in enumerate(image.axis_labels):
                # An axis without a name is called "-3" by napari.
                name = f"axis {axis}" if label.lstrip("-").isdigit() else label
                self.axes.addItem(f"{name} ({self._shape[axis]} frames)")
        self.channels.offer(image)
        left = None if image is None else self._left.pop(image, None)
        if left is not None and left.shape == self._shape:
            self.axes.setCurrentIndex(left.axis)
            self._hide_axis(left.axis)
            self.channels.offer_again(left.channels)
        self._change_channels()

    def _note_axes(self) -> None:
        """Note how an image is played, for when it is chosen again."""
        image, channels = self.image(), self.channels.channels()
        if image is not None and image.ndim > 2:
            # Other layers may be gone by then, and would be kept by it.
            kept = channels if channels.axis is not None else Channels()
            self._left[image] = Left(self._shape, self.axes.currentIndex(), kept)

    def _change_channels(self) -> None:
        """Play another axis than that of the channels."""
        left_out = self.channels.channels().axis
        if left_out is not None and left_out == self.axes.currentIndex():
            self.axes.setCurrentIndex(1 if left_out == 0 else 0)
        items = cast("QStandardItemModel", self.axes.model())
        for axis in range(self.axes.count()):
            cast("QStandardItem", items.item(axis)).setEnabled(axis != left_out)
        self._show_choices()
        if self.image() is not None and left_out is not None:
            self._hide_axis(left_out)
        self.changed.emit()

    def _show_choices(self) -> None:
        """Show what there is a choice of."""
        left_out = self.channels.channels().axis
        n_axes = self.axes.count() - (left_out is not None)
        for widgets, seen in (
            ((self.axes, self._axes_label), n_axes > 2),
            ((self.channels, self._channels_label), self.channels.has_choice),
        ):
            for widget in widgets:
                widget.setVisible(seen)

    def _hide_axis(self, axis: int) -> None:
        """Give an axis a slider, if it is displayed."""
        dims = self._viewer.dims
        at = axis + dims.ndim - self.image().ndim
        if at in dims.displayed:
            dims.order = (at, *(i for i in range(dims.ndim) if i != at))

    def _show_axis(self, axis: int) -> None:
        """Give the played axis a slider: displayed, its frames could not be seen."""
        self._hide_axis(axis)
        self.changed.emit()


def _shape(image: Any) -> tuple[int, ...]:
    return tuple(image.data[0].shape if image.multiscale else image.data.shape)
