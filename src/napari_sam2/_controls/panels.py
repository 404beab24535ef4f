"""The parts of the dock that are seen, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2._controls.image_picker import ImagePicker
    from napari_sam2._controls.model_picker import ModelPicker
    from napari_sam2._controls.object_table import ObjectTable
    from napari_sam2._controls.overlap_box import OverlapBox
    from napari_sam2._controls.prompt_panel import PromptPanel
    from napari_sam2._controls.review_panel import ReviewPanel
    from napari_sam2._controls.save_panel import SavePanel
    from napari_sam2._controls.status import Status
    from napari_sam2._controls.track_panel import TrackPanel
    from napari_sam2._controls.undo_bar import UndoBar
    from napari_sam2._controls.unsaved_bar import UnsavedBar


@dataclass(frozen=True, eq=False)
class Panels:
    """One of each, from top to bottom as the hand goes."""

    image: ImagePicker
    model: ModelPicker
    prompts: PromptPanel
    objects: ObjectTable
    overlap: OverlapBox
    track: TrackPanel
    review: ReviewPanel
    save: SavePanel
    undo: UndoBar
    status: Status
    unsaved: UnsavedBar
