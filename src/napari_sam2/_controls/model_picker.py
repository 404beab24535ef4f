"""Which model to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from napari_sam2._controls.forms import Form
from napari_sam2.model.config import (
    EMBEDDED_MODEL,
    config_names,
    load_config,
    user_model_names,
)
from napari_sam2.model.locations import find_checkpoint, how_to_get

if TYPE_CHECKING:
    from qtpy.QtGui import QStandardItem, QStandardItemModel

    from napari_sam2.model.sam2 import SAM2


class _Names(QComboBox):
    """A combo box that tells before it shows its list."""

    opening = Signal()

    def showPopup(self) -> None:
        """Show the list; called by Qt."""
        self.opening.emit()
        super().showPopup()


class ModelPicker(QWidget):
    """Offers every known model; those whose weights are not here are grey, and say why.

    Parameters
    ----------
    model : SAM2, optional
        A loaded model, to begin with.
    """

    changed = Signal()

    def __init__(self, model: SAM2 | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names = _Names()
        self.names.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.names.setMinimumContentsLength(12)
        self.names.setToolTip(
            "Larger models are more careful and slower. It is loaded when it is first needed."
        )
        self._device = QLabel()
        self._device.setObjectName("device")
        self._device.setToolTip("Where the model computes")
        form = Form(self)
        form.add("Model", self.names)
        form.add("Device", self._device)
        for name in sorted(config_names(), key=lambda name: (name != EMBEDDED_MODEL, name)):
            self._offer(name)
        self._choose_first()
        if model is not None:
            self.use(model)
        self.show_device("")
        self.names.currentIndexChanged.connect(self.changed)
        self.names.opening.connect(self.offer_new)

    def model(self) -> str | SAM2:
        """Give the name of the chosen model, or the model itself if it was loaded elsewhere."""
        return cast("str | SAM2", self.names.currentData())

    def use(self, model: SAM2) -> None:
        """Choose a loaded model, in the place of the one of its name if there is one."""
        if self.model() is model:
            return
        self.names.blockSignals(True)
        index = self.names.findText(model.config.name)
        if index < 0:
            index = 0
            self.names.insertItem(index, model.config.name)
        self.names.setItemData(index, model)
        self.names.setItemData(index, None, Qt.ItemDataRole.ToolTipRole)
        self._item(index).setEnabled(True)
        self.names.setCurrentIndex(index)
        self.names.blockSignals(False)
        self.changed.emit()

    def offer_new(self) -> None:
        """Offer models that were made since: fine-tuned here, or on the command line."""
        known = {self.names.itemText(i) for i in range(self.names.count())}
        for name in user_model_names():
            if load_config(name).name not in known:
                self._offer(name)

    def show_device(self, device: str) -> None:
        """Say where the model computes; nothing if it is not loaded yet."""
        self._device.setText(device or "loaded on first use")
        self._device.setEnabled(bool(device))

    def _offer(self, name: str) -> None:
        config = load_config(name)
        self.names.addItem(config.name, name)
        if find_checkpoint(config) is None:
            index = self.names.count() - 1
            self._item(index).setEnabled(False)
            why = f"Its weights are not on this computer. {how_to_get(config)}"
            self.names.setItemData(index, why, Qt.ItemDataRole.ToolTipRole)

    def _choose_first(self) -> None:
        """Choose the first model that is here; without any, the embedded one says what to do."""
        here = [i for i in range(self.names.count()) if self._item(i).isEnabled()]
        self.names.setCurrentIndex(here[0] if here else 0)

    def _item(self, index: int) -> QStandardItem:
        return cast("QStandardItem", cast("QStandardItemModel", self.names.model()).item(index))
