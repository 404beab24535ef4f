"""Frames out of any array, one at a time, as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """How an array is looked at."""

    axis: int = 0  #: the axis that is played through; "time", but it may be z, y or x
    #: Position on every other axis that is not seen, by axis; negative ones count from its end.
    held: Mapping[int, int] | None = None
    rgb: bool | None = None  #: whether the last axis is colour; guessed unless given
    contrast_limits: tuple[float, float] | None = None  #: shown as black and white
    gamma: float = 1.0  #: exponent after the contrast limits, as in napari
    inverted: bool = False  #: whether low values are shown bright


class FrameSource:
    """Reads single frames from an array.

    Nothing is read before it is asked for, and nothing is kept.

    Parameters
    ----------
    data : array-like
        (..., Y, X), or (..., Y, X, 3 or 4) in colour; a single image is a stack of one
        frame. Any real dtype and byte order. The two axes that are neither played through
        nor held are rows and columns.
    view : View, optional
        Axes and contrast. Without contrast limits, 8-bit colour is shown as it is, and
        anything else between the 0.1 and 99.9 percentiles of a few of its frames.

    Raises
    ------
    ValueError
        If the array has no pixels, is complex, or does not leave two axes for rows and
        columns.
    """

    def __init__(self, data: ArrayLike, view: View | None = None) -> None:
        view = view or View()
        self.data = data
        self.rgb = _is_rgb(data) if view.rgb is None else view.rgb
        self.n_axes = len(data.shape) - self.rgb
        _check(data, self.n_axes)
        self.axis = None if self.n_axes == 2 else self._positive(view.axis)
        held = {self._positive(axis): int(i) for axis, i in (view.held or {}).items()}
        held = {axis: self._held_position(axis, i) for axis, i in held.items()}
        seen = [axis for axis in range(self.n_axes) if axis not in held and axis != self.axis]
        if len(seen) != 2:
            raise ValueError(
                f"Shape {tuple(data.shape)}, played along axis {view.axis}, leaves axes {seen}; "
                "expected rows and columns. Hold every other axis at a position."
            )
        self.held = held
        self.seen = (seen[0], seen[1])
        self.gamma = view.gamma
        self.inverted = view.inverted
        self._given_limits = view.contrast_limits

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return 1 if self.axis is None else int(self.data.shape[self.axis])

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame, in pixels."""
        rows, columns = self.seen
        return int(self.data.shape[rows]), int(self.data.shape[columns])

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of labels for the whole array: its own, without colour."""
        return tuple(int(n) for n in self.data.shape[: self.n_axes])

    @cached_property
    def contrast_limits(self) -> tuple[float, float]:
        """What is shown as black and as white; sampled when first needed unless given."""
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
        low, high = self.contrast_limits
        pixels = self._raw(frame, region)
        with np.errstate(over="ignore", invalid="ignore"):
            shown = (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
        shown = np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
        if self.gamma != 1:
            shown = shown**self.gamma
        if self.inverted:
            shown = 1 - shown
        if not self.rgb:
            shown = np.broadcast_to(shown[..., None], (*shown.shape, 3))
        return np.ascontiguousarray(shown, dtype=np.float32)

    def _raw(
        self, frame: int, region: Region = EVERYTHING
    ) -> np.ndarray:  # (H, W), or (H, W, 3) in colour
        index = list(self.index(frame))
        for axis, part in zip(self.seen, region, strict=True):
            index[axis] = part
        try:
            pixels = np.asarray(self.data[tuple(index)])
        except Exception as error:  # whatever a lazy array's storage may raise
            raise FrameError(f"Frame {frame} could not be read: {error}") from error
        # float64 first where single precision would merge neighbouring values.
        exact = 2 if pixels.dtype.kind in "iu" else 4
        wide = pixels.dtype.itemsize > exact
        pixels = pixels.astype(np.float64 if wide else np.float32)
        return pixels[..., :3] if self.rgb else pixels

    def _sample_limits(self) -> tuple[float, float]:
        if self.data.dtype == bool:
            return 0.0, 1.0
        if self.rgb and self.data.dtype == np.uint8:
            return 0.0, 255.0
        frames = np.linspace(0, self.n_frames - 1, min(SAMPLED_FRAMES, self.n_frames)).astype(int)
        height, width = self.shape
        step = max(1, round((height * width / SAMPLED_PIXELS) ** 0.5))
        values = np.concatenate([self._raw(int(f))[::step, ::step].ravel() for f in frames])
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 1.0
        low, high = np.percentile(values, SAMPLED_PERCENTILES)
        return float(low), float(high)

    def _held_position(self, axis: int, position: int) -> int:
        if axis == self.axis:
            raise ValueError(f"Axis {axis} is played through; it cannot be held at {position}.")
        length = int(self.data.shape[axis])
        if not -length <= position < length:
            raise ValueError(
                f"Axis {axis} cannot be held at {position}; it has {length} positions."
            )
        return position % length

    def _positive(self, axis: int) -> int:
        if not -self.n_axes <= axis < self.n_axes:
            raise ValueError(f"There is no axis {axis} in an array of {self.n_axes} axes.")
        return axis % self.n_axes


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
