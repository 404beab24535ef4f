"""A combo box of a viewer's layers of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class LayerPicker(QComboBox):
    """Offers the layers of one kind; follows layers that come, go, move, or change their name.

    Parameters
    ----------
    viewer : ViewerModel
    kind : type of Layer
    placeholder : str
        Shown first, and meaning no layer; without it the first layer is taken.
    """

    leaving = Signal()  #: the layer is about to be another one
    picked = Signal(object)  #: a Layer, or None

    def __init__(
        self,
        viewer: ViewerModel,
        kind: type[Layer],
        placeholder: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind, self._placeholder = viewer, kind, placeholder
        self._layer: Any = None
        # Long names must not make the dock wide.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.currentIndexChanged.connect(self._pick)
        events = viewer.layers.events
        self._events = (events.inserted, events.removed, events.reordered, events.renamed)
        for event in self._events:
            event.connect(self._refresh)
        self._refresh()

    def layer(self) -> Any:
        """Give the chosen layer, or None."""
        return self._layer

    def pick(self, layer: Any) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self._index_of(layer))

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers."""
        for event in self._events:
            event.disconnect(self._refresh)

    def _refresh(self, event: Any = None) -> None:
        self.blockSignals(True)
        self.clear()
        if self._placeholder:
            self.addItem(self._placeholder, None)
        for layer in self._viewer.layers:
            if isinstance(layer, self._kind):
                self.addItem(layer.name, layer)
        self.setCurrentIndex(max(self._index_of(self._layer), 0 if self.count() else -1))
        self.blockSignals(False)
        self._pick()

    def _pick(self, index: int = 0) -> None:
        layer = self.currentData()
        if layer is not self._layer:
            self.leaving.emit()
            self._layer = layer
            self.picked.emit(layer)

    def _index_of(self, layer: Any) -> int:
        return next((i for i in range(self.count()) if self.itemData(i) is layer), -1)
