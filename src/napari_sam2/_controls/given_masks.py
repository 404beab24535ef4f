"""Masks that objects were given, and nobody drew: prompts, shown as outlines on one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from scipy.ndimage import binary_erosion

from napari_sam2._layers import PREVIEW_DTYPE, new_preview, preview_shape, write_frame
from napari_sam2.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Prompt

    #: By object, then by frame.
    Masks = Mapping[int, Mapping[int, MaskPrompt]]
    #: And how the image was played, at each place. Never changed: another one takes its place.
    Held = tuple[tuple[Stack, Masks], ...]

NAME = "SAM 2 masks"
KEPT = "napari-sam2 masks"  #: what the layer is known by to later docks
OUTLINE = 2  #: pixels
OPACITY = 0.9


class GivenMasks(QObject):
    """Holds the masks that objects are prompted with, and shows those of the current frame.

    On a Shapes layer, hundreds of outlines would take seconds whenever one is added.

    Parameters
    ----------
    viewer : ViewerModel
    parent : QObject
    """

    edited = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._held: dict[Image, Held] = {}
        self._image: Image | None = None  #: whose masks are shown
        self._layer: Labels | None = None
        self._shown: Mapping[int, MaskPrompt] = {}  #: by object
        for layer in viewer.layers:  # of an earlier dock
            if KEPT in layer.metadata:
                self._layer = layer
                self._image, self._held = layer.metadata[KEPT]
        viewer.layers.events.removed.connect(self._notice_removed)
        viewer.dims.events.current_step.connect(self._show)

    @property
    def held(self) -> Held | None:
        """What is held of the image that is shown; to be compared by identity."""
        return self._held.get(self._image) if self._image is not None else None

    def layers(self) -> list[Labels]:
        """Give the layer, if it is there."""
        return [] if self._layer is None else [self._layer]

    def of(self, stack: Stack) -> Masks:
        """Give the masks of objects on the frames of a stack."""
        held = self._held.get(stack.image, ())
        return next((masks for place, masks in held if place.same_position(stack)), {})

    def look_at(self, image: Image | None) -> None:
        """Show those of another image."""
        if image is not self._image:
            self._image = image
            self._remove_layer()
            self._show()

    def hold(self, masks: Sequence[tuple[Stack, Masks]]) -> None:
        """Hold these masks, at the places of one image, and no others of it."""
        self.look_at(masks[0][0].image)
        self.restore(tuple(one for one in masks if one[1]) or None)

    def put(self, stack: Stack, masks: Masks) -> None:
        """Hold these masks on a stack's frames instead of those there."""
        held = self._held.get(stack.image, ())
        self.hold([(stack, masks), *(one for one in held if not one[0].same_position(stack))])

    def add(self, stack: Stack, masks: Masks) -> None:
        """Hold further masks on a stack's frames, instead of those of their objects there."""
        known = self.of(stack)
        both = {i: {**known.get(i, {}), **masks.get(i, {})} for i in (*known, *masks)}
        self.put(stack, both)

    def restore(self, held: Held | None) -> None:
        """Hold what was held of the image at another time."""
        if held is self.held or self._image is None:
            return
        if held is None:
            del self._held[self._image]
        else:
            self._held[self._image] = held
        self._show()
        self.edited.emit()

    def remove(self, stack: Stack, object_ids: Collection[int], frame: int | None = None) -> None:
        """Take objects out of one frame, or of all."""
        held = self._held.get(stack.image, ())
        kept = [
            (place, _without(masks, object_ids, frame))
            if frame is None or place.same_position(stack)
            else (place, masks)
            for place, masks in held
        ]
        if any(now != before for (_, now), (_, before) in zip(kept, held, strict=True)):
            self.hold(kept)

    def close(self) -> None:
        """Let go of the viewer; the layer stays, for the next dock."""
        self._viewer.layers.events.removed.disconnect(self._notice_removed)
        self._viewer.dims.events.current_step.disconnect(self._show)

    def _show(self, event: Any = None) -> None:
        """Outline what is held of the frame that the viewer is at."""
        if self.held is None:
            self._remove_layer()
            return
        here = (one for one in self.held if one[0].is_held(self._viewer.dims))
        stack, masks = next(here, (self.held[0][0], {}))
        frame = stack.current_frame(self._viewer.dims)
        shown = {i: by_frame[frame] for i, by_frame in masks.items() if frame in by_frame}
        if self._layer is not None and self._layer.data.shape != preview_shape(stack):
            self._remove_layer()
        layer = self._layer or self._add_layer(stack)
        layer.metadata[KEPT] = self._image, self._held
        # On other frames it is not seen: it lies where its masks are.
        if shown != self._shown and (shown or not self._is_elsewhere(frame)):
            write_frame(layer, stack, frame, _outlines(stack, shown))
            self._shown = shown

    def _is_elsewhere(self, frame: int) -> bool:
        return all(one.frame != frame for one in self._shown.values())

    def _add_layer(self, stack: Stack) -> Labels:
        self._layer = layer = new_preview(stack, NAME)
        self._shown = {}
        layer.opacity, layer.editable = OPACITY, False
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        return layer

    def _remove_layer(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _notice_removed(self, event: Any) -> None:
        """Forget what lay on an image that is gone; a layer takes its masks along."""
        if event.value is self._layer:
            self._layer = None
            self.restore(None)
        else:
            self._held.pop(event.value, None)


def _without(masks: Masks, object_ids: Collection[int], frame: int | None) -> Masks:
    """Leave objects out of one frame, or of all."""
    kept: dict[int, Mapping[int, MaskPrompt]] = {}
    for object_id, by_frame in masks.items():
        gone = object_id in object_ids
        left = {f: one for f, one in by_frame.items() if not (gone and frame in {None, f})}
        if left:
            kept[object_id] = left
    return kept


def part_masks(
    prompts: Mapping[int, Mapping[int, Sequence[Prompt]]],
) -> tuple[Masks, dict[int, dict[int, list[Prompt]]]]:
    """Part masks from what can be drawn, both by object and frame.

    An empty mask, which says that the object is not there, is neither.
    """
    masks: dict[int, dict[int, MaskPrompt]] = {}
    others: dict[int, dict[int, list[Prompt]]] = {}
    for object_id, by_frame in prompts.items():
        for frame, on_frame in by_frame.items():
            for prompt in on_frame:
                if not isinstance(prompt, MaskPrompt):
                    others.setdefault(object_id, {}).setdefault(frame, []).append(prompt)
                elif prompt.part.size:
                    masks.setdefault(object_id, {})[frame] = prompt
    return masks, others


def _outlines(stack: Stack, masks: Mapping[int, MaskPrompt]) -> np.ndarray:
    """Draw the edges of masks as labels; napari's own contours are found anew on each frame."""
    plane = np.zeros(stack.shape, dtype=PREVIEW_DTYPE)
    for object_id, mask in masks.items():
        (row, column), (height, width) = mask.origin, mask.part.shape
        plane[row : row + height, column : column + width][
            mask.part & ~binary_erosion(mask.part, iterations=OUTLINE)
        ] = object_id
    return plane
