"""Points and shapes that say of each prompt whose it is, and of which sign."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes

from napari_sam2._controls.owners import is_owned, own
from napari_sam2._layers import placed
from napari_sam2._locating import move_onto
from napari_sam2._reading import CANDIDATE, NO_CANDIDATE, OBJECT, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sam2._controls.drawing import Drawing
    from napari_sam2._layers import Stack

GREEN, RED = "#00b10c", "#d30700"
NAMES = {Points: "SAM 2 points", Shapes: "SAM 2 shapes"}


def add_drawings(layer: Points | Shapes, drawings: Sequence[Drawing]) -> None:
    """Draw prompts, and say whose they are; all at once, as the layer is drawn anew each time."""
    if isinstance(layer, Points):
        layer.add(np.concatenate([drawing.vertices for drawing in drawings]))
    else:
        kinds = [drawing.kind for drawing in drawings]
        layer.add([drawing.vertices for drawing in drawings], shape_type=kinds)
    columns: dict[str, list[Any]] = {
        OBJECT: [drawing.object_id for drawing in drawings],
        POSITIVE: [drawing.positive for drawing in drawings],
        CANDIDATE: [drawing.candidate for drawing in drawings],
    }
    cells = {name: np.array(layer.features[name]) for name in columns if name in layer.features}
    for name, column in cells.items():
        column[-len(drawings) :] = columns[name]
    set_columns(layer, cells)
    layer.selected_data = set()


def check_fit(layer: Points | Shapes, stack: Stack) -> None:
    """Refuse a layer that cannot say of prompts whose they are, and where."""
    if not has_columns(layer):
        raise ValueError(f"{layer.name!r} has no columns {OBJECT!r} and {POSITIVE!r}")
    if layer.ndim != stack.image.ndim:
        raise ValueError(f"{layer.name!r} has {layer.ndim} axes, the image {stack.image.ndim}")


def moved_onto(
    layer: Points | Shapes, stack: Stack, drawings: Sequence[Drawing]
) -> Sequence[Drawing]:
    """Express what is in the image's pixels in those of a layer: the user's own lies anywhere."""
    if is_owned(layer):
        return drawings
    move = partial(move_onto, layer, stack.image)
    return [replace(drawing, vertices=move(drawing.vertices)) for drawing in drawings]


def count_drawn(layer: Points | Shapes) -> int:
    """Count the points or shapes of a layer."""
    return int(layer.nshapes) if isinstance(layer, Shapes) else len(layer.data)


def has_columns(layer: Any) -> bool:
    """Whether a layer says of each prompt whose it is, and of which sign."""
    return {OBJECT, POSITIVE} <= set(layer.features)


def next_on(layer: Any) -> dict[str, Any]:
    """Give the object and the sign of what is drawn next on a layer."""
    defaults = layer.feature_defaults.iloc[0]
    return {OBJECT: int(defaults[OBJECT]), POSITIVE: bool(defaults[POSITIVE])}


def set_next(layer: Any, values: Mapping[str, Any]) -> None:
    """Say whose the next prompt on a layer is, and of which sign, whatever else it has."""
    if not has_columns(layer):
        return
    kept = dict(layer.feature_defaults.iloc[0])
    # What was chosen for one point is not meant for the next.
    wanted = {**kept, CANDIDATE: NO_CANDIDATE, **values}
    fitting = {name: wanted[name] for name in kept}
    if kept != fitting:
        layer.feature_defaults = fitting


def set_column(layer: Any, name: str, values: np.ndarray) -> None:
    """Replace a feature of all prompts of a layer; colours follow."""
    set_columns(layer, {name: values})


def set_columns(layer: Any, columns: Mapping[str, np.ndarray]) -> None:
    """Replace features of all prompts of a layer, all at once; colours follow."""
    features = layer.features.copy()
    for name, values in columns.items():
        features[name] = values
    layer.features = features
    layer.refresh_colors()


def new_layer(kind: type, stack: Stack, defaults: dict[str, Any]) -> Points | Shapes:
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
    own(layer, image)
    return layer
