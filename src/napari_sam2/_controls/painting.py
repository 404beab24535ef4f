"""Objects painted with a brush: the layer, and the masks that it says."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_sam2._controls.owners import disown, is_with, own, owner_of
from napari_sam2._layers import PREVIEW_DTYPE, new_labels
from napari_sam2._painted import Painted, PaintReader, copy_labels
from napari_sam2._reading import Reading

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np
    from napari.components import ViewerModel

    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Prompt

NAME = "SAM 2 paint"
BRUSHES = {"paint", "erase", "fill", "polygon"}
OPACITY = 0.6
MOST_READERS = 64  #: places in an image, of which it is kept what was read


@dataclass(frozen=True)
class Paint:
    """What was painted at one moment, but for strokes of the brush: these napari undoes."""

    layer: Labels
    place: int  #: see `Painted`
    gain: int  #: likewise
    is_there: bool  #: whether the layer is in the viewer

    @property
    def is_blank(self) -> bool:
        """Whether nothing was ever painted, by a hand either."""
        painted: Painted = self.layer.data
        return not painted.written


class Painting(QObject):
    """A layer of labels that is painted on; its pixels on a frame are masks of objects there.

    Each image has its own. It is made when the brush is taken up, or labels are taken over.

    Parameters
    ----------
    viewer : ViewerModel
    parent : QObject
    """

    edited = Signal()
    stroke_ended = Signal(object)  #: the layer on which a hand has painted
    object_picked = Signal(int)  #: the object whose colour was taken up
    tool_changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Labels | None = None
        self._removed: Labels | None = None  #: the layer, after it was removed
        self._readers: deque[PaintReader] = deque(maxlen=MOST_READERS)  #: the one in use last
        self._next = 1
        for layer in viewer.layers:  # of an earlier dock
            if _is_paint(layer):
                self._follow(layer)
        viewer.layers.selection.events.active.connect(self._tell_tool)
        viewer.layers.events.removed.connect(self._notice_removed)

    @property
    def in_hand(self) -> bool:
        """Whether the brush is what the mouse does."""
        active = self._viewer.layers.selection.active
        return self._layer is not None and active is self._layer and active.mode in BRUSHES

    @property
    def layer(self) -> Labels | None:
        """The layer that is painted on, if there is one."""
        return self._layer

    def look_at(self, stack: Stack) -> None:
        """Go on with what was painted of an image, as it is played."""
        layer, image, layers = self._layer, stack.image, self._viewer.layers
        ours = [one for one in layers if _is_paint(one) and owner_of(one) is image]
        fitting = [one for one in ours if one.data.shape == stack.laid_shape]
        if self._removed is not None and owner_of(self._removed) is not image:
            self._removed = None  # with the image, its history is gone
        if fitting and layer not in fitting:
            self._follow(fitting[-1])
        elif layer is not None and owner_of(layer) is not image:
            if is_with(layer, self._viewer):
                self._follow(None)
            else:
                own(layer, image)  # of an image that is gone

    def state(self) -> Paint | None:
        """Give what is painted now, to `restore`."""
        layer = self._layer or self._removed
        if layer is None or not isinstance(layer.data, Painted):
            return None
        return Paint(layer, layer.data.place, layer.data.gain, layer is self._layer)

    def restore(self, paint: Paint | None) -> None:
        """Take back what was painted since, or paint it again; a layer that was removed comes back.

        Strokes of the brush are napari's to undo.
        """
        if paint is None or not paint.is_there:
            if self._layer is not None:
                self._viewer.layers.remove(self._layer)
            return
        if self._layer is not paint.layer:
            self._follow(paint.layer)  # and then it may be active, with our keys
        if paint.layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._viewer.add_layer(paint.layer)
            self._viewer.layers.selection.active = active or paint.layer
        self._painted(paint.layer).go_to(paint.place)
        self.show()

    def take_up(self, stack: Stack, object_id: int) -> None:
        """Make the brush ready, with an object's colour."""
        layer = self._layer_for(stack)
        layer.visible = True
        self.set_next(object_id)
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"

    def put_down(self) -> None:
        """Go back to moving the image."""
        if self._layer is not None:
            self._layer.mode = "pan_zoom"

    def set_next(self, object_id: int) -> None:
        """Say who is painted next."""
        self._next = object_id
        if self._layer is not None and self._layer.selected_label != object_id:
            self._layer.selected_label = object_id

    def add_to(self, reading: Reading, stack: Stack) -> Reading:
        """Add what is painted to what other layers say."""
        reader = self._reader_for(stack)
        if reader is None:
            return reading
        prompts: dict[int, dict[int, tuple[Prompt, ...]]] = {
            i: dict(by_frame) for i, by_frame in reading.prompts.items()
        }
        for frame, found in reader.read().items():
            for object_id, mask in found.items():
                by_frame = prompts.setdefault(object_id, {})
                by_frame[frame] = (*by_frame.get(frame, ()), mask)
        return Reading(prompts, reading.notices)

    def copy(
        self, stack: Stack, source: Labels, frames: Sequence[int]
    ) -> Generator[int, None, None]:
        """Paint the labels of another layer, a frame a step; see `copy_labels`.

        The layer is made at once, the steps may run in another thread. Call `show` after them.
        """
        painted = self._painted(self._layer_for(stack))
        reader = self._reader_for(stack) or PaintReader(painted, stack)
        return copy_labels(stack, painted, reader, source, frames)

    def show(self) -> None:
        """Draw what was painted by other than the hand."""
        if self._layer is not None:
            self._layer.refresh()
        self.edited.emit()

    def remove(self, stack: Stack, object_id: int, frame: int | None = None) -> None:
        """Take an object out of one frame, or of all."""
        reader = self._reader_for(stack)
        if reader is not None and reader.erase(object_id, frame):
            self.show()

    def rename(self, stack: Stack, object_id: int, into: int, frames: Sequence[int]) -> None:
        """Have what is painted of an object on some frames be another's."""
        reader = self._reader_for(stack)
        if reader is not None:
            painted = reader.read()
            for frame in (f for f in frames if object_id in painted.get(f, {})):
                reader.rename(object_id, into, frame)
            self.show()

    def paint(self, stack: Stack, object_id: int, frame: int, mask: np.ndarray) -> None:
        """Paint an object's mask (H, W) on a frame."""
        active = self._viewer.layers.selection.active
        layer = self._layer_for(stack)
        self._viewer.layers.selection.active = active or layer
        if reader := self._reader_for(stack):
            reader.paint(object_id, frame, mask)
            self.show()

    def set_aside(self) -> None:
        """Leave the layer to the user; the next brush begins another."""
        for layer in (self._layer, self._removed):
            if layer is not None:
                disown(layer)
        self._follow(None)
        self._removed = None

    def close(self) -> None:
        """Let go of the layer."""
        self._viewer.layers.selection.events.active.disconnect(self._tell_tool)
        self._viewer.layers.events.removed.disconnect(self._notice_removed)
        self._follow(None)

    def _layer_for(self, stack: Stack) -> Labels:
        if self._layer is None or not self._fits(stack):
            data = Painted.empty(stack.laid_shape, PREVIEW_DTYPE, stack.axis)
            layer = new_labels(stack, data, NAME)
            layer.opacity = OPACITY
            own(layer, stack.image)
            self._follow(layer)  # and then it is active, with our keys
            self._viewer.add_layer(layer)
            return layer
        return self._layer

    def _reader_for(self, stack: Stack) -> PaintReader | None:
        if self._layer is None or not self._fits(stack):
            return None
        painted = self._painted(self._layer)
        if not (self._readers and self._readers[-1].is_of(painted, stack)):
            known = next((one for one in self._readers if one.is_of(painted, stack)), None)
            if known is not None:  # what is painted there has been read
                self._readers.remove(known)
            self._readers.append(known or PaintReader(painted, stack))
        return self._readers[-1]

    def _fits(self, stack: Stack) -> bool:
        layer = self._layer
        is_ours = layer is not None and isinstance(layer.data, Painted)  # a script may replace it
        return layer is not None and is_ours and layer.data.shape == stack.laid_shape

    @staticmethod
    def _painted(layer: Labels) -> Painted:
        painted: Painted = layer.data
        return painted

    def _follow(self, layer: Labels | None) -> None:
        old, self._layer = self._layer, layer
        self._readers.clear()
        for one, act in ((old, "disconnect"), (layer, "connect")):
            if one is not None:
                getattr(one.events.set_data, act)(self._notice)
                getattr(one.events.paint, act)(self._notice_stroke)
                getattr(one.events.mode, act)(self._tell_tool)
                getattr(one.events.selected_label, act)(self._tell_picked)
        if layer is not None:
            layer.selected_label = self._next

    def _notice(self, event: Any) -> None:
        """Tell of what was written: painted, undone, or done again."""
        painted = event.source.data
        if not isinstance(painted, Painted):
            return
        if self._readers[-1].unread if self._readers else painted.written:
            self.edited.emit()

    def _notice_stroke(self, event: Any) -> None:
        self.stroke_ended.emit(event.source)
        self._notice(event)

    def _tell_picked(self, event: Any) -> None:
        if event.source.selected_label != self._next:
            self.object_picked.emit(int(event.source.selected_label))

    def _tell_tool(self, event: Any = None) -> None:
        self.tool_changed.emit()

    def _notice_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._follow(None)
            self._removed = event.value
            self.edited.emit()


def _is_paint(layer: Any) -> bool:
    return isinstance(layer, Labels) and isinstance(layer.data, Painted)
