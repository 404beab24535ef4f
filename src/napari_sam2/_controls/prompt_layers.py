"""The layers that prompts are drawn on: made, followed, edited."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.drawing import draw
from napari_sam2._controls.given_masks import GivenMasks, part_masks
from napari_sam2._layers import placed
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

    from napari_sam2._controls.drawing import Drawing
    from napari_sam2._controls.layer_picker import LayerPicker
    from napari_sam2._layers import Stack
    from napari_sam2.prompts import Prompt

GREEN, RED = "#00b10c", "#d30700"
NAMES = {Points: "SAM 2 points", Shapes: "SAM 2 shapes"}
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
        if self._followed[kind] is None:
            layer = _new_layer(kind, stack, self._next)
            self._viewer.add_layer(layer)
            self._pickers[kind].pick(layer)
        layer = self._followed[kind]
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
        drawings: dict[type, list[Drawing]] = {kind: [] for kind in self._followed}
        parted = [(place, *part_masks(one)) for place, one in ((stack, prompts), *others)]
        self.given.hold([(place, masks) for place, masks, _ in parted])
        for drawing in chain.from_iterable(draw(place, drawable) for place, _, drawable in parted):
            drawings[Points if drawing.kind == "point" else Shapes].append(drawing)
        for kind, drawn in drawings.items():
            layer = None
            if drawn:
                layer = _new_layer(kind, stack, self._next)
                _add_drawings(layer, drawn)
                self._set_defaults(layer)
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
            self._set_defaults(layer)

    def flip_selected(self) -> bool:
        """Change the sign of selected prompts; tell whether there were any."""
        flipped = False
        for layer in self.layers():
            # A point that was just added is selected too, but it is not meant.
            selected = list(layer.selected_data) if layer.mode in {"select", "direct"} else []
            if selected and _has_columns(layer):
                signs = np.array(column(layer, POSITIVE, True))
                signs[selected] = ~signs[selected]
                _set_column(layer, POSITIVE, signs)
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
            _set_column(points, CANDIDATE, chosen)
            self._set_defaults(points)

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
        if shapes is None or not _has_columns(shapes):
            return
        for index in extra_boxes(stack, self._viewer.dims, shapes, default):
            owners = column(shapes, OBJECT, default)
            owners[index] = begin()
            _set_column(shapes, OBJECT, np.array(owners))

    def remove(self, stack: Stack, object_id: int, frame: int | None = None) -> None:
        """Remove an object's prompts, from one frame or from all."""
        for layer in self.layers():
            found = prompts_of(stack, self._viewer.dims, layer, object_id, frame)
            if found:
                layer.selected_data = set(found)
                layer.remove_selected()
        self.given.remove(stack, (object_id,), frame)

    def add(self, stack: Stack, prompts: Mapping[int, Mapping[int, Sequence[Prompt]]]) -> None:
        """Draw further prompts, given by object and frame, on layers that are there."""
        for drawing in draw(stack, prompts):
            kind = Points if drawing.kind == "point" else Shapes
            if (layer := self._followed[kind]) is not None:
                _add_drawing(layer, drawing)

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
                _set_column(layer, OBJECT, owners)

    def remove_objects(self, stack: Stack, object_ids: Collection[int]) -> None:
        """Remove all prompts of some objects, and those of no one by name."""
        gone = set(object_ids)
        self.given.remove(stack, gone)
        for layer in self.layers():
            owners = column(layer, OBJECT, min(gone))
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

    def _adopt(self, kind: type) -> None:
        """Go on with the layer of an earlier dock."""
        named = [layer for layer in self._viewer.layers if layer.name == NAMES[kind]]
        for layer in named:
            if isinstance(layer, kind) and _has_columns(layer):
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
            self._set_defaults(layer)
            self._sizes[kind] = _size(layer)
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

    def _set_defaults(self, layer: Any) -> None:
        if _has_columns(layer) and dict(layer.feature_defaults.iloc[0]) != (
            fitting := _fitting(layer, self._next)
        ):
            layer.feature_defaults = fitting

    def _keep_defaults(self, event: Any) -> None:
        """Follow the object of points that are selected, but not their sign."""
        if not _has_columns(event.source):
            return
        if _defaults(event.source) != self._next:
            self.object_picked.emit(_defaults(event.source)[OBJECT])
        self._set_defaults(event.source)

    def _tell_edited(self, event: Any = None) -> None:
        if self._is_hand_down:
            self._is_edited = True
        else:
            self.edited.emit()

    def _notice_pasted(self, event: Any) -> None:
        """Notice points that come from the clipboard, of which napari tells nobody."""
        kind = Shapes if isinstance(event.source, Shapes) else Points
        size = _size(event.source)
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


