"""Points and shapes that say of each prompt whose it is, and of which sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes

from napari_sam2._controls.owners import own
from napari_sam2._layers import placed
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
    for name, values in (
        (OBJECT, [drawing.object_id for drawing in drawings]),
        (POSITIVE, [drawing.positive for drawing in drawings]),
        (CANDIDATE, [drawing.candidate for drawing in drawings]),
    ):
        if name in layer.features:
            cells = np.array(layer.features[name])
            cells[-len(drawings) :] = values
            set_column(layer, name, cells)
    layer.selected_data = set()


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
    features = layer.features.copy()
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
