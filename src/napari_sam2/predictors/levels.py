"""Which array of a pyramid frames are read from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.predictors.frames import ArrayLike


def choose_level(data: ArrayLike | Sequence[ArrayLike], level: int) -> ArrayLike:
    """Give one level of a pyramid, or an array as it is.

    Parameters
    ----------
    data : array-like, sequence of array-like, or zarr group
        A sequence is a pyramid, the full resolution first, as napari has it. A group is one if
        its attributes say so as OME-Zarr's do (``multiscales``); tifffile's stores of pyramids
        open as such.
    level : int
        0 is the full resolution; negative ones count from the smallest.

    Raises
    ------
    ValueError
        If that is no pyramid, or has no such level.
    """
    levels = _levels(data)
    if levels is None:
        if not (hasattr(data, "shape") and hasattr(data, "dtype")):
            raise ValueError(
                f"Expected an array, got {type(data).__name__}. Open a store with zarr.open, "
                "anything else with np.asarray."
            )
        if level:
            raise ValueError(
                f"There is no level {level}: the data are one array, not a pyramid. Leave the "
                "level out."
            )
        array: ArrayLike = data
        return array
    if not -len(levels) <= level < len(levels):
        raise ValueError(f"There is no level {level}; the pyramid has {len(levels)} levels.")
    return levels[level]


def _levels(data: Any) -> Sequence[ArrayLike] | None:
    """Give the levels of a pyramid; None for an array."""
    if hasattr(data, "array_keys"):  # a zarr group
        return [data[path] for path in _paths(data)]
    if not isinstance(data, Sequence):
        return None
    shapes = [tuple(getattr(one, "shape", ())) for one in data]
    if not shapes or not all(shapes):
        kinds = sorted({type(one).__name__ for one in data})
        raise ValueError(
            f"Expected an array, or the arrays of a pyramid; got a {type(data).__name__} of "
            f"{', '.join(kinds) or 'nothing'}. Make an array of it: np.asarray(data)."
        )
    for large, small in pairwise(shapes):
        if len(large) != len(small) or large == small or any(map(int.__lt__, large, small)):
            raise ValueError(
                f"A list of arrays is a pyramid, each level smaller than the one before; got "
                f"shapes {large} and {small}. To make frames a stack: np.stack(frames)."
            )
    return data


def _paths(group: Any) -> list[str]:
    attributes = dict(group.attrs)
    pyramids = attributes.get("ome", attributes).get("multiscales")
    if not pyramids:
        raise ValueError(
            f"The zarr group is no pyramid: its attributes have no multiscales. Give one of its "
            f"arrays: {sorted(group.array_keys())}."
        )
    return [one["path"] for one in pyramids[0]["datasets"]]
