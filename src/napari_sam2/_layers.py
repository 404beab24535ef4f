"""How image layers are played, and layers that lie on them: alone knows world coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

import numpy as np
from napari.layers import Labels
from napari.utils.transforms import Affine

from napari_sam2._label_layers import label_colors
from napari_sam2.predictors.channels import SideBySide
from napari_sam2.predictors.frames import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import Dims
    from napari.layers import Image

    from napari_sam2.prompts import FrameMasks

PREVIEW_DTYPE = np.dtype(np.uint16)


@dataclass(frozen=True)
class Channels:
    """What the model sees as red, green and blue: of one image, or of several of one shape."""

    axis: int | None = None  #: of the image layer
    positions: tuple[int, ...] = ()  #: on it
    layers: tuple[Image, ...] = ()  #: instead of an axis


@dataclass(frozen=True, eq=False)
class Stack:
    """An image layer as it is played: along one axis, with all others but two held.

    Axes are those of the layer; only the view counts them without that of the channels.
    """

    image: Image
    whole: Any  #: the layer's data when it was read; of a pyramid, the full resolution
    data: Any  #: what the model sees of it, or of other layers beside it
    view: View
    channel_axis: int | None = None  #: of the layer
    layers: tuple[Image, ...] = ()  #: that are seen as its channels, if there are several

    @cached_property
    def layer_shape(self) -> tuple[int, ...]:
        """Shape of the layer's data, without colour."""
        return tuple(int(n) for n in self.whole.shape[: self.image.ndim])

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of labels for all of it: without colour and channels."""
        return tuple(n for i, n in enumerate(self.layer_shape) if i != self.channel_axis)

    @property
    def laid_shape(self) -> tuple[int, ...]:
        """Shape of labels with an axis of length 1 for channels, if any; see `lay`."""
        return tuple(1 if i == self.channel_axis else n for i, n in enumerate(self.layer_shape))

    @property
    def axis(self) -> int | None:
        """The axis that is played; None for a single image."""
        return None if len(self.label_shape) == 2 else self._on_layer(self.view.axis)

    @cached_property
    def held(self) -> Mapping[int, int]:
        """Position on every axis that is neither played nor seen."""
        return {self._on_layer(axis): at for axis, at in (self.view.held or {}).items()}

    @cached_property
    def seen(self) -> tuple[int, int]:
        """The axes of rows and columns."""
        others = {*self.held, self.axis, self.channel_axis}
        rows, columns = (i for i in range(self.image.ndim) if i not in others)
        return rows, columns

    @property
    def which(self) -> tuple[ReferenceType[Image], int | None]:
        """Which axis of which layer is played, to compare; does not keep the layer."""
        return ref(self.image), self.axis

    @property
    def label_seen(self) -> tuple[int, int]:
        """The axes of rows and columns in labels for all of it."""
        left_out = self.channel_axis
        rows, columns = (i - (left_out is not None and i > left_out) for i in self.seen)
        return rows, columns

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return 1 if self.axis is None else int(self.layer_shape[self.axis])

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame, in pixels."""
        rows, columns = self.seen
        return int(self.layer_shape[rows]), int(self.layer_shape[columns])

    def index(self, frame: int) -> tuple[int | slice, ...]:
        """Give the index of a frame in a layer of labels; see `lay`."""
        at = {self.axis: frame, self.channel_axis: 0}
        return tuple(
            self.held.get(axis, at.get(axis, slice(None))) for axis in range(self.image.ndim)
        )

    def same_layer(self, other: Stack) -> bool:
        """Whether it is the same data of the same layer, played in whatever way."""
        return (
            self.image is other.image
            and self.whole is other.whole
            and self.channel_axis == other.channel_axis
        )

    def same_position(self, other: Stack) -> bool:
        """Whether frames are the same part of the layer, whatever the model sees there."""
        return self.same_layer(other) and (self.axis, self.held) == (other.axis, other.held)

    def same_place(self, other: Stack | None) -> bool:
        """Whether pixels of frames are the same pixels in the other."""
        return (
            other is not None
            and self.same_position(other)
            and (self.data is other.data or _are_same(self.data, other.data))
        )

    def elsewhere(self, axis: int, held: Mapping[int, int]) -> Stack:
        """Give the same seen in the same way at another place, as the view counts axes."""
        return replace(self, view=replace(self.view, axis=axis, held=held))

    def same_pixels(self, other: Stack | None) -> bool:
        """Whether the model would see the same."""
        return other is not None and self.same_place(other) and self.view == other.view

    def current_frame(self, dims: Dims) -> int:
        """Give the frame that the viewer is at."""
        if self.axis is None:
            return 0
        return _position(self.image, dims)[self.axis]

    def is_held(self, dims: Dims) -> bool:
        """Whether the viewer is where the axes that are held are."""
        at = _position(self.image, dims)
        return all(at[axis] == position for axis, position in self.held.items())

    def is_shown(self, dims: Dims, frame: int) -> bool:
        """Whether the viewer shows the frame, or part of it."""
        played = None if self.axis is None else self.axis + dims.ndim - self.image.ndim
        return played in dims.displayed or self.current_frame(dims) == frame

    def _on_layer(self, axis: int) -> int:
        """Give the layer's axis for one that is counted without that of the channels."""
        return axis if self.channel_axis is None or axis < self.channel_axis else axis + 1


