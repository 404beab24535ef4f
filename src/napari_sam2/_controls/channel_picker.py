"""What the model sees as red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_sam2._layers import Channels

if TYPE_CHECKING:
    from napari.components import ViewerModel

NAMES = ("red", "green", "blue")
CHANNEL_LABELS = {"c", "ch", "channel", "channels"}  #: what an axis of channels is called


class ChannelPicker(QWidget):
    """Chooses an axis of channels or several layers, and up to three of them as colours."""

    changed = Signal()  #: what is chosen
    offered = Signal()  #: layers have come or gone

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Any = None
        self.kinds = QComboBox()
        self.kinds.setToolTip(
            "What the model sees in colour: channels on an axis of the image, or further\n"
            "layers of its shape. Contrast limits and gamma are those of the layers."
        )
        self.colors = tuple(QComboBox() for _ in NAMES)
        for box, name in zip(self.colors, NAMES, strict=True):
            box.setToolTip(f"What the model sees as {name}")
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(3)
            box.activated.connect(lambda index: self.changed.emit())
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        for box in self.colors:
            row.addWidget(box, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.kinds)
        column.addWidget(self._row)
        self.kinds.activated.connect(self._choose_kind)
        self._events = (viewer.layers.events.inserted, viewer.layers.events.removed)
        for event in self._events:
            event.connect(self._follow_layers)

    @property
    def has_choice(self) -> bool:
        """Whether there is anything but the image alone."""
        return self.kinds.count() > 1

    def channels(self) -> Channels:
        """Give what is chosen."""
        kind = self.kinds.currentData()
        chosen = [box.currentData() for box in self.colors if box.currentData() is not None]
        if kind is None or not chosen:
            return Channels()
        if kind == "layers":
            return Channels(layers=tuple(chosen))
        return Channels(axis=kind, positions=tuple(chosen))

    def offer(self, image: Any) -> None:
        """Offer what an image has; its own channels are chosen if an axis is called so."""
        self._image = image
        self.kinds.clear()
        self.kinds.addItem("one, as it is", None)
        named = None
        if image is not None and not image.rgb:
            shape = _shape(image)
            for axis, label in enumerate(image.axis_labels[: image.ndim - 2]):
                name = f"axis {axis}" if label.lstrip("-").isdigit() else label
                self.kinds.addItem(f"along {name} ({shape[axis]})", axis)
                if label.lower() in CHANNEL_LABELS and named is None:
                    named = self.kinds.count() - 1
            if self._others():
                self.kinds.addItem("several layers", "layers")
        if named is not None:
            self.kinds.setCurrentIndex(named)
        self._list_colors()

    def offer_again(self, channels: Channels) -> None:
        """Show what was chosen of the image that is offered, before anyone hears of it."""
        self._show(channels)

    def choose(self, channels: Channels) -> None:
        """Choose an axis or layers, and what is red, green and blue."""
        self._show(channels)
        self.changed.emit()

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers."""
        for event in self._events:
            event.disconnect(self._follow_layers)

    def _show(self, channels: Channels) -> None:
        kind = "layers" if channels.layers else channels.axis
        self.kinds.setCurrentIndex(max(self.kinds.findData(kind), 0))
        self._list_colors()
        chosen: tuple[Any, ...] = channels.layers or channels.positions
        for place, box in enumerate(self.colors):
            wanted = chosen[place] if place < len(chosen) else None
            found = [i for i in range(box.count()) if box.itemData(i) is wanted]
            found = found or [i for i in range(box.count()) if box.itemData(i) == wanted]
            box.setCurrentIndex(found[0] if found else 0)

    def _choose_kind(self, index: int = 0) -> None:
        self._list_colors()
        self.changed.emit()

    def _list_colors(self) -> None:
        kind = self.kinds.currentData()
        self._row.setVisible(kind is not None)
        options: list[tuple[str, Any]] = []
        if kind == "layers":
            options = [(layer.name, layer) for layer in (self._image, *self._others())]
        elif kind is not None:
            options = [(f"channel {i}", i) for i in range(_shape(self._image)[kind])]
        for place, box in enumerate(self.colors):
            box.clear()
            box.addItem("none", None)
            for text, value in options:
                box.addItem(text, value)
            box.setCurrentIndex(place + 1 if place < len(options) else 0)

    def _others(self) -> list[Any]:
        """Give other layers that could be seen with the image."""
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image)
            and layer is not self._image
            and not layer.rgb
            and _shape(layer) == _shape(self._image)
        ]

    def _follow_layers(self, event: Any) -> None:
        """Offer other layers as they come and go; what is chosen stays while it is there."""
        if self._image is None or event.value is self._image or not isinstance(event.value, Image):
            return
        before = self.channels()
        self.kinds.blockSignals(True)
        self.offer(self._image)
        self.kinds.blockSignals(False)
        is_there = all(layer in self._viewer.layers for layer in before.layers)
        self._show(before if is_there else Channels())
        self.offered.emit()
        if self.channels() != before:  # or work on the image would stop for a layer beside it
            self.changed.emit()


def _shape(image: Any) -> tuple[int, ...]:
    data = image.data[0] if image.multiscale else image.data
    return tuple(int(n) for n in data.shape[: image.ndim])
