"""The layers that answers are shown on: a preview, and the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._label_layers import lay, shows
from napari_sam2._layers import align, new_labels, new_preview, preview_shape, write_preview
from napari_sam2.prompts import FrameMasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sam2._controls.prompt_layers import PromptLayers
    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Candidates

LABELS_NAME, PREVIEW_NAME = "SAM 2 labels", "SAM 2 preview"
OPACITY = 0.5  #: of masks, so that the image can be judged beneath them
REFRESH_MS = 100  #: results are drawn no more often than this


class Results(QObject):
    """Shows candidates on a preview layer, and the session's labels as they are written."""

    labels_shown = Signal(object)  #: the Labels layer
    changed = Signal()  #: more was found, or less is there
    previewed = Signal()  #: the preview is another one

    def __init__(self, viewer: ViewerModel, prompts: PromptLayers, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._prompts = viewer, prompts
        self._preview: Labels | None = None
        self._stack: Stack | None = None
        self._candidates: dict[int, Candidates] = {}  #: on one frame, by object
        self._written: set[int] = set()  #: frames that are not drawn yet
        self._labels: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._refresh)

    def candidates(self, stack: Stack, object_id: int, frame: int) -> Candidates | None:
        """Give an object's preview on a frame."""
        found = self._candidates.get(object_id) if stack.same_place(self._stack) else None
        return found if found is not None and found.frame == frame else None

    def preview(self, stack: Stack, candidates: Candidates) -> None:
        """Show the best candidate, with those of other objects on the same frame."""
        if not stack.same_place(self._stack):
            self._candidates.clear()
        self._stack = stack
        kept = {i: c for i, c in self._candidates.items() if c.frame == candidates.frame}
        self._candidates = {**kept, candidates.best.object_id: candidates}
        self._draw(candidates.frame, candidates.shape)

    def is_mine(self, layer: Layer) -> bool:
        """Whether a layer shows what was found."""
        if layer is self._preview or layer in self._prompts.given.layers():
            return True
        return self._labels is not None and isinstance(layer, Labels) and shows(layer, self._labels)

    def forget(self, *object_ids: int) -> None:
        """Take objects out of the preview."""
        gone = [self._candidates.pop(i) for i in object_ids if i in self._candidates]
        if gone:
            self._draw(gone[0].frame, gone[0].shape)

    def keep(self, prompts: Mapping[int, Mapping[int, object]]) -> None:
        """Take out what has no prompts any more; they are given by object and frame."""
        gone = [i for i, c in self._candidates.items() if c.frame not in prompts.get(i, {})]
        self.forget(*gone)

    def forget_all(self) -> None:
        """Empty the preview."""
        self.forget(*list(self._candidates))

    def layers(self) -> list[Labels]:
        """Give the layers that are there: of labels, and of the preview."""
        preview = self._preview if self._preview in self._viewer.layers else None
        return [one for one in (self._layer_of(self._labels), preview) if one is not None]

    @property
    def labels_layer(self) -> Labels | None:
        """The layer of the session's labels, if it is there."""
        return self._layer_of(self._labels)

    def show_labels(self, stack: Stack, labels: Any) -> None:
        """Show the session's labels, on a new layer if need be, and draw them anew."""
        layer = self._layer_of(labels)
        if layer is None:
            layer = new_labels(stack, lay(labels, stack.channel_axis), LABELS_NAME)
            self.insert(layer)
        self._labels = labels
        align(layer, stack)
        layer.refresh()
        self.labels_shown.emit(layer)
        self.changed.emit()

    def begin(self, stack: Stack, labels: Any) -> None:
        """Expect frames of results."""
        self._stack = (
            stack if self._stack is None or not stack.same_place(self._stack) else self._stack
        )
        self.show_labels(stack, labels)

    def take(self, stack: Stack, masks: FrameMasks) -> None:
        """Show a frame of results soon."""
        if self._layer_of(self._labels) is None:
            self.show_labels(stack, self._labels)
        done = [i for i, c in self._candidates.items() if c.frame == masks.frame]
        self.forget(*(i for i in done if i in masks.object_ids))
        self._written.add(masks.frame)
        self.changed.emit()
        if not self._timer.isActive():
            self._timer.start()

    def let_go(self, image: Image) -> None:
        """Forget previews of an image that is removed."""
        if self._stack is not None and self._stack.image is image:
            self._candidates.clear()
            self._stack = self._labels = None
            self.previewed.emit()

    def refresh_all(self) -> None:
        """Draw the labels soon, whatever frame is shown."""
        self.changed.emit()
        if self._stack is not None:
            self._written.update(range(self._stack.n_frames))
            self._timer.start()

    def close(self) -> None:
        """Draw no more."""
        self._timer.stop()

    def _refresh(self) -> None:
        written, self._written = self._written, set()
        layer, stack = self._layer_of(self._labels), self._stack
        if layer is None or stack is None or stack.image not in self._viewer.layers:
            return
        if any(stack.is_shown(self._viewer.dims, frame) for frame in written):
            layer.refresh()

    def _draw(self, frame: int, shape: tuple[int, int]) -> None:
        stack = self._stack
        self.previewed.emit()
        if stack is None or stack.image not in self._viewer.layers:
            return
        masks = tuple(one.best for one in self._candidates.values())
        write_preview(self._preview_layer(stack), stack, FrameMasks(frame, shape, masks))

    def _preview_layer(self, stack: Stack) -> Labels:
        layer = self._preview
        if layer is not None and layer in self._viewer.layers:
            if layer.data.shape == preview_shape(stack):
                align(layer, stack)
                return layer
            self._viewer.layers.remove(layer)
        self._preview = fresh = new_preview(stack, PREVIEW_NAME)
        self.insert(fresh)
        return fresh

    def _layer_of(self, labels: Any) -> Labels | None:
        """Find the layer that shows these labels, whatever it is called by now."""
        for layer in self._viewer.layers:
            if labels is not None and isinstance(layer, Labels) and shows(layer, labels):
                return layer
        return None

    def insert(self, layer: Layer) -> None:
        """Add a layer below preview and prompts, and leave the tool in the user's hand."""
        layers = self._viewer.layers
        active = layers.selection.active
        prompts = (*self._prompts.layers(), *self._prompts.given.layers())
        over = (self._preview if layer is not self._preview else None, *prompts)
        above = [layers.index(one) for one in over if one in layers]
        layer.opacity = OPACITY
        layers.insert(min(above, default=len(layers)), layer)
        layers.selection.active = active
