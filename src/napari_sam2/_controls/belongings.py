"""What is each image's own: the objects that are listed, and what is drawn of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari_sam2._controls.owners import bring_back, is_owned, is_with, own, owner_of, put_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari.layers import Image, Layer

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.object_table import Listed
    from napari_sam2._controls.tools import Tools


@dataclass(frozen=True, eq=False)
class Kept:
    """What was listed of an image when another one was chosen, and where it was drawn."""

    listed: Listed
    drawn_on: Mapping[type, Any]  #: the chosen layer of each kind


class Belongings:
    """Puts away what is an image's own when another one is chosen, and brings it back.

    Objects of two images have nothing to do with each other, although they bear the same numbers:
    a prompt is of the image that it was drawn for. Layers of the user's own stay chosen, and so
    does everything where the image is gone that it was of: another one has taken its place.

    Parameters
    ----------
    parts : Parts
    tools : Tools
    """

    def __init__(self, parts: Parts, tools: Tools) -> None:
        self._viewer, self._panels, self._tools = parts.viewer, parts.panels, tools
        self._layers, self._painting = parts.layers, parts.painting
        self._kept: WeakKeyDictionary[Image, Kept] = WeakKeyDictionary()
        self._image: ReferenceType[Image] | None = None  #: whose objects are listed
        self._panels.image.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        image, stack = self._panels.image.image(), self._panels.image.shown()
        earlier = None if self._image is None else self._image()
        tool = ""
        if image is not None and image is not earlier:
            self._image = ref(image)
            tool = self._exchange(earlier, image)
        self._layers.given.look_at(image)
        if stack is not None:
            self._painting.look_at(stack)
        if tool:
            self._tools.take(tool)

    def _exchange(self, earlier: Image | None, image: Image) -> str:
        """Show what is an image's own; give the tool that was in hand, if it is to be taken up."""
        kept = self._kept.pop(image, None)
        is_left = earlier is not None and earlier in self._viewer.layers
        tool = self._tools.in_hand if is_left or kept is not None else ""
        if tool:
            self._tools.put_down()
        if earlier is not None and is_left:
            self._put_away(earlier)
        if kept is not None:
            self._panels.objects.list_again(kept.listed)
        elif is_left:
            self._panels.objects.show_only({})
        self._choose_layers(image, kept)
        for layer in self._owned_by(image):
            bring_back(layer)
        return tool

    def _put_away(self, image: Image) -> None:
        drawn_on = {kind: picker.layer() for kind, picker in self._pickers.items()}
        self._kept[image] = Kept(self._panels.objects.listed(), drawn_on)
        for layer in self._owned_by(image):
            put_away(layer)

    def _choose_layers(self, image: Image, kept: Kept | None) -> None:
        for kind, picker in self._pickers.items():
            layer = self._fitting(image, kind) if kept is None else kept.drawn_on[kind]
            if layer is not None and layer not in self._viewer.layers:
                layer = None
            picker.pick(layer)
            if layer is not None and is_owned(layer):
                own(layer, image)

    def _fitting(self, image: Image, kind: type) -> Any:
        """Find the layer to draw on for an image that was not worked on, in this dock."""
        ours = [layer for layer in self._owned_by(image) if isinstance(layer, kind)]
        chosen = self._pickers[kind].layer()
        if ours or chosen is None:
            return ours[-1] if ours else None
        return None if is_with(chosen, self._viewer) else chosen

    def _owned_by(self, image: Image) -> Iterator[Layer]:
        return (layer for layer in list(self._viewer.layers) if owner_of(layer) is image)

    @property
    def _pickers(self) -> Mapping[type, Any]:
        return self._panels.prompts.pickers