def _add_drawings(layer: Points | Shapes, drawings: Sequence[Drawing]) -> None:
    # All at once: the layer is drawn anew each time that something is added.
    if isinstance(layer, Points):
        layer.add(np.concatenate([drawing.vertices for drawing in drawings]))
    else:
        kinds = [drawing.kind for drawing in drawings]
        layer.add([drawing.vertices for drawing in drawings], shape_type=kinds)
    _set_column(layer, OBJECT, np.array([drawing.object_id for drawing in drawings]))
    _set_column(layer, POSITIVE, np.array([drawing.positive for drawing in drawings]))
    if CANDIDATE in layer.features:
        chosen = [NO_CANDIDATE if d.candidate is None else d.candidate for d in drawings]
        _set_column(layer, CANDIDATE, np.array(chosen))
    layer.selected_data = set()


def _add_drawing(layer: Points | Shapes, drawing: Drawing) -> None:
    if isinstance(layer, Points):
        layer.add(drawing.vertices)
    else:
        layer.add([drawing.vertices], shape_type=[drawing.kind])
    for name, value in (
        (OBJECT, drawing.object_id),
        (POSITIVE, drawing.positive),
        (CANDIDATE, drawing.candidate),
    ):
        if name in layer.features:
            values = np.array(layer.features[name])
            values[-1] = value
            _set_column(layer, name, values)
    layer.selected_data = set()


def _size(layer: Points | Shapes) -> int:
    return int(layer.nshapes) if isinstance(layer, Shapes) else len(layer.data)


def _has_columns(layer: Any) -> bool:
    return {OBJECT, POSITIVE} <= set(layer.features)


def _defaults(layer: Any) -> dict[str, Any]:
    defaults = layer.feature_defaults.iloc[0]
    return {OBJECT: int(defaults[OBJECT]), POSITIVE: bool(defaults[POSITIVE])}


def _fitting(layer: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Give defaults for all features of a layer, whatever else it has, and no others.

    What was chosen for one point is not meant for the next.
    """
    kept = dict(layer.feature_defaults.iloc[0])
    wanted = {**kept, CANDIDATE: NO_CANDIDATE, **values}
    return {name: wanted[name] for name in kept}


def _set_column(layer: Any, name: str, values: np.ndarray) -> None:
    features = layer.features.copy()
    features[name] = values
    layer.features = features
    layer.refresh_colors()


def _new_layer(kind: type, stack: Stack, defaults: dict[str, Any]) -> Points | Shapes:
    """Make an empty layer, in the image's pixels."""
    image, edge = stack.image, min(stack.shape)
    features = {OBJECT: np.empty(0, dtype=int), POSITIVE: np.empty(0, dtype=bool)}
    first: dict[str, Any] = {OBJECT: defaults[OBJECT], POSITIVE: True}
    if kind is Points:
        features[CANDIDATE] = np.empty(0, dtype=int)
        first[CANDIDATE] = NO_CANDIDATE
    common = {
        "ndim": image.ndim,
        "name": NAMES[kind],
        "features": features,
        # The first value to be seen gets the first colour of a Shapes layer.
        "feature_defaults": first,
        **placed(stack),
    }
    if kind is Shapes:
        layer = Shapes(
            None,
            edge_color=POSITIVE,
            edge_color_cycle=[GREEN, RED],
            face_color="transparent",
            edge_width=edge / 200,
            **common,
        )
    else:
        layer = Points(
            None,
            face_color=POSITIVE,
            face_color_cycle={True: GREEN, False: RED},
            border_color="white",
            border_width=0.12,
            size=edge / 40,
            # No lower limit: napari draws an empty frame as one point of size 0.
            canvas_size_limits=(0, 16),
            **common,
        )
    layer.feature_defaults = {**first, **defaults}
    return layer
