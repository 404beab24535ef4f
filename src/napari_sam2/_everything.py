"""The dock widget that segments everything: builds the parts, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QGroupBox, QVBoxLayout, QWidget

from napari_sam2._controls.dock import Dock, unwrapped
from napari_sam2._controls.everything_filter import EverythingFilter
from napari_sam2._controls.everything_panel import EverythingPanel
from napari_sam2._controls.everything_runner import EverythingRunner
from napari_sam2._controls.forms import VerticalScroll
from napari_sam2._controls.image_picker import ImagePicker
from napari_sam2._controls.keys import LettersPassThrough
from napari_sam2._controls.model_picker import ModelPicker
from napari_sam2._controls.status import Status
from napari_sam2._controls.tidying import tidy_once
from napari_sam2._widget import AnnotateWidget

if TYPE_CHECKING:
    import napari.viewer

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.session import Session

ANNOTATE = ("napari-sam2", "SAM 2")  #: the other dock, as napari knows it


class EverythingWidget(Dock):
    """Find everything on an image, choose by size and score, and have it followed.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    model : SAM2, optional
        A loaded model, to begin with.
    """

    def __init__(self, viewer: napari.viewer.Viewer, *, model: SAM2 | None = None) -> None:
        super().__init__()
        self._viewer = viewer = unwrapped(viewer)
        self.image, self.model = ImagePicker(viewer), ModelPicker(model)
        self.image.view.hide()  # nobody looks for it here
        self.panel, self.filter = EverythingPanel(), EverythingFilter()
        self.status = Status("steps")
        self._letters = LettersPassThrough(self)
        self._lay_out()
        parts = (self.image, self.model, self.panel, self.filter, self.status)
        self.runner = EverythingRunner(viewer, parts, self)
        self.runner.objects_begun.connect(self._open)
        self.model.failed.connect(self.status.fail)
        self.shut_with(self.runner.shut)
        tidy_once()

    def _open(self, session: Session) -> None:
        """Open a session in the other dock of the window, which is opened if need be."""
        try:
            self._annotate().adopt(session)
        except ValueError as error:
            self.status.complain(str(error))
            return
        self.runner.results.hide()
        self.status.say(f"{len(session.objects)} objects are in the SAM 2 dock: propagate there.")

    def _annotate(self) -> AnnotateWidget:
        outermost: Any = self
        while outermost.parentWidget() is not None:
            outermost = outermost.parentWidget()
        if docks := outermost.findChildren(AnnotateWidget):
            return cast("AnnotateWidget", docks[0])
        _, dock = self._viewer.window.add_plugin_dock_widget(*ANNOTATE, tabify=True)
        return cast("AnnotateWidget", dock)

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(2, 2, 2, 2)
        for title, parts in (
            ("Image", (self.image, self.model)),
            ("Find everything", (self.panel,)),
            ("Keep", (self.filter,)),
        ):
            group = QGroupBox(title)
            inside = QVBoxLayout(group)
            for part in parts:
                inside.addWidget(part)
            column.addWidget(group)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(VerticalScroll(content), 1)
        layout.addWidget(self.status)
        for kind in (QComboBox, QAbstractSpinBox):
            self._letters.watch(*content.findChildren(kind))
