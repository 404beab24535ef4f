"""Layers that a session was opened without are its channels again, once they are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_sam2._layers import Channels, full

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2._controls.image_picker import ImagePicker
    from napari_sam2._controls.session_opening import Opened


class MissingLayers:
    """Waits for images by their names, and has them seen as the channels that they were.

    Parameters
    ----------
    viewer : ViewerModel
    images : ImagePicker
        Knows the image that is worked on, and chooses what is seen beside it.
    """

    def __init__(self, viewer: ViewerModel, images: ImagePicker) -> None:
        self._viewer, self._images = viewer, images
        self._image: ReferenceType[Image] | None = None  #: whose channels are missing
        #: In their order: a layer that is there, or the name of one that is not.
        self._slots: list[ReferenceType[Image] | str] = []
        viewer.layers.events.inserted.connect(self._notice)

    def expect(self, image: Image, opened: Opened) -> None:
        """Wait for the layers that a session was opened without, if any are missing."""
        self._image, self._slots = ref(image), []
        if not opened.advice:
            return
        layers = [one for one in self._viewer.layers if isinstance(one, Image)]
        for channel in opened.session.source.channels:
            name, part = opened.parts[channel]
            there = next((one for one in layers if full(one) is part), None)
            self._slots.append(name if there is None else ref(there))

    def shut(self) -> None:
        """Wait for nothing more."""
        self._viewer.layers.events.inserted.disconnect(self._notice)

    def _notice(self, event: Any) -> None:
        layer, image = event.value, None if self._image is None else self._image()
        if layer.name not in self._slots or image is None or not isinstance(layer, Image):
            return
        if not layer.rgb and full(layer).shape == full(image).shape:
            self._slots[self._slots.index(layer.name)] = ref(layer)
            # Whoever offers layers is to know of this one.
            QTimer.singleShot(0, self._choose)

    def _choose(self) -> None:
        slots = (None if isinstance(one, str) else one() for one in self._slots)
        layers = tuple(one for one in slots if one is not None and one in self._viewer.layers)
        if self._image is not None and self._images.image() is self._image() and len(layers) > 1:
            self._images.channels.choose(Channels(layers=layers))
