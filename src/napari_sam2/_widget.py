"""The dock widget: builds the parts, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QVBoxLayout

from napari_sam2._controls.annotator import Annotator
from napari_sam2._controls.dock import Dock, unwrapped
from napari_sam2._controls.forms import VerticalScroll
from napari_sam2._controls.image_picker import ImagePicker
from napari_sam2._controls.keys import LettersPassThrough
from napari_sam2._controls.model_picker import ModelPicker
from napari_sam2._controls.object_table import ObjectTable
from napari_sam2._controls.overlap_box import OverlapBox
from napari_sam2._controls.panels import Panels
from napari_sam2._controls.prompt_panel import PromptPanel
from napari_sam2._controls.review_panel import ReviewPanel
from napari_sam2._controls.save_panel import SavePanel
from napari_sam2._controls.sections import Sections
from napari_sam2._controls.status import Status
from napari_sam2._controls.tidying import tidy_once
from napari_sam2._controls.track_panel import TrackPanel
from napari_sam2._controls.undo_bar import UndoBar
from napari_sam2._controls.unsaved_bar import UnsavedBar

if TYPE_CHECKING:
    import napari.viewer

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.session import Session


class AnnotateWidget(Dock):
    """Prompt objects on some frames of an image layer, and have them in every frame.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    model : SAM2, optional
        A loaded model, to begin with.
    session : Session, optional
        What to go on with; see `adopt`.

    Examples
    --------
    >>> session = Session(stack)  # prompted, tracked
    >>> viewer = napari.Viewer()
    >>> _, dock = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    >>> dock.adopt(session)
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        *,
        model: SAM2 | None = None,
        session: Session | None = None,
    ) -> None:
        super().__init__()
        viewer = unwrapped(viewer)
        self.panels = Panels(
            image=ImagePicker(viewer),
            model=ModelPicker(model),
            prompts=PromptPanel(viewer),
            objects=ObjectTable(),
            overlap=OverlapBox(),
            track=TrackPanel(),
            review=ReviewPanel(),
            save=SavePanel(),
            undo=UndoBar(),
            status=Status(),
            unsaved=UnsavedBar(),
        )
        self._letters = LettersPassThrough(self)
        self._lay_out()
        self.annotator = Annotator(viewer, self.panels, self)
        self.annotator.reviewer.something_found.connect(self.sections["Review"].offer)
        self.shut_with(self.annotator.shut)
        if session is not None:
            self.adopt(session)
        tidy_once()

    @property
    def session(self) -> Session:
        """The session of the chosen image: what is drawn and listed, and what was found of it.

        It is made if there is none yet, for which a model may have to be loaded. It knows of all
        prompts that are drawn, and stays the same object until another model, contrast or axis is
        chosen: ask again after that. Asking waits for the frame that is being computed; each
        method of the session is a whole step, for which a run that is under way waits.

        What a script does with it is seen in the dock: objects are listed, labels are shown, and
        all is undone in its turn. Prompts that a script adds count, but are drawn by ``adopt(...)``
        only; where the user draws for the same object on the same frame, that counts instead.

        Raises
        ------
        ValueError
            If there is no image, or if prompts make no sense; the message says why.
        """
        return self.annotator.session()

    def adopt(self, session: Session, name: str = "image") -> None:
        """Go on with a session that a script made: its objects, prompts and labels.

        The session is the dock's from then on: another thread should not change it. Its data
        are added as an image unless a layer shows them already.

        Parameters
        ----------
        session : Session
        name : str
            Of the image layer, if it has to be added.

        Raises
        ------
        ValueError
            If the layer that shows the data cannot be played like the session.
        """
        self.annotator.adopt(session, name)

    def _lay_out(self) -> None:
        panels, self.sections = self.panels, Sections()
        # As the hand goes. What begins folded is right to begin with, or has nothing in it yet.
        for title, parts, is_open in (
            ("Image", (panels.image,), True),
            ("Model", (panels.model,), False),
            ("Prompts", (panels.prompts,), True),
            ("Objects", (panels.objects, panels.overlap), True),
            ("Track", (panels.track,), True),
            ("Review", (panels.review,), False),
            ("Save", (panels.save,), False),
        ):
            self.sections.add(title, *parts, is_open=is_open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(panels.unsaved)
        scroll = VerticalScroll(self.sections)
        self.sections.unfolded.connect(scroll.bring_into_sight)
        layout.addWidget(scroll, 1)
        layout.addWidget(panels.undo)
        layout.addWidget(panels.status)
        for kind in (QComboBox, QAbstractSpinBox):
            self._letters.watch(*self.sections.findChildren(kind))
        self._letters.watch(panels.objects.table)