def read_stack(image: Image, dims: Dims, axis: int = 0, channels: Channels | None = None) -> Stack:
    """Read how an image layer is looked at.

    Parameters
    ----------
    image : Image
    dims : Dims
        The viewer's; axes that are neither played nor displayed are held where it is.
    axis : int
        The axis to play, of the layer.
    channels : Channels, optional
        What is red, green and blue; the image alone, grey or in its own colours, unless given.

    Raises
    ------
    ValueError
        If layers to be seen together differ in shape.
    """
    channels = channels or Channels()
    offset, left_out = dims.ndim - image.ndim, channels.axis
    spatial = [i for i in range(image.ndim) if i != left_out]
    others = [i for i in spatial if i != axis or len(spatial) == 2]
    # Displayed axes are rows and columns; where that leaves a choice, the last ones are.
    ranked = sorted(others, key=lambda i: (i + offset in dims.displayed, i))
    at = _position(image, dims)
    view = View(
        axis=spatial.index(axis) if axis in spatial else 0,
        held={spatial.index(i): at[i] for i in sorted(ranked[:-2])},
        rgb=image.rgb,
        contrast_limits=_limits(image),
        gamma=_gamma(image),
        inverted=not image.rgb and _shows_low_bright(image),
    )
    whole = data = full(image)
    if left_out is not None:
        view = replace(view, channel_axis=left_out, channels=channels.positions)
    elif len(channels.layers) > 1:
        data = SideBySide([full(layer) for layer in channels.layers])
        pairs = tuple(_limits(layer) or (0.0, 1.0) for layer in channels.layers)
        gammas = tuple(_gamma(layer) for layer in channels.layers)
        view = replace(
            view,
            channel_axis=0,
            channels=tuple(range(len(pairs))),
            contrast_limits=pairs,
            gamma=gammas[0] if len(set(gammas)) == 1 else gammas,
            inverted=False,
        )
    return Stack(image, whole, data, view, left_out, channels.layers)


def full(image: Image) -> Any:
    """Give the pixels of an image layer; of a pyramid, the full resolution."""
    return image.data[0] if image.multiscale else image.data


def _are_same(one: Any, other: Any) -> bool:
    return isinstance(one, SideBySide) and one.is_same(other)


def _limits(image: Image) -> tuple[float, float] | None:
    if image.rgb:  # napari applies neither contrast limits nor gamma to colour
        return (0.0, 1.0) if np.dtype(full(image).dtype).kind == "f" else None
    low, high = image.contrast_limits
    return float(low), float(high)


def _gamma(image: Image) -> float:
    return 1.0 if image.rgb else float(image.gamma)


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


def flat_alignment(stack: Stack) -> dict[str, Any]:
    """Do as `alignment`, for what has no axis of channels where the image has one."""
    given, left_out, ndim = alignment(stack.image), stack.channel_axis, stack.image.ndim
    if left_out is None:
        return given
    kept = [axis for axis in range(ndim) if axis != left_out]
    place = _place(stack).set_slice(kept)
    return {
        "scale": place.scale,
        "translate": place.translate,
        "rotate": place.rotate,
        "shear": place.shear,
        "affine": np.asarray(given["affine"])[np.ix_([*kept, ndim], [*kept, ndim])],
        "units": tuple(given["units"][axis] for axis in kept),
        "axis_labels": tuple(given["axis_labels"][axis] for axis in kept),
    }


