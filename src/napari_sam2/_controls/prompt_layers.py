"""The layers that prompts are drawn on: made, followed, edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.drawing import by_layer, draw
from napari_sam2._controls.given_masks import GivenMasks, part_masks
from napari_sam2._controls.prompt_features import (
    NAMES,
    add_drawings,
    check_fit,
    count_drawn,
    has_columns,
    moved_onto,
    new_layer,
    next_on,
    set_column,
    set_next,
)
from napari_sam2._reading import (
    CANDIDATE,
    NO_CANDIDATE,
    OBJECT,
    POSITIVE,
    column,
    extra_boxes,
    prompts_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from napari.components import ViewerModel

    from napari_sam2._controls.layer_picker import LayerPicker
    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Prompt

#: What draws each kind of prompt: the layer, and its mode.
TOOLS = {
    "point": (Points, "add"),
    "box": (Shapes, "add_rectangle"),
    "outline": (Shapes, "add_polygon_lasso"),
    "polygon": (Shapes, "add_polygon"),
    "scribble": (Shapes, "add_path"),
}
BOXES = {"add_rectangle", "add_ellipse"}  #: modes that draw a box in one drag
DRAG = 4  #: pixels of the screen; a hand moves less when it clicks


class PromptLayers(QObject):
    """Follows one Points and one Shapes layer, made when a tool is taken up.

    Parameters
    ----------
    viewer : ViewerModel
    pickers : mapping of type to LayerPicker
        Where the user chooses layers of their own.
    """

    edited = Signal()  #: but not before the hand has let go
    click_without_box = Signal()  #: a click with the box tool, where it should have been dragged
    object_picked = Signal(int)  #: the object of points that were selected
    tool_changed = Signal(str)  #: one of `TOOLS`, or empty

    def __init__(
        self, viewer: ViewerModel, pickers: Mapping[type, LayerPicker], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._pickers = viewer, pickers
        self._followed: dict[type, Any] = dict.fromkeys(pickers)
        self._next = {OBJECT: 1, POSITIVE: True}
        self._drawn_on: Any = None  #: the layer on which a mouse button is down
        self._clicked_on: Any = None  #: the layer on which it was not moved meanwhile
        self._is_edited = False  #: meanwhile
        self._let_go = QTimer(self)
        self._let_go.setSingleShot(True)
        self._let_go.timeout.connect(self._finish_drawing)
        self._sizes: dict[type, int] = {}  #: how many points or shapes were there last
        self.given = GivenMasks(viewer, self)
        self.given.edited.connect(self.edited)
        for kind, picker in pickers.items():
            picker.picked.connect(lambda layer, kind=kind: self._follow(kind, layer))
            self._adopt(kind)
        viewer.layers.selection.events.active.connect(self._tell_tool)

    @property
    def is_drawing(self) -> bool:
        """Whether what is drawn is not done: a mouse button is down, or corners are to come."""
        shapes = self._followed[Shapes]
        return self._is_hand_down or bool(getattr(shapes, "_is_creating", False))

    @property
    def _is_hand_down(self) -> bool:
        active = self._viewer.layers.selection.active
        return self._drawn_on is not None and self._drawn_on is active

    @property
    def tool(self) -> str:
        """The tool in the hand: one of `TOOLS`, or empty."""
        active = self._viewer.layers.selection.active
        for tool, (kind, mode) in TOOLS.items():
            if active is not None and active is self._followed[kind] and active.mode == mode:
                return tool
        return ""

    def layers(self) -> list[Points | Shapes]:
        """Give the layers that are there."""
        return [layer for layer in self._followed.values() if layer is not None]

    def take_up(self, tool: str, stack: Stack) -> None:
        """Make a tool ready to draw with, and its layer if need be."""
        kind, mode = TOOLS[tool]
        layer = self._layer_for(kind, stack)
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.mode = mode

    def show_only(
        self,
        stack: Stack,
        prompts: Mapping[int, Mapping[int, Sequence[Prompt]]],
        others: Sequence[tuple[Stack, Mapping[int, Mapping[int, Sequence[Prompt]]]]] = (),
    ) -> None:
        """Go on with new layers that show these prompts, given by object and frame.

        Parameters
        ----------
        stack : Stack
        prompts : mapping
        others : sequence of (Stack, mapping)
            At other places in the same image.
        """
        parted = [(place, *part_masks(one)) for place, one in ((stack, prompts), *others)]
        self.given.hold([(place, masks) for place, masks, _ in parted])
        drawings = by_layer(d for place, _, drawable in parted for d in draw(place, drawable))
        for kind in self._followed:
            layer = None
            if drawn := drawings.get(kind):
                layer = new_layer(kind, stack, self._next)
                add_drawings(layer, drawn)
                set_next(layer, self._next)
                self._viewer.add_layer(layer)
            self._pickers[kind].pick(layer)

    def put_down(self) -> None:
        """Go back to moving the image."""
        for layer in self.layers():
            layer.mode = "pan_zoom"

    def set_next(self, object_id: int, positive: bool) -> None:
        """Say whose the next prompts are, and of which sign."""
        self._next = {OBJECT: object_id, POSITIVE: positive}
        for layer in self.layers():
            set_next(layer, self._next)

    def flip_selected(self) -> bool:
        """Change the sign of selected prompts; tell whether there were any."""
        flipped = False
        for layer in self.layers():
            # A point that was just added is selected too, but it is not meant.
            selected = list(layer.selected_data) if layer.mode in {"select", "direct"} else []
            if selected and has_columns(layer):
                signs = np.array(column(layer, POSITIVE, True))
                signs[selected] = ~signs[selected]
                set_column(layer, POSITIVE, signs)
                flipped = True
        return flipped

    def choose(self, stack: Stack, object_id: int, frame: int, candidate: int) -> None:
        """Note on an object's point which of the masks offered for it is meant."""
        points = self._followed[Points]
        if points is None:
            return
        found = prompts_of(stack, self._viewer.dims, points, object_id, frame)
        if found:
            chosen = np.array(column(points, CANDIDATE, NO_CANDIDATE))
            chosen[found] = NO_CANDIDATE
            chosen[found[0]] = candidate
            set_column(points, CANDIDATE, chosen)
            set_next(points, self._next)

    def split_boxes(self, stack: Stack, default: int, begin: Any) -> None:
        """Give every box beyond the first of an object and a frame to a new object.

        Parameters
        ----------
        stack : Stack
        default : int
            The object of boxes that do not name one.
        begin : callable
            Begins an object and gives its id.
        """
        shapes = self._followed[Shapes]
        if shapes is None or not has_columns(shapes):
            return
        for index in extra_boxes(stack, self._viewer.dims, shapes, default):
            owners = column(shapes, OBJECT, default)
            owners[index] = begin()
            set_column(shapes, OBJECT, np.array(owners))

    def remove(self, stack: Stack, object_id: int, frame: int | None = None) -> None:
        """Remove an object's prompts, from one frame or from all."""
        for layer in self.layers():
            found = prompts_of(stack, self._viewer.dims, layer, object_id, frame)
            if found:
                layer.selected_data = set(found)
                layer.remove_selected()
        self.given.remove(stack, (object_id,), frame)

    def add(self, stack: Stack, prompts: Mapping[int, Mapping[int, Sequence[Prompt]]]) -> None:
        """Draw further prompts, given by object and frame, and leave the tool in the hand."""
        masks, drawable = part_masks(prompts)
        if masks:
            self.given.add(stack, masks)
        active = self._viewer.layers.selection.active
        for kind, drawn in by_layer(draw(stack, drawable)).items():
            layer = self._layer_for(kind, stack)
            with layer.events.feature_defaults.blocker():  # nobody has picked their object
                add_drawings(layer, moved_onto(layer, stack, drawn))
                set_next(layer, self._next)
        self._viewer.layers.selection.active = active

    def check(self, stack: Stack, prompts: Mapping[int, Mapping[int, Sequence[Prompt]]]) -> None:
        """Refuse prompts if a chosen layer cannot say whose they are, and where."""
        for kind in by_layer(draw(stack, prompts)):
            if (layer := self._followed[kind]) is not None:
                check_fit(layer, stack)

    def give_to(self, stack: Stack, object_id: int, other: int) -> None:
        """Have all prompts of an object be another's."""
        masks = dict(self.given.of(stack))
        if object_id in masks:
            masks[other] = {**masks.pop(object_id), **masks.get(other, {})}
            self.given.put(stack, masks)
        for layer in self.layers():
            owners = np.array(column(layer, OBJECT, other), dtype=int)
            if OBJECT in layer.features and (owners == object_id).any():
                owners[owners == object_id] = other
                set_column(layer, OBJECT, owners)

    def remove_objects(self, stack: Stack, object_ids: Collection[int], default: int) -> None:
        """Remove all prompts of some objects; those of no one by name are the default's."""
        gone = set(object_ids)
        self.given.remove(stack, gone)
        for layer in self.layers():
            owners = column(layer, OBJECT, default)
            found = {index for index, owner in enumerate(owners) if owner in gone}
            if found:
                layer.selected_data = found
                layer.remove_selected()

    def close(self) -> None:
        """Let go of all layers."""
        self._viewer.layers.selection.events.active.disconnect(self._tell_tool)
        self._let_go.stop()
        self.given.close()
        for kind in self._followed:
            self._follow(kind, None)

    def _layer_for(self, kind: type, stack: Stack) -> Any:
        """Give the layer to draw on, made if need be."""
        if self._followed[kind] is None:
            layer = new_layer(kind, stack, self._next)
            self._viewer.add_layer(layer)
            self._pickers[kind].pick(layer)
        return self._followed[kind]

    def _adopt(self, kind: type) -> None:
        """Go on with the layer of an earlier dock."""
        named = [layer for layer in self._viewer.layers if layer.name == NAMES[kind]]
        for layer in named:
            if isinstance(layer, kind) and has_columns(layer):
                self._pickers[kind].pick(layer)

    def _follow(self, kind: type, layer: Any) -> None:
        old, self._followed[kind] = self._followed[kind], layer
        if old is not None:
            for event, handler in self._handlers(old):
                event.disconnect(handler)
            old.mouse_drag_callbacks.remove(self._watch_hand)
        if layer is not None:
            for event, handler in self._handlers(layer):
                event.connect(handler)
            layer.mouse_drag_callbacks.append(self._watch_hand)
            set_next(layer, self._next)
            self._sizes[kind] = count_drawn(layer)
        self._tell_tool()
        self.edited.emit()

    def _handlers(self, layer: Any) -> list[tuple[Any, Any]]:
        events = layer.events
        handlers = [
            (events.data, self._tell_edited),
            (events.features, self._tell_edited),
            (events.set_data, self._notice_pasted),
            (events.mode, self._tell_tool),
        ]
        if isinstance(layer, Points):
            handlers.append((events.feature_defaults, self._keep_defaults))
        return handlers

    def _keep_defaults(self, event: Any) -> None:
        """Follow the object of points that are selected, but not their sign."""
        if not has_columns(event.source):
            return
        if (chosen := next_on(event.source)) != self._next:
            self.object_picked.emit(chosen[OBJECT])
        set_next(event.source, self._next)

    def _tell_edited(self, event: Any = None) -> None:
        if self._is_hand_down:
            self._is_edited = True
        else:
            self.edited.emit()

    def _notice_pasted(self, event: Any) -> None:
        """Notice points that come from the clipboard, of which napari tells nobody."""
        kind = Shapes if isinstance(event.source, Shapes) else Points
        size = count_drawn(event.source)
        if self._sizes.get(kind) != size:
            self._sizes[kind] = size
            self._tell_edited()

    def _watch_hand(self, layer: Any, event: Any) -> Iterator[None]:
        """Follow the mouse from press to release; called by napari."""
        self._drawn_on, start = layer, np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        is_click = np.abs(np.array(event.pos) - start).max() < DRAG
        self._clicked_on, self._drawn_on = layer if is_click else None, None
        # Whatever else follows the mouse is to be done with it.
        self._let_go.start()

    def _finish_drawing(self) -> None:
        layer, self._clicked_on = self._clicked_on, None
        is_box = layer is self._followed[Shapes] and layer is not None and layer.mode in BOXES
        if is_box and layer.nshapes:
            layer.selected_data = {layer.nshapes - 1}
            layer.remove_selected()
            self.click_without_box.emit()
        if self._is_edited:
            self._is_edited = False
            self.edited.emit()

    def _tell_tool(self, event: Any = None) -> None:
        self.tool_changed.emit(self.tool)
