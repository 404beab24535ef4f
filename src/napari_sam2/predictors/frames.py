"""Frames out of any array, one at a time, as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sam2.predictors.channels import (
    Limits,
    as_colours,
    choose_channels,
    limits_of_each,
    stretch,
)
from napari_sam2.predictors.levels import choose_level
from napari_sam2.prompts import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Region = tuple[slice, slice]  #: rows and columns of a frame
EVERYTHING: Region = (slice(None), slice(None))

SAMPLED_FRAMES = 5  #: looked at for contrast limits that were not given
SAMPLED_PIXELS = 500_000  #: of each such frame, about
SAMPLED_PERCENTILES = (0.1, 99.9)


class ArrayLike(Protocol):
    """What a stack must offer: numpy, dask, zarr, memmap and h5py arrays do."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, index: Any) -> Any: ...


class Frames(Protocol):
    """What the engine asks of the frames it works on."""

    @property
    def n_frames(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def read(self, frame: int, region: Region = ..., /) -> np.ndarray: ...


class FrameError(ValueError):
    """A frame could not be read; the reason is its cause."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How an array is looked at.

    Axes are counted without that of the channels, as those of the labels are.
    """

    axis: int = 0  #: the axis that is played through; "time", but it may be z, y or x
    #: Position on every other axis that is not seen, by axis; negative ones count from its end.
    held: Mapping[int, int] | None = None
    rgb: bool | None = None  #: whether the last axis is colour; guessed unless given
    #: Shown as black and white: one pair, or one for each channel.
    contrast_limits: Limits | Sequence[Limits] | None = None
    #: Exponent after the contrast limits, as in napari: one, or one for each channel.
    gamma: float | tuple[float, ...] = 1.0
    inverted: bool = False  #: whether low values are shown bright
    level: int = 0  #: of a pyramid: 0 is the full resolution
    channel_axis: int | None = None  #: an axis of the array that holds channels
    #: Positions on it that are shown red, green and blue; the first three unless given.
    channels: Sequence[int] | None = None


class FrameSource:
    """Reads single frames from an array.

    Nothing is read before it is asked for, and nothing is kept.

    Parameters
    ----------
    data : array-like, or sequence of array-like
        (..., Y, X), or (..., Y, X, 3 or 4) in colour, or with channels on any axis; a single
        image is a stack of one frame. Any real dtype and byte order. The two axes that are
        neither played through nor held are rows and columns. A sequence, or a zarr group with
        levels, is a pyramid: see `View`.
    view : View, optional
        Axes and contrast. Without contrast limits, 8-bit colour is shown as it is, and
        anything else, each channel by itself, between the 0.1 and 99.9 percentiles of a few
        of its frames.

    Raises
    ------
    ValueError
        If the array has no pixels, is complex, has no such level or channel, or does not
        leave two axes for rows and columns.
    """

    def __init__(self, data: ArrayLike | Sequence[ArrayLike], view: View | None = None) -> None:
        view = view or View()
        self.data = data = choose_level(data, view.level)
        self.channel_axis = _channel_axis(data, view)
        self.rgb = self.channel_axis is None and (_is_rgb(data) if view.rgb is None else view.rgb)
        without = len(data.shape) - 1 if self.rgb else self.channel_axis
        self._shape = tuple(int(n) for i, n in enumerate(data.shape) if i != without)
        self.n_axes = len(self._shape)
        _check(data, self.n_axes)
        self.channels: tuple[int, ...] = ()
        if self.channel_axis is not None:
            self.channels = choose_channels(int(data.shape[self.channel_axis]), view.channels)
        played = whole_number("An axis", view.axis)
        self.axis = None if self.n_axes == 2 else self._positive(played)
        held = {
            self._positive(whole_number("An axis", axis)): whole_number("A position", at)
            for axis, at in (view.held or {}).items()
        }
        held = {axis: self._held_position(axis, i) for axis, i in held.items()}
        seen = [axis for axis in range(self.n_axes) if axis not in held and axis != self.axis]
        if len(seen) != 2:
            raise ValueError(
                f"Shape {tuple(data.shape)}, played along axis {view.axis}, leaves axes {seen}; "
                "expected rows and columns. Hold every other axis at a position."
            )
        self.held = held
        self.seen = (seen[0], seen[1])
        self.view = replace(view, axis=played)
        self.gamma = view.gamma
        self.inverted = view.inverted
        self._given_limits: tuple[Limits, ...] = ()
        if view.contrast_limits is not None:
            self._given_limits = limits_of_each(view.contrast_limits, len(self.channels) or 1)

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return 1 if self.axis is None else self._shape[self.axis]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame, in pixels."""
        rows, columns = self.seen
        return self._shape[rows], self._shape[columns]

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of labels for the whole array: its own, without colour and channels."""
        return self._shape

    @property
    def contrast_limits(self) -> Limits:
        """What is shown as black and as white; of channels, in the first."""
        return self.limits[0]

    @cached_property
    def limits(self) -> tuple[Limits, ...]:
        """What is shown as black and as white, in each channel; sampled unless given."""
        return self._given_limits or self._sample_limits()

    def index(self, frame: int) -> tuple[int | slice, ...]:
        """Give the index of a frame's pixels in labels for the whole array."""
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"There is no frame {frame}; the stack has {self.n_frames}.")
        at = {**self.held, **({} if self.axis is None else {self.axis: frame})}
        return tuple(at.get(axis, slice(None)) for axis in range(self.n_axes))

    def read(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read one frame, or a region of it, as the model sees it.

        Parameters
        ----------
        frame : int
        region : tuple of slice
            Its rows and columns; nothing else is asked of the array.

        Returns
        -------
        np.ndarray, shape (H, W, 3), float32
            In [0, 1]: contrast limits, gamma and inversion applied, grey repeated, infinite
            and missing values black or white.

        Raises
        ------
        IndexError
            If there is no such frame.
        FrameError
            If the array fails to give it.
        """
        pixels = self._raw(frame, region)
        if len(set(self.limits)) == 1:
            shown = stretch(pixels, self.limits[0])
        else:
            each = [stretch(pixels[..., i], one) for i, one in enumerate(self.limits)]
            shown = np.stack(each, axis=-1)
        if self.gamma != 1:
            shown = shown ** np.asarray(self.gamma, dtype=shown.dtype)
        if self.inverted:
            shown = 1 - shown
        return as_colours(shown)

    def pixels(self, frame: int) -> np.ndarray:
        """Read one frame as the array has it, without what is not shown of colour and channels.

        Raises
        ------
        FrameError
            If the array fails to give it.
        """
        return self._asked(frame, list(self.index(frame)))

    def _raw(
        self, frame: int, region: Region = EVERYTHING
    ) -> np.ndarray:  # (H, W), or (H, W, C) in colour and with channels
        index = list(self.index(frame))
        for axis, part in zip(self.seen, region, strict=True):
            index[axis] = part
        pixels = self._asked(frame, index)
        # float64 first where single precision would merge neighbouring values.
        exact = 2 if pixels.dtype.kind in "iu" else 4
        wide = pixels.dtype.itemsize > exact
        return pixels.astype(np.float64 if wide else np.float32)

    def _asked(self, frame: int, index: Sequence[int | slice]) -> np.ndarray:
        try:
            return self._ask(index)
        except Exception as error:  # whatever a lazy array's storage may raise
            raise FrameError(f"Frame {frame} could not be read: {error}") from error

    def _ask(self, index: Sequence[int | slice]) -> np.ndarray:
        """Read pixels, at an index that knows neither colour nor channels."""
        if self.channel_axis is None:
            pixels = np.asarray(self.data[tuple(index)])
            return pixels[..., :3] if self.rgb else pixels
        before, after = index[: self.channel_axis], index[self.channel_axis :]
        # One by one: a channel is a chunk of its own in most files.
        planes = [np.asarray(self.data[(*before, one, *after)]) for one in self.channels]
        return np.stack(planes, axis=-1)

    def _sample_limits(self) -> tuple[Limits, ...]:
        if self.data.dtype == bool:
            return ((0.0, 1.0),)
        if self.rgb and self.data.dtype == np.uint8:
            return ((0.0, 255.0),)
        frames = np.linspace(0, self.n_frames - 1, min(SAMPLED_FRAMES, self.n_frames)).astype(int)
        height, width = self.shape
        step = max(1, round((height * width / SAMPLED_PIXELS) ** 0.5))
        sampled = [self._raw(int(f))[::step, ::step] for f in frames]
        if not self.channels:
            return (_percentiles(sampled),)
        return tuple(
            _percentiles([one[..., i] for one in sampled]) for i in range(len(self.channels))
        )

    def _held_position(self, axis: int, position: int) -> int:
        if axis == self.axis:
            raise ValueError(f"Axis {axis} is played through; it cannot be held at {position}.")
        length = self._shape[axis]
        if not -length <= position < length:
            raise ValueError(
                f"Axis {axis} cannot be held at {position}; it has {length} positions."
            )
        return position % length

    def _positive(self, axis: int) -> int:
        if not -self.n_axes <= axis < self.n_axes:
            raise ValueError(f"There is no axis {axis} in an array of {self.n_axes} axes.")
        return axis % self.n_axes


def _percentiles(sampled: Sequence[np.ndarray]) -> Limits:
    values = np.concatenate([one.ravel() for one in sampled])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, SAMPLED_PERCENTILES)
    if low == high:  # what is not background are few pixels: no outliers, but all there is to see
        low, high = values.min(), values.max()
    return float(low), float(high)


def _channel_axis(data: ArrayLike, view: View) -> int | None:
    if view.channel_axis is None:
        if view.channels is not None:
            raise ValueError(f"On which axis are the channels {view.channels}? Give channel_axis.")
        return None
    if view.rgb:
        raise ValueError("The last axis is colour, or another one is channels; not both.")
    n_axes = len(data.shape)
    if not -n_axes <= view.channel_axis < n_axes:
        raise ValueError(f"There is no axis {view.channel_axis} in an array of {n_axes} axes.")
    return view.channel_axis % n_axes


def _is_rgb(data: ArrayLike) -> bool:
    """Guess like napari: three or four values at the end, behind larger axes."""
    shape = tuple(data.shape)
    return len(shape) > 2 and shape[-1] in {3, 4} and min(shape[-3:-1]) > 4


def _check(data: ArrayLike, n_axes: int) -> None:
    if n_axes < 2 or 0 in tuple(data.shape):
        raise ValueError(
            f"Expected an image (Y, X) or a stack of images with pixels in it, got shape "
            f"{tuple(data.shape)}."
        )
    if np.dtype(data.dtype).kind not in "biuf":
        raise ValueError(
            f"Expected real numbers, got {data.dtype}. Take the magnitude of complex data first."
        )
