"""Which image a layer of prompts was made for, whichever dock made it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

#: Not on the layers themselves: they would be saved, copied, and keep images that are gone.
_OWNERS: WeakKeyDictionary[Layer, ReferenceType[Image]] = WeakKeyDictionary()
_PUT_AWAY: WeakSet[Layer] = WeakSet()


def own(layer: Layer, image: Image) -> None:
    """Note that a layer is drawn on for an image."""
    _OWNERS[layer] = ref(image)


def disown(layer: Layer) -> None:
    """Leave a layer to the user."""
    _OWNERS.pop(layer, None)


def is_owned(layer: Layer) -> bool:
    """Whether a layer was made for an image, which may be gone."""
    return layer in _OWNERS


def owner_of(layer: Layer) -> Image | None:
    """Give the image that a layer was made for; None for the user's own, or if it is gone."""
    found = _OWNERS.get(layer)
    return None if found is None else found()


def is_with(layer: Layer, viewer: ViewerModel) -> bool:
    """Whether the image that a layer was made for is still there."""
    image = owner_of(layer)
    return image is not None and image in viewer.layers


def put_away(layer: Layer) -> None:
    """Hide a layer until it is brought back."""
    if layer.visible:
        layer.visible = False
        _PUT_AWAY.add(layer)


def bring_back(layer: Layer) -> None:
    """Show a layer that was put away, and none that the user has hidden."""
    if layer in _PUT_AWAY:
        _PUT_AWAY.discard(layer)
        layer.visible = True
