"""Channels as the model's red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Limits: TypeAlias = tuple[float, float]  #: shown as black and white

COLOURS = 3  #: red, green, blue


def stretch(pixels: np.ndarray, limits: Limits) -> np.ndarray:
    """Bring values between limits to [0, 1]; what is missing is black, limits that meet are, too.

    Parameters
    ----------
    pixels : np.ndarray, float
    limits : tuple of float
        Shown as black and white.

    Returns
    -------
    np.ndarray, of the same shape and type
    """
    low, high = limits
    with np.errstate(over="ignore", invalid="ignore"):
        shown = (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
    stretched: np.ndarray = np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    return stretched


def as_colours(shown: np.ndarray) -> np.ndarray:
    """Make grey, or up to three channels, red, green and blue.

    Parameters
    ----------
    shown : np.ndarray, shape (H, W), or (H, W, C)
        One channel is shown grey; of two, the blue is black.

    Returns
    -------
    np.ndarray, shape (H, W, 3), float32
    """
    if shown.ndim == 2:
        shown = shown[..., None]
    if shown.shape[2] == 1:
        shown = np.broadcast_to(shown, (*shown.shape[:2], COLOURS))
    if shown.shape[2] < COLOURS:
        shown = np.concatenate([shown, np.zeros_like(shown[..., :1])], axis=2)
    return np.ascontiguousarray(shown, dtype=np.float32)


class SideBySide:
    """Arrays of one shape as the channels of one, on a new first axis; nothing is copied.

    Parameters
    ----------
    parts : sequence of array-like

    Raises
    ------
    ValueError
        If their shapes differ.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)
        shapes = [tuple(int(n) for n in part.shape) for part in self.parts]
        if len(set(shapes)) != 1:
            raise ValueError(f"Channels are images of one shape; got {shapes}.")
        self.shape = (len(shapes), *shapes[0])
        self.dtype = np.result_type(*(part.dtype for part in self.parts))

    def __getitem__(self, index: Any) -> np.ndarray:
        channel, *others = index if isinstance(index, tuple) else (index,)
        return np.asarray(self.parts[channel][tuple(others)])

    def is_same(self, other: object) -> bool:
        """Whether it is the same arrays, in the same order."""
        return (
            isinstance(other, SideBySide)
            and len(self.parts) == len(other.parts)
            and all(a is b for a, b in zip(self.parts, other.parts, strict=True))
        )


class Blank:
    """An image that is not there, as it is seen beside others: black.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype
    """

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        black: np.ndarray = np.broadcast_to(np.zeros((), self.dtype), self.shape)
        return np.asarray(black[index])


def choose_channels(length: int, wanted: Sequence[int] | None) -> tuple[int, ...]:
    """Give the positions on the channel axis that are red, green and blue.

    Parameters
    ----------
    length : int
        Of the channel axis.
    wanted : sequence of int, optional
        Negative ones count from the end; the first three, or as many as there are, unless given.

    Raises
    ------
    ValueError
        If there are none, more than three, or one that is not there.
    """
    channels = tuple(range(min(length, COLOURS)) if wanted is None else wanted)
    if not 0 < len(channels) <= COLOURS:
        raise ValueError(
            f"The model sees one to three channels, as red, green and blue; got {channels}."
        )
    if not all(-length <= one < length for one in channels):
        raise ValueError(f"There are no channels {channels}; the channel axis has {length}.")
    return tuple(one % length for one in channels)


def limits_of_each(given: Limits | Sequence[Limits], count: int) -> tuple[Limits, ...]:
    """Give the contrast limits of each channel.

    Parameters
    ----------
    given : tuple of float, or sequence of those
        Of all channels, or of each.
    count : int
        How many channels there are.

    Raises
    ------
    ValueError
        If there are more or fewer pairs than channels.
    """
    pairs = np.array(given, dtype=float).reshape(-1, 2)
    if len(pairs) not in {1, count}:
        raise ValueError(
            f"Got contrast limits {given} for {count} channels: give one pair (low, high), or a "
            "pair for each."
        )
    each = [(low, high) for low, high in pairs.tolist()]
    return tuple(each * count if len(each) == 1 else each)