def placed(stack: Stack) -> dict[str, Any]:
    """Do as `alignment`, for a layer that is seen with every channel.

    Of channels it has one, as thick as all of theirs.
    """
    given = alignment(stack.image)
    if stack.channel_axis is not None:
        given["scale"] = _thick(stack)
        given["translate"] = _place(stack)(_origin(stack))
    return given


def new_labels(stack: Stack, data: Any, name: str) -> Labels:
    """Make a layer for results, on the image; of a shape with an axis for channels, if any."""
    return Labels(data, name=name, colormap=label_colors(), **placed(stack))


def new_preview(stack: Stack, name: str) -> Labels:
    """Make an empty layer for one frame; see `write_preview`."""
    return new_labels(stack, np.zeros(preview_shape(stack), PREVIEW_DTYPE), name)


def preview_shape(stack: Stack) -> tuple[int, ...]:
    """Give the shape of a layer for one frame."""
    shape = [1] * stack.image.ndim
    for axis, size in zip(stack.seen, stack.shape, strict=True):
        shape[axis] = size
    return tuple(shape)


def write_preview(layer: Labels, stack: Stack, masks: FrameMasks) -> None:
    """Put masks into a layer of one frame, and the layer where the frame is."""
    write_frame(layer, stack, masks.frame, masks.labels(PREVIEW_DTYPE))


def write_frame(layer: Labels, stack: Stack, frame: int, labels: np.ndarray) -> None:
    """Put labels (H, W) into a layer of one frame, and the layer where the frame is.

    What napari does for a new array, or a layer that was moved, takes ten times as long as to
    draw it: neither is said where it is not so.
    """
    origin = _origin(stack)
    for axis, position in stack.held.items():
        origin[axis] = position
    if stack.axis is not None:
        origin[stack.axis] = frame
    layer.data[...] = labels.reshape(layer.data.shape)
    place = _place(stack)(origin)
    if np.array_equal(layer.translate, place):
        layer.refresh(extent=False)
    else:
        layer.translate = place


def align(layer: Labels, stack: Stack) -> None:
    """Follow an image that was moved or scaled since the layer was made."""
    for name, value in placed(stack).items():
        if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
            setattr(layer, name, value)


def _thick(stack: Stack) -> np.ndarray:
    """Give the scale of a layer whose one channel is as thick as all of the image."""
    scale = np.array(stack.image.scale, dtype=float)
    if stack.channel_axis is not None:
        scale[stack.channel_axis] *= stack.layer_shape[stack.channel_axis]
    return scale


def _origin(stack: Stack) -> np.ndarray:
    """Give the first pixel of the image, in the middle of its channels."""
    origin = np.zeros(stack.image.ndim)
    if stack.channel_axis is not None:
        origin[stack.channel_axis] = (stack.layer_shape[stack.channel_axis] - 1) / 2
    return origin


def _place(stack: Stack) -> Affine:
    """Give where the image has its pixels, but for its affine."""
    image = stack.image
    return Affine(
        scale=image.scale,
        translate=image.translate,
        rotate=image.rotate,
        shear=image.shear,
        ndim=image.ndim,
    )


def pixel_at(stack: Stack, world: Sequence[float]) -> tuple[float, float] | None:
    """Give (row, column) on a frame of a place in the viewer's world; None beside the image."""
    image = stack.image
    inside = np.array(image.world_to_data(world[-image.ndim :]), dtype=float)
    row, column = (float(inside[axis]) for axis in stack.seen)
    height, width = stack.shape
    is_inside = -0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5
    return (row, column) if is_inside else None


def _position(image: Image, dims: Dims) -> list[int]:
    """Give the pixel that the viewer is at, on every axis."""
    inside = nearest_pixels(np.asarray(image.world_to_data(dims.point)))
    return [int(i) for i in np.clip(inside, 0, np.array(full(image).shape[: image.ndim]) - 1)]


def nearest_pixels(positions: np.ndarray) -> np.ndarray:
    """Round to the pixel that a position lies in; centres are at integers."""
    return np.floor(positions + 0.5).astype(int)
