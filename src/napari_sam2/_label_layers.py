"""Labels as napari shows them: their colours, and arrays with an axis for channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils import CyclicLabelColormap
from napari.utils.colormaps.standardize_color import transform_color

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Labels

# fmt: off
#: Of objects, in their order: each as far as can be from those before it, and from the green and
#: red of prompts, so that these are seen on any mask.
COLORS = (
    "#ffdf00", "#4dd2ff", "#d48cff", "#ffb78c", "#0080ff", "#8cffe2", "#ff4d8f", "#bf8f00",
    "#e000e0", "#8cb7ff", "#00bfbf", "#ff8c8c", "#9469bf", "#f1ff8c", "#399ebf", "#ffbc4d",
    "#bf9469", "#ff8cd4", "#8c8cff", "#bf699f", "#009fff", "#8cf1ff", "#e0c77b", "#a64dff",
)
# fmt: on


def label_colors() -> Any:
    """Give the colours of objects: bright, far from each other and from the prompts' own."""
    return CyclicLabelColormap(colors=[[0.0] * 4, *transform_color(list(COLORS))])


def lay(labels: Any, axis: int | None) -> Any:
    """Give labels an axis of length 1, for channels, unless there is none; nothing is copied."""
    if axis is None:
        return labels
    if isinstance(labels, np.ndarray):
        return np.expand_dims(labels, axis)
    return Thickened(labels, axis)


def unlay(data: Any, axis: int | None) -> Any:
    """Take off the axis of length 1 that `lay` gave labels, or another layer has; a view."""
    if axis is None or len(data.shape) <= axis or data.shape[axis] != 1:
        return data
    return data.labels if isinstance(data, Thickened) else data[(slice(None),) * axis + (0,)]


def shows(layer: Labels, labels: Any) -> bool:
    """Whether a layer shows these labels, as `lay` gives them."""
    return is_laid(layer.data, labels)


def is_laid(data: Any, labels: Any) -> bool:
    """Whether an array is these labels, as `lay` gives them."""
    if isinstance(data, Thickened):
        return data.labels is labels
    if isinstance(data, np.ndarray) and isinstance(labels, np.ndarray):
        return data.size == labels.size and data.ctypes.data == labels.ctypes.data
    return data is labels


def planes_of_edit(
    indices: Iterable[tuple[Any, ...]], shape: Sequence[int], seen: Sequence[int]
) -> np.ndarray:
    """Give the planes that an edit of labels reaches.

    What is filled may be a whole volume: pixels are counted, and neither sorted nor copied.

    Parameters
    ----------
    indices : iterable of tuple
        Each of slices, or of integer arrays of like shape, one for each axis, as napari edits with.
    shape : sequence of int
        Of the labels.
    seen : sequence of int
        The axes of a plane.

    Returns
    -------
    np.ndarray, shape (P, D), integers
        One position on each plane, at 0 along those axes.
    """
    lengths = [1 if axis in seen else n for axis, n in enumerate(shape)]
    reached = np.zeros(lengths, dtype=bool)
    for index in indices:
        reached[tuple(_start(i) if a in seen else i for a, i in enumerate(index))] = True
    return np.argwhere(reached)


def _start(part: Any) -> Any:
    """Give the first place along an axis that is not looked at, for any index."""
    return slice(0, 1) if isinstance(part, slice) else 0


class Thickened:
    """An array that is not in memory, with one more axis of length 1.

    Parameters
    ----------
    labels : array-like
    axis : int
    """

    def __init__(self, labels: Any, axis: int) -> None:
        self.labels, self._axis = labels, axis
        self.dtype = np.dtype(labels.dtype)
        self.shape = (*labels.shape[:axis], 1, *labels.shape[axis:])
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        given, at = self._without(index)
        found = np.asarray(self.labels[given])
        if isinstance(at, slice):
            place = sum(not isinstance(i, (int, np.integer)) for i in given[: self._axis])
            found = np.expand_dims(found, place)
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        self.labels[self._without(index)[0]] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[(slice(None),) * self.ndim], dtype=dtype)

    def _without(self, index: Any) -> tuple[tuple[Any, ...], Any]:
        given = list(index) if isinstance(index, tuple) else [index]
        given += [slice(None)] * (self.ndim - len(given))
        return (*given[: self._axis], *given[self._axis + 1 :]), given[self._axis]
