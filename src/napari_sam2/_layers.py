"""How image layers are played, and layers that lie on them: alone knows world coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import label_colormap
from napari.utils.transforms import Affine

from napari_sam2.predictors.frames import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari.components import Dims
    from napari.layers import Image, Layer

    from napari_sam2.prompts import FrameMasks

PREVIEW_DTYPE = np.dtype(np.uint16)


@dataclass(frozen=True, eq=False)
class Stack:
    """An image layer as it is played: along one axis, with all others but two held."""

    image: Image
    data: Any  #: what the layer shows; of a pyramid, the full resolution
    view: View

    @property
    def axis(self) -> int | None:
        """The axis that is played; None for a single image."""
        return None if self.image.ndim == 2 else self.view.axis

    @property
    def held(self) -> Mapping[int, int]:
        """Position on every axis that is neither played nor seen."""
        return self.view.held or {}

    @cached_property
    def seen(self) -> tuple[int, int]:
        """The axes of rows and columns."""
        axes = range(self.image.ndim)
        rows, columns = (i for i in axes if i not in self.held and i != self.axis)
        return rows, columns

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return 1 if self.axis is None else int(self.data.shape[self.axis])

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame, in pixels."""
        rows, columns = self.seen
        return int(self.data.shape[rows]), int(self.data.shape[columns])

    def same_place(self, other: Stack | None) -> bool:
        """Whether pixels of frames are the same pixels in the other."""
        return (
            other is not None
            and self.image is other.image
            and self.data is other.data
            and (self.axis, self.held) == (other.axis, other.held)
        )

    def same_pixels(self, other: Stack | None) -> bool:
        """Whether the model would see the same."""
        return other is not None and self.same_place(other) and self.view == other.view

    def current_frame(self, dims: Dims) -> int:
        """Give the frame that the viewer is at."""
        if self.axis is None:
            return 0
        return _position(self.image, self.data, dims)[self.axis]

    def is_shown(self, dims: Dims, frame: int) -> bool:
        """Whether the viewer shows the frame, or part of it."""
        played = None if self.axis is None else self.axis + dims.ndim - self.image.ndim
        return played in dims.displayed or self.current_frame(dims) == frame


def read_stack(image: Image, dims: Dims, axis: int = 0) -> Stack:
    """Read how an image layer is looked at.

    Parameters
    ----------
    image : Image
    dims : Dims
        The viewer's; axes that are neither played nor displayed are held where it is.
    axis : int
        The axis to play.
    """
    data = image.data[0] if image.multiscale else image.data
    offset = dims.ndim - image.ndim
    others = [i for i in range(image.ndim) if i != axis or image.ndim == 2]
    # Displayed axes are rows and columns; where that leaves a choice, the last ones are.
    ranked = sorted(others, key=lambda i: (i + offset in dims.displayed, i))
    at = _position(image, data, dims)
    # napari applies neither contrast limits nor gamma to colour.
    limits = (0.0, 1.0) if np.dtype(data.dtype).kind == "f" else None
    if not image.rgb:
        low, high = image.contrast_limits
        limits = (float(low), float(high))
    view = View(
        axis=axis,
        held={i: at[i] for i in sorted(ranked[:-2])},
        rgb=image.rgb,
        contrast_limits=limits,
        gamma=1.0 if image.rgb else float(image.gamma),
        inverted=not image.rgb and _shows_low_bright(image),
    )
    return Stack(image, data, view)


def _shows_low_bright(image: Image) -> bool:
    first, last = image.colormap.map(np.array([0.0, 1.0]))[:, :3].sum(axis=1)
    return bool(first > last)


def go_to(image: Image, dims: Dims, at: Mapping[int, int]) -> None:
    """Bring the viewer to positions on some of the image's axes, given by axis."""
    inside = np.array(image.world_to_data(dims.point), dtype=float)
    inside[list(at)] = list(at.values())
    world = image.data_to_world(inside)
    for axis in at:
        dims.set_point(axis + dims.ndim - image.ndim, world[axis])


def alignment(image: Image) -> dict[str, Any]:
    """Give the arguments that place a new layer exactly on the image."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine.affine_matrix,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def label_colors() -> Any:
    """Give the colours of objects: bright ones first, none of them the prompts' red or green."""
    return label_colormap(49, seed=0.57)


def new_labels(stack: Stack, data: Any, name: str) -> Labels:
    """Make a layer for results, on the image."""
    return Labels(data, name=name, colormap=label_colors(), **alignment(stack.image))


def new_preview(stack: Stack, name: str) -> Labels:
    """Make an empty layer for one frame; see `write_preview`."""
    shape = [1] * stack.image.ndim
    for axis, size in zip(stack.seen, stack.shape, strict=True):
        shape[axis] = size
    return new_labels(stack, np.zeros(shape, PREVIEW_DTYPE), name)


def write_preview(layer: Labels, stack: Stack, masks: FrameMasks) -> None:
    """Put masks into a layer of one frame, and the layer where the frame is."""
    image = stack.image
    origin = np.zeros(image.ndim)
    for axis, position in stack.held.items():
        origin[axis] = position
    if stack.axis is not None:
        origin[stack.axis] = masks.frame
    place = Affine(
        scale=image.scale,
        translate=image.translate,
        rotate=image.rotate,
        shear=image.shear,
        ndim=image.ndim,
    )
    layer.data = masks.labels(PREVIEW_DTYPE).reshape(layer.data.shape)
    layer.translate = place(origin)


def align(layer: Labels, image: Image) -> None:
    """Follow an image that was moved or scaled since the layer was made."""
    for name, value in alignment(image).items():
        if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
            setattr(layer, name, value)


def locate(
    stack: Stack, dims: Dims, layer: Layer, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Express positions in a layer's data as frames, pixels (N, 2), and whether on held planes."""
    image = stack.image
    world = np.tile(np.asarray(dims.point, dtype=float), (len(positions), 1))
    matrix, offset = _linear(layer.data_to_world, layer.ndim)
    # A layer of fewer axes lies in the last ones; on the others it is where the viewer is.
    world[:, dims.ndim - layer.ndim :] = np.asarray(positions) @ matrix.T + offset
    matrix, offset = _linear(image.world_to_data, image.ndim)
    inside = world[:, dims.ndim - image.ndim :] @ matrix.T + offset
    whole = _whole(inside)
    frames = np.zeros(len(whole), dtype=int) if stack.axis is None else whole[:, stack.axis]
    here = np.all([whole[:, i] == at for i, at in stack.held.items()], axis=0)
    return frames, inside[:, stack.seen], np.broadcast_to(here, len(whole))


def _linear(
    convert: Callable[[np.ndarray], Iterable[float]], ndim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give the matrix and offset of a layer's conversion, so that points need no loop."""
    offset = np.array(tuple(convert(np.zeros(ndim))), dtype=float)
    columns = [np.array(tuple(convert(unit)), dtype=float) - offset for unit in np.eye(ndim)]
    return np.stack(columns, axis=1), offset


def _position(image: Image, data: Any, dims: Dims) -> list[int]:
    """Give the pixel that the viewer is at, on every axis."""
    inside = _whole(np.asarray(image.world_to_data(dims.point)))
    return [int(i) for i in np.clip(inside, 0, np.array(data.shape[: image.ndim]) - 1)]


def _whole(positions: np.ndarray) -> np.ndarray:
    """Round to the pixel that a position lies in; centres are at integers."""
    return np.floor(positions + 0.5).astype(int)
