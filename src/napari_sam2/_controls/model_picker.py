"""Which model to use, and where it computes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_sam2._controls.download_bar import DownloadBar, size_text
from napari_sam2._controls.forms import Form
from napari_sam2._worker import Call, Job
from napari_sam2.model.checkpoint import CheckpointError, find_fitting_config, load_model
from napari_sam2.model.checkpoint import read_weights as read
from napari_sam2.model.config import (
    EMBEDDED_MODEL,
    config_names,
    load_config,
    user_model_names,
)
from napari_sam2.model.locations import find_checkpoint, how_to_get
from napari_sam2.model.registry import find_published
from napari_sam2.predictors.device import PRECISIONS
from napari_sam2.session import Settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from qtpy.QtGui import QStandardItem, QStandardItemModel

    from napari_sam2.model.sam2 import SAM2

NAME = Qt.ItemDataRole.UserRole + 1  #: of a model, without what is said of it
FROM_FILE = "Weights from a file …"
FASTEST = "fastest"
DEVICES = {"cpu": "CPU", "cuda": "CUDA GPU", "mps": "Apple GPU"}


BoxT = TypeVar("BoxT", bound=QComboBox)


class _Names(QComboBox):
    """A combo box that tells before it shows its list."""

    opening = Signal()

    def showPopup(self) -> None:
        """Show the list; called by Qt."""
        self.opening.emit()
        super().showPopup()


class ModelPicker(QWidget):
    """Offers every known model, and to fetch those whose weights are not here; or a file.

    Parameters
    ----------
    model : SAM2, optional
        A loaded model, to begin with.
    """

    changed = Signal()
    failed = Signal(object)  #: the exception that a file of weights was refused with

    def __init__(self, model: SAM2 | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job = Job()
        self._before = 0  #: what is chosen, where another choice comes to nothing
        self._files: dict[str, tuple[str, Path]] = {}  #: config and weights, by what is shown
        self.names = _shortened(_Names(), 12)
        self.names.setToolTip(
            "Larger models are more careful and slower. It is loaded when it is first needed."
        )
        self.download = DownloadBar()
        self.devices, self.precisions = _box(6), _box(6)
        self.devices.setToolTip("Where the model computes")
        self.precisions.setToolTip(
            "How precisely: halves are faster on a GPU, float32 is exact everywhere"
        )
        form = Form(self)
        form.add("Model", self.names)
        form.addRow(self.download)
        form.add("Device", self.devices)
        self._precision_label = form.add("Precision", self.precisions)
        for name in sorted(config_names(), key=lambda name: (name != EMBEDDED_MODEL, name)):
            self._offer(name)
        self.names.addItem(FROM_FILE, None)
        self._offer_devices()
        self._choose_first()
        if model is not None:
            self.use(model)
        self.show_device("")
        self.names.currentIndexChanged.connect(self._change)
        self.names.activated.connect(self._ask_for_file)
        for box in (self.devices, self.precisions):
            box.currentIndexChanged.connect(lambda index: self.changed.emit())
        self.download.done.connect(self._take_downloaded)
        self.names.opening.connect(self.offer_new)

    def model(self) -> str | SAM2:
        """Give the name of the chosen model, or the model itself if it was loaded elsewhere."""
        chosen = self.names.currentData()
        return cast("str | SAM2", self.names.itemData(self._before) if chosen is None else chosen)

    def source(self) -> tuple[str, Path | None]:
        """Give the name of the chosen model, and the file of its weights if one was chosen.

        Raises
        ------
        ValueError
            If it is a model that was loaded elsewhere.
        """
        model = self.model()
        if isinstance(model, str):
            return model, None
        shown = str(self.names.itemData(self._before, NAME))
        if shown not in self._files:
            raise ValueError(f"{shown} was loaded by a script: choose a model by name, or a file.")
        return self._files[shown]

    def settings(self) -> Settings:
        """Give the chosen device and precision."""
        return Settings(device=self.devices.currentData(), precision=self.precisions.currentData())

    def image_size(self) -> int:
        """Give the edge of the chosen model's input, in pixels."""
        model = self.model()
        return load_config(model).image_size if isinstance(model, str) else model.config.image_size

    def choose(
        self, name: str | None = None, *, device: str | None = "", precision: str | None = ""
    ) -> None:
        """Choose a model by its name, and where it computes; what is not given stays.

        Parameters
        ----------
        name : str, optional
            As in `config_names`, or of a model that was fine-tuned.
        device, precision : str or None, optional
            As in `Settings`; None for the fastest, and for what is safe on it.

        Raises
        ------
        ValueError
            If there is no such model, device or precision, or no weights of the model are here.
            Nothing is changed then.
        """
        self.offer_new()
        row = self.names.currentIndex() if name is None else self._row_of(name)
        chosen: list[tuple[QComboBox, int]] = [(self.names, row)]
        for box, value in ((self.devices, device), (self.precisions, precision)):
            places = [i for i in range(box.count()) if value in ("", box.itemData(i))]
            if not places:
                offered = [box.itemData(i) for i in range(box.count())]
                raise ValueError(f"There is no {value!r} here; choose from {offered}.")
            chosen.append((box, box.currentIndex() if value == "" else places[0]))
        for box, place in chosen:
            box.setCurrentIndex(place)

    def use(self, model: SAM2, name: str = "") -> None:
        """Choose a loaded model, in the place of the one of its name if there is one."""
        if self.model() is model:
            return
        name = name or model.config.name
        self.names.blockSignals(True)
        index = self.names.findData(name, NAME)
        if index < 0:
            index = 0
            self.names.insertItem(index, name)
        self.names.setItemText(index, name)
        self.names.setItemData(index, name, NAME)
        self.names.setItemData(index, model)
        self.names.setItemData(index, None, Qt.ItemDataRole.ToolTipRole)
        self.names.setCurrentIndex(index)
        self.names.blockSignals(False)
        self._change()

    def use_settings(self, settings: Settings) -> None:
        """Show the device and precision of a session."""
        for box, value in ((self.devices, settings.device), (self.precisions, settings.precision)):
            box.blockSignals(True)
            if box.findData(value) < 0:
                box.addItem(str(value), value)
            box.setCurrentIndex(box.findData(value))
            box.blockSignals(False)

    def use_file(self, path: Path) -> None:
        """Read weights in a worker, find out which model they are of, and choose it."""
        self._job.start(
            Call(
                partial(_load, path),
                on_step=partial(self._use_loaded, path),
                on_error=self.failed.emit,
            )
        )

    def hide_precision(self) -> None:
        """Offer no precision: it is not for the user to choose here."""
        self.precisions.hide()
        self._precision_label.hide()

    def offer_new(self) -> None:
        """Offer models that were made since: fine-tuned here, or on the command line."""
        for name in user_model_names():
            if self.names.findData(load_config(name).name, NAME) < 0:
                self._offer(name)

    def show_device(self, device: str) -> None:
        """Say where the model computes; nothing if it is not loaded yet."""
        self.devices.setItemText(0, f"{FASTEST} ({device})" if device else FASTEST)

    def shut(self) -> None:
        """Stop what is under way."""
        self._job.cancel()
        self.download.cancel()

    def _use_loaded(self, path: Path, loaded: tuple[str, SAM2]) -> None:
        config, model = loaded
        self._files[path.name] = config, path
        self.use(model, name=path.name)

    def _row_of(self, name: str) -> int:
        row = self.names.findData(name)
        if row < 0:
            row = self.names.findData(load_config(name).name, NAME)  # by another of its names
        if row < 0 or not isinstance(self.names.itemData(row), str):
            raise ValueError(f"There is no model {name!r} in the list; there are {config_names()}.")
        if find_checkpoint(load_config(name)) is None:
            raise ValueError(f"The weights of {name} are not here. {how_to_get(load_config(name))}")
        return row

    def _offer(self, name: str) -> None:
        config = load_config(name)
        last = self.names.findText(FROM_FILE)
        index = self.names.count() if last < 0 else last
        self.names.insertItem(index, config.name, name)
        self.names.setItemData(index, config.name, NAME)
        if find_checkpoint(config) is None:
            published = find_published(config.checkpoint)
            size = f", {size_text(published.approximate_bytes)}" if published else ""
            self.names.setItemText(index, f"{config.name} (not here{size})")
            why = f"Its weights are not on this computer. {how_to_get(config)}"
            self.names.setItemData(index, why, Qt.ItemDataRole.ToolTipRole)
            self._item(index).setEnabled(published is not None)

    def _offer_devices(self) -> None:
        self.devices.addItem(FASTEST, None)
        here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        for device, text in DEVICES.items():
            if here.get(device, True):
                self.devices.addItem(text, device)
        self.precisions.addItem("safe for the device", None)
        for precision in PRECISIONS:
            self.precisions.addItem(precision, precision)

    def _change(self, index: int = 0) -> None:
        if self.names.currentText() == FROM_FILE:
            return
        self._before = self.names.currentIndex()
        model = self.model()
        missing = None
        if isinstance(model, str) and find_checkpoint(load_config(model)) is None:
            missing = find_published(load_config(model).checkpoint)
        self.download.offer(missing)
        self.changed.emit()

    def _take_downloaded(self, name: str) -> None:
        index = self.names.findData(name)
        self.names.setItemText(index, self.names.itemData(index, NAME))
        self.names.setItemData(index, None, Qt.ItemDataRole.ToolTipRole)
        if self.names.currentIndex() == index:
            self._change()

    def _ask_for_file(self, index: int) -> None:
        if self.names.itemText(index) != FROM_FILE:
            return
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Weights", "", "Weights (*.pt *.pth *.safetensors);;All files (*)"
        )
        self.names.blockSignals(True)
        self.names.setCurrentIndex(self._before)
        self.names.blockSignals(False)
        if chosen:
            self.use_file(Path(chosen))

    def _choose_first(self) -> None:
        """Choose the first model that is here; without any, the embedded one says what to do."""
        known = [i for i in range(self.names.count()) if isinstance(self.names.itemData(i), str)]
        here = [i for i in known if find_checkpoint(load_config(self.names.itemData(i)))]
        self.names.setCurrentIndex(here[0] if here else 0)
        self._before = self.names.currentIndex()

    def _item(self, index: int) -> QStandardItem:
        return cast("QStandardItem", cast("QStandardItemModel", self.names.model()).item(index))


def _box(length: int) -> QComboBox:
    return _shortened(QComboBox(), length)


def _shortened(box: BoxT, length: int) -> BoxT:
    """Have a box take the room of so many characters, whatever it holds."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(length)
    return box


def _load(path: Path) -> Generator[tuple[str, SAM2], None, None]:
    """Load weights into the model that they fit; give it with the name of its config."""
    config = find_fitting_config(read(path))
    if config is None:
        raise CheckpointError(
            f"{path.name} fits none of {config_names()}. Weights of another shape need the YAML "
            "file that they were trained with: load them in a script, and adopt its session."
        )
    yield config, load_model(config, path)
