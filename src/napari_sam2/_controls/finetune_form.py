"""What to learn from, and how: the controls of the Fine-tune dock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.forms import Form
from napari_sam2._controls.image_picker import ImagePicker
from napari_sam2._controls.layer_picker import LayerPicker
from napari_sam2._controls.model_picker import ModelPicker
from napari_sam2._label_layers import unlay
from napari_sam2.model.config import config_names
from napari_sam2.training.finetune_options import FineTuneOptions

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.predictors.frames import View
    from napari_sam2.training.annotated import AnnotatedStack

FIRST_NAME = "my-cells"


@dataclass(frozen=True, eq=False)
class Source:
    """Where annotations are: on layers, or in folders; read in another thread."""

    name: str
    images: Any
    labels: Any
    view: View | None
    unlabelled: Any

    def read(self) -> list[AnnotatedStack]:
        """Open them; see `AnnotatedStack` and `read_annotated` for what is raised."""
        # Not before it is needed: it takes torch.
        from napari_sam2.training.annotated import AnnotatedStack, LabelRule
        from napari_sam2.training.pairing import read_annotated

        rule = LabelRule(unlabelled=self.unlabelled)
        if isinstance(self.images, Path):
            return read_annotated([self.images], [self.labels], rule=rule)
        labels = self.labels
        if isinstance(labels, np.ndarray):
            labels = labels.copy()  # the user may go on painting
        return [AnnotatedStack(self.images, labels, self.view, name=self.name, rule=rule)]


class FolderPicker(QWidget):
    """A line for the path of a folder or a file, and a button to look for a folder."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.line = QLineEdit()
        self.line.setPlaceholderText("folder or file")
        button = QPushButton("...")
        button.setToolTip(title)
        button.setMaximumWidth(32)
        button.clicked.connect(self._browse)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(button)

    def path(self) -> Path | None:
        """Give what was chosen; None if nothing was."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self._title, self.line.text())
        if chosen:
            self.line.setText(chosen)


class FineTuneForm(QWidget):
    """Chooses layers or folders, the model to begin with, and how it learns."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.image = ImagePicker(viewer)
        self.image.view.hide()  # nobody looks for it here
        self.labels = LayerPicker(viewer, Labels)
        self.labels.setToolTip(
            "Your labels of this image, one number an object, the same through all frames.\n"
            "Frames without labels are not learnt from; five frames are a good beginning."
        )
        self.image_folder = FolderPicker("Folder of images")
        self.label_folder = FolderPicker("Folder of labels, named like the images")
        self.model = ModelPicker()
        self.model.hide_precision()  # it learns in float32, and half where that is safe
        self.name = QLineEdit(free_name(FIRST_NAME))
        self.name.setToolTip("Of the new model, by which you will find it in the list of models")
        self.learning = _choice(
            "The image trunk is most of the model; the rest learns in any case.\n"
            "As it is: fast, little memory, and enough as a rule. LoRA: for images of an unusual\n"
            "kind. Like the rest: with many labels.",
            ("stays as it is", "frozen"),
            ("changes a little (LoRA)", "lora"),
            ("learns like the rest", "all"),
        )
        self.unlabelled = _choice(
            "What pixels without a label are. Choose 'not looked at' if objects are drawn in part\n"
            "only: their surroundings are then told by other labels alone.",
            ("no object", "background"),
            ("not looked at", "ignored"),
        )
        self.hold_out = _number(0, 90, 20, " %", "Share of your labels that is only measured on")
        self.steps = _number(1, 100_000, 400, "", "Steps; it ends early when it gets no better")
        self._lay_out()

    def source(self) -> Source:
        """Say what is to be learnt from.

        Raises
        ------
        ValueError
            If something is not chosen yet.
        """
        unlabelled = self.unlabelled.currentData()
        if self.tabs.currentIndex() == 1:
            images, labels = self.image_folder.path(), self.label_folder.path()
            if images is None or labels is None:
                raise ValueError("Choose a folder of images, and one of labels.")
            return Source(images.name, images, labels, None, unlabelled)
        stack, layer = self.image.stack(), self.labels.layer()
        if layer is None:
            raise ValueError("There are no labels to learn from: paint some, or open them first.")
        data = layer.data[0] if layer.multiscale else layer.data
        if data.ndim == stack.image.ndim:  # as ours, with one channel for all
            data = unlay(data, stack.channel_axis)
        return Source(stack.image.name, stack.data, data, stack.view, unlabelled)

    def options(self) -> FineTuneOptions:
        """Read how to learn.

        Raises
        ------
        ValueError
            If the model cannot be loaded again, or a number makes no sense.
        """
        model, weights = self.model.source()
        return FineTuneOptions(
            name=self.name.text().strip(),
            model=model,
            checkpoint=weights,
            device=self.model.settings().device,
            learning=self.learning.currentData(),
            hold_out=self.hold_out.value() / 100,
            steps=self.steps.value(),
        )

    def suggest_name(self) -> None:
        """Offer a name that is free, after one was used."""
        self.name.setText(free_name(self.name.text().strip() or FIRST_NAME))

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers."""
        self.labels.disconnect_viewer()
        self.image.disconnect_viewer()
        self.model.shut()

    def _lay_out(self) -> None:
        layers, folders = QWidget(), QWidget()
        layer_form = QVBoxLayout(layers)
        layer_form.setContentsMargins(4, 4, 4, 4)
        layer_form.addWidget(self.image)
        labels = Form()
        labels.add("Labels", self.labels)
        layer_form.addLayout(labels)
        folder_form = Form(folders)
        folder_form.setContentsMargins(4, 4, 4, 4)
        folder_form.add("Images", self.image_folder)
        folder_form.add("Labels", self.label_folder)
        self.tabs = QTabWidget()
        self.tabs.addTab(layers, "Layers")
        self.tabs.addTab(folders, "Folders")
        how = Form()
        how.add("Unlabelled", self.unlabelled)
        how.add("Image trunk", self.learning)
        how.add("Hold out", self.hold_out)
        how.add("Steps", self.steps)
        how.add("New name", self.name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.tabs)
        column.addWidget(self.model)
        column.addLayout(how)


def free_name(name: str) -> str:
    """Give a name, with a number after it if a model has it already."""
    taken = config_names()
    stem, _, number = name.rpartition("-")
    stem, count = (stem, int(number)) if stem and number.isdigit() else (name, 1)
    while name in taken:
        count += 1
        name = f"{stem}-{count}"
    return name


def _choice(tip: str, *items: tuple[str, str]) -> QComboBox:
    box = QComboBox()
    box.setToolTip(tip)
    for text, value in items:
        box.addItem(text, value)
    return box


def _number(low: int, high: int, value: int, suffix: str, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setToolTip(tip)
    box.setAlignment(Qt.AlignmentFlag.AlignLeft)
    return box
