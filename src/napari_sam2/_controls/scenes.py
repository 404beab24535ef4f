"""What the user has drawn and listed at one moment: kept, compared, and shown again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari.components import ViewerModel

    from napari_sam2._controls.given_masks import GivenMasks, Held
    from napari_sam2._controls.layer_picker import LayerPicker
    from napari_sam2._controls.object_table import ObjectTable
    from napari_sam2._controls.painting import Paint, Painting

LOOKS = {Points: ("size", "symbol", "border_width", "shown"), Shapes: ("edge_width", "z_index")}
COLORS = {Points: ("face", "border"), Shapes: ("face", "edge")}


@dataclass(frozen=True, eq=False)
class Drawn:
    """Everything that is on a prompt layer."""

    layer: Any
    vertices: Sequence[np.ndarray]  #: of points one array
    kinds: tuple[str, ...]  #: of shapes
    features: Any  #: a table
    looks: dict[str, Any]
    colors: dict[str, np.ndarray]  #: that no feature gives

    @classmethod
    def on(cls, layer: Points | Shapes, before: Drawn | None = None) -> Drawn:
        """Copy what is on a layer, but for what is as it was before."""
        old = before or Drawn(None, (), (), None, {}, {})
        kind = Shapes if isinstance(layer, Shapes) else Points
        pairs = zip_longest(layer.data, old.vertices[: len(layer.data)])
        return cls(
            layer,
            tuple(_keep(*pair) for pair in pairs)
            if isinstance(layer, Shapes)
            else _keep(layer.data, old.vertices),
            tuple(layer.shape_type) if isinstance(layer, Shapes) else (),
            old.features if layer.features.equals(old.features) else layer.features.copy(),
            {name: _keep(getattr(layer, name), old.looks.get(name)) for name in LOOKS[kind]},
            {
                name: _keep(getattr(layer, f"{name}_color"), old.colors.get(name))
                for name in COLORS[kind]
                if str(getattr(layer, f"{name}_color_mode")) == "direct"
            },
        )

    def sizes(self) -> dict[int, int]:
        """Give the bytes of all that takes room, by its identity."""
        of_shapes = self.vertices if isinstance(self.vertices, tuple) else (self.vertices,)
        columns = (*of_shapes, *self.looks.values(), *self.colors.values())
        sizes = {id(one): np.asarray(one).nbytes for one in columns}
        return {**sizes, id(self.features): int(self.features.memory_usage().sum())}

    def same(self, other: Drawn | None) -> bool:
        """Whether the same prompts are on both."""
        if other is None:
            return not len(self.vertices)
        alike = len(self.vertices) == len(other.vertices) and self.kinds == other.kinds
        return (
            alike
            and _same_vertices(self.vertices, other.vertices)
            and (not len(self.vertices) or self.features.equals(other.features))
        )

    def show(self) -> None:
        """Put everything on the layer again, and nothing else."""
        layer = self.layer
        layer.selected_data = set()
        if isinstance(layer, Shapes):
            _replace_shapes(layer, self)
        else:
            # A copy, as napari moves points within the array that it has.
            layer.data = np.array(self.vertices).reshape(-1, layer.ndim)
            layer.features = self.features
            for name, value in self.looks.items() if len(self.vertices) else ():
                if not np.array_equal(getattr(layer, name), value):  # each has all drawn anew
                    setattr(layer, name, value)
        for name, colors in self.colors.items() if len(self.vertices) else ():
            setattr(layer, f"{name}_color", colors)
        if len(self.vertices):
            layer.refresh_colors()
        layer.refresh()


@dataclass(frozen=True, eq=False)
class Scene:
    """The prompts on all layers, and the objects."""

    drawn: Mapping[type, Drawn | None]  #: by kind of layer
    paint: Paint | None  #: but for strokes of the brush
    names: Mapping[int, str]
    current: int  #: the current object
    given: Held | None  #: masks that are not drawn

    def relisted(self, changed: Mapping[int, str], gone: Collection[int]) -> Scene:
        """Give the same with some objects named otherwise, or added, and others not listed."""
        names = {i: name for i, name in self.names.items() if i not in gone}
        return replace(self, names={**names, **changed})

    def size_beside(self, other: Scene) -> int:
        """Give the bytes of what is drawn, but for what both have in common."""
        here, there = (
            {
                k: n
                for one in scene.drawn.values()
                if one is not None
                for k, n in one.sizes().items()
            }
            for scene in (self, other)
        )
        return sum(size for key, size in here.items() if key not in there)

    def same(self, other: Scene) -> bool:
        """Whether the same is drawn and listed; which object is the current one is no matter."""
        listed = list(self.names.items()) == list(other.names.items())
        painted = _same_paint(self.paint, other.paint) and self.given is other.given
        drawn = (_alike(self.drawn[kind], other.drawn[kind]) for kind in self.drawn)
        return listed and painted and all(drawn)


def _alike(one: Drawn | None, other: Drawn | None) -> bool:
    """Compare layers; where there is none, there are no prompts."""
    return one.same(other) if one is not None else other is None or not len(other.vertices)


def _same_paint(before: Paint | None, after: Paint | None) -> bool:
    if before is None:  # there was no layer; on a new one, strokes are undone one by one
        return after is None or after.place == 0 or not after.is_there
    if after is None:  # likewise, where another image was chosen meanwhile
        return before.is_blank or not before.is_there
    return before == after or (before.is_blank and after.is_blank)


def _emptied(drawn: Drawn | None) -> Drawn | None:
    if drawn is None:
        return None
    return Drawn(drawn.layer, (), (), drawn.features.iloc[:0], {}, {})


def take_scene(
    pickers: Mapping[type, LayerPicker],
    painting: Painting,
    objects: ObjectTable,
    given: GivenMasks,
    before: Scene | None = None,
) -> Scene:
    """Copy what is drawn and listed now, but for what is as it was before."""
    layers = {kind: picker.layer() for kind, picker in pickers.items()}
    earlier = {} if before is None else before.drawn
    drawn = {
        kind: None if layer is None else Drawn.on(layer, earlier.get(kind))
        for kind, layer in layers.items()
    }
    return Scene(drawn, painting.state(), dict(objects.names()), objects.current(), given.held)


def show_scene(
    scene: Scene,
    viewer: ViewerModel,
    pickers: Mapping[type, LayerPicker],
    painting: Painting,
    objects: ObjectTable,
    given: GivenMasks,
) -> None:
    """Draw and list what was there, and nothing else; a layer that was removed comes back."""
    if dict(objects.names()) != dict(scene.names):
        objects.show_only(scene.names)
    for kind, picker in pickers.items():
        drawn, layer = scene.drawn[kind], picker.layer()
        if drawn is None:
            drawn = None if layer is None else _emptied(Drawn.on(layer))
        if drawn is None:
            continue
        if drawn.layer not in viewer.layers:
            active = viewer.layers.selection.active
            viewer.add_layer(drawn.layer)
            viewer.layers.selection.active = active or drawn.layer
        if layer is not drawn.layer:
            picker.pick(drawn.layer)
        if not drawn.same(Drawn.on(drawn.layer)):
            drawn.show()
    given.restore(scene.given)
    if not _same_paint(scene.paint, painting.state()):
        painting.restore(scene.paint)
    objects.make_current(scene.current)


def tell_change(before: Scene, after: Scene) -> str:
    """Say in a few words what was done."""
    added = [name for i, name in after.names.items() if i not in before.names]
    gone = [name for i, name in before.names.items() if i not in after.names]
    if gone:
        return f"remove {_several(gone)}"
    counts = {
        "mask": _n_given(after) - _n_given(before),
        "point": _size(after, Points) - _size(before, Points),
        "shape": _size(after, Shapes) - _size(before, Shapes),
    }
    for what, n in counts.items():
        if n:
            verb, number = ("add" if n > 0 else "remove"), abs(n)
            return f"{verb} a {what}" if number == 1 else f"{verb} {number} {what}s"
    if added and _same_paint(before.paint, after.paint):
        return f"add {_several(added)}"
    if not _same_paint(before.paint, after.paint):
        return _tell_paint(before.paint, after.paint)
    for object_id, name in after.names.items():
        if name != before.names[object_id]:
            return f"rename {before.names[object_id]} to {name}"
    return "change a prompt"


def _tell_paint(before: Paint | None, after: Paint | None) -> str:
    if after is None or not after.is_there:
        return "remove what is painted"
    gain = after.gain - (before.gain if before is not None else 0)
    return "paint with labels" if gain > 0 else "clear what is painted"


def _several(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} objects"


def _size(scene: Scene, kind: type) -> int:
    drawn = scene.drawn[kind]
    return 0 if drawn is None else len(drawn.vertices)


def _n_given(scene: Scene) -> int:
    held = scene.given or ()
    return sum(len(by_frame) for _, masks in held for by_frame in masks.values())


def _replace_shapes(layer: Shapes, drawn: Drawn) -> None:
    if layer.nshapes:
        layer.selected_data = set(range(layer.nshapes))
        layer.remove_selected()
    if len(drawn.vertices):
        layer.add(list(drawn.vertices), shape_type=list(drawn.kinds), **drawn.looks)
        layer.features = drawn.features


def _same_vertices(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    if isinstance(some, np.ndarray) and isinstance(others, np.ndarray):
        return np.array_equal(some, others)
    return all(map(np.array_equal, some, others))


def _keep(value: Any, earlier: Any) -> Any:
    """Give what was there earlier if it is the same, or else a copy."""
    if earlier is not None and np.array_equal(value, earlier):
        return earlier
    return list(value) if isinstance(value, list) else np.array(value)
