"""What tests of layers do alike."""

from __future__ import annotations

import numpy as np
from napari.components import Dims

from napari_sam2._layers import read_stack
from napari_sam2._reading import read_prompts

SQUARE = np.array([[3.0, 2.0], [3.0, 9.0], [7.0, 9.0], [7.0, 2.0]])
RIGHT = np.array([0.0, 5.0])


def stack_of(image, frame=0, **kwargs):
    """Give a stack and the dims of a viewer that is at a frame of its first axis."""
    dims = Dims(ndim=image.ndim)
    world = image.data_to_world((frame, *[0] * (image.ndim - 1)))
    # Wide enough for any position; a viewer would take it from its layers.
    dims.range = [(-1e6, 1e6, 1e-6)] * image.ndim
    dims.point = world
    return read_stack(image, dims, **kwargs), dims


def in_world(image, vertices, frame=2):
    """Give vertices in a frame's pixels in the world."""
    return np.array([image.data_to_world((frame, *vertex)) for vertex in vertices])


def read(layer, image, object_id=1, **kwargs):
    stack, dims = stack_of(image, **kwargs)
    return read_prompts(stack, dims, [layer], object_id).prompts
