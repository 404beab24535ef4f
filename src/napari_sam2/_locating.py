"""Where what is drawn on one layer lies in the pixels of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._layers import nearest_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.components import Dims
    from napari.layers import Layer

    from napari_sam2._layers import Stack


class Locator:
    """Expresses positions in a layer's data in a stack's own pixels.

    The layers' conversions are taken as matrices once: for many shapes that are located one by
    one, they would take longer than all else.

    Parameters
    ----------
    stack : Stack
    dims : Dims
        The viewer's.
    layer : Layer
        One of fewer axes than the image lies in the last ones; on the others it is where the
        viewer is.
    """

    def __init__(self, stack: Stack, dims: Dims, layer: Layer) -> None:
        self._stack, image = stack, stack.image
        self._held = list(stack.held), np.array(list(stack.held.values()), dtype=int)
        self._to_world = _linear(layer.data_to_world, layer.ndim)
        self._to_image = _linear(image.world_to_data, image.ndim)
        self._point = np.asarray(dims.point, dtype=float)
        self._first = dims.ndim - layer.ndim, dims.ndim - image.ndim

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the frames, the pixels (N, 2), and whether they are on the held planes."""
        layer_from, image_from = self._first
        world = np.tile(self._point, (len(positions), 1))
        matrix, offset = self._to_world
        world[:, layer_from:] = np.asarray(positions) @ matrix.T + offset
        matrix, offset = self._to_image
        inside = world[:, image_from:] @ matrix.T + offset
        pixels, played = nearest_pixels(inside), self._stack.axis
        frames = np.zeros(len(pixels), dtype=int) if played is None else pixels[:, played]
        axes, at = self._held
        return frames, inside[:, self._stack.seen], (pixels[:, axes] == at).all(axis=1)


def move_onto(layer: Layer, image: Layer, positions: np.ndarray) -> np.ndarray:
    """Express positions in an image's pixels (N, D) in the data of a layer of as many axes."""
    (to_world, world), (to_layer, origin) = (
        _linear(image.data_to_world, image.ndim),
        _linear(layer.world_to_data, layer.ndim),
    )
    moved: np.ndarray = (positions @ to_world.T + world) @ to_layer.T + origin
    return moved


def _linear(
    convert: Callable[[np.ndarray], Iterable[float]], ndim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give the matrix and offset of a layer's conversion, so that points need no loop."""
    offset = np.array(tuple(convert(np.zeros(ndim))), dtype=float)
    columns = [np.array(tuple(convert(unit)), dtype=float) - offset for unit in np.eye(ndim)]
    return np.stack(columns, axis=1), offset
