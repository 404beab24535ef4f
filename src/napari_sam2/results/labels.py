"""The labels of a stack, written a frame and some objects at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam2.prompts import MaskPrompt
from napari_sam2.results.changes import Changes
from napari_sam2.results.earlier import EarlierLabels
from napari_sam2.results.pixels import Pixels
from napari_sam2.results.room import explaining_full_disk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import ArrayLike

    from napari_sam2.predictors.frames import FrameSource

LABEL_DTYPE = np.dtype(np.uint16)


class StackLabels:
    """An array of labels beside a stack. What is in it already stays.

    Parameters
    ----------
    source : FrameSource
        The stack.
    array : array-like, optional
        Integers of the stack's shape without colour; numpy, memmap or zarr. In memory
        unless given.

    Raises
    ------
    ValueError
        If the array has another shape, is not of integers, or cannot be written to.
    """

    def __init__(self, source: FrameSource, array: Any = None) -> None:
        self._source = source
        self.planes = Planes(source.label_shape, source.seen)
        self.changes: Changes[int] = Changes()  #: of planes
        if array is None:
            array = np.zeros(source.label_shape, dtype=LABEL_DTYPE)
        else:
            _check(array, source.label_shape)
        self.array = array
        self.earlier = EarlierLabels()
        self._painted: set[int] = set()  #: planes

    @property
    def largest_id(self) -> int:
        """The largest id that the type of the array can hold."""
        return int(np.iinfo(self.array.dtype).max)

    def highest(self, planes: Iterable[int] | None = None) -> int:
        """Read through planes, or all, at whatever position, for the highest id in use."""
        if planes is None:
            if getattr(self.array, "nchunks_initialized", None) == 0 and not self.array.fill_value:
                return 0  # a zarr that nothing was written to yet
            planes = range(len(self.planes))  # one in memory at a time
        return max((int(np.max(self.array[self.planes.index(n)])) for n in planes), default=0)

    def note_painted(self, planes: Collection[int]) -> None:
        """Note that a hand has changed planes, at whatever position."""
        self._painted.update(planes)
        self.changes.note(*planes)

    def painted_with(self, object_id: int) -> set[int]:
        """Give the frames on which a hand has painted, and an object is."""
        if not self._painted:
            return set()
        index, at = self._source.index, self.planes.at
        painted = (f for f in range(self._source.n_frames) if at(index(f)) in self._painted)
        return {frame for frame in painted if np.any(self.plane(frame) == object_id)}

    def take_over(self, earlier: StackLabels) -> None:
        """Know what is known of the same labels."""
        self.earlier = earlier.earlier
        self._painted |= earlier._painted

    def before(self, frame: int) -> np.ndarray:
        """Give a frame as it was when `earlier` was last begun; (H, W)."""
        return self.earlier.restore(frame, np.asarray(self.array[self._source.index(frame)]))

    def mask(self, frame: int, object_id: int) -> np.ndarray:
        """Give one object on a frame; bool, (H, W)."""
        found: np.ndarray = self.plane(frame) == object_id
        return found

    def masks(self, frame: int, ids: Collection[int]) -> dict[int, MaskPrompt]:
        """Give some objects on a frame; empty ones where they are not."""
        plane = self.plane(frame)
        wanted = np.isin(plane, np.array(sorted(ids), dtype=plane.dtype))
        found = mask_prompts(frame, np.where(wanted, plane, 0))
        return {i: found.get(i) or MaskPrompt(frame, np.zeros_like(wanted)) for i in ids}

    def plane(self, frame: int) -> np.ndarray:
        """Give the labels of a frame, (H, W); not to be changed."""
        plane: np.ndarray = np.asarray(self.array[self._source.index(frame)])
        return plane

    def put_plane(self, frame: int, plane: np.ndarray, changed: Pixels | None = None) -> None:
        """Replace the labels of a frame, (H, W).

        Parameters
        ----------
        frame : int
        plane : np.ndarray, shape (H, W)
        changed : Pixels, optional
            Those that it differs in from what is there, where that is known.

        Raises
        ------
        NoRoomError
            If the disk that they are on is full.
        """
        changed = changed or Pixels.that_differ(self.plane(frame), plane)
        if changed is None:
            return
        self.earlier.note(frame, changed)
        index = self._source.index(frame)
        with explaining_full_disk(
            f"the labels of frame {frame}",
            f"What was found before is kept; propagate from frame {frame} to go on.",
        ):
            if isinstance(self.array, np.ndarray):
                # Memory that nothing but background was ever written to is not taken.
                self.array[index][changed.region] = plane[changed.region]
            else:
                self.array[index] = plane
        self.changes.note(self.planes.at(index))


class Planes:
    """All planes of labels that lie along two axes, numbered.

    Parameters
    ----------
    shape : tuple of int
        Of the labels.
    seen : tuple of int
        The axes of rows and columns.
    """

    def __init__(self, shape: Sequence[int], seen: tuple[int, int]) -> None:
        self._lengths = tuple(1 if i in seen else n for i, n in enumerate(shape))
        self._seen = seen
        self.shape = (int(shape[seen[0]]), int(shape[seen[1]]))  #: (H, W) of a plane

    def __len__(self) -> int:
        return math.prod(self._lengths)

    def index(self, plane: int) -> tuple[int | slice, ...]:
        """Give the index of a plane in the labels."""
        place = np.unravel_index(plane, self._lengths)
        return tuple(slice(None) if i in self._seen else int(n) for i, n in enumerate(place))

    def at(self, index: Sequence[int | slice]) -> int:
        """Give the number of the plane that an index is of."""
        return self.of([0 if isinstance(n, slice) else n for n in index])[0]

    def of(self, places: ArrayLike) -> list[int]:
        """Give the numbers of the planes that pixels lie in, (N, D) or (D,)."""
        positions = np.atleast_2d(np.array(places, dtype=np.intp))
        positions[:, self._seen] = 0
        numbers: np.ndarray = np.ravel_multi_index(tuple(positions.T), self._lengths)
        return [int(n) for n in np.unique(numbers)]


def mask_prompts(frame: int, labels: ArrayLike) -> dict[int, MaskPrompt]:
    """Make a mask of each object in labels, by its number in them; 0 is background.

    Parameters
    ----------
    frame : int
    labels : array-like, shape (H, W), integers

    Raises
    ------
    ValueError
        If they are not two-dimensional, not integers, or negative somewhere.
    """
    image = np.asarray(labels)
    if image.ndim != 2 or image.dtype.kind not in "iub":
        raise ValueError(
            f"Labels of one frame are integers, (H, W); got {image.dtype} of shape {image.shape}."
        )
    if not image.size or image.min() < 0:
        raise ValueError("Labels are 0 for background and count from 1; some are negative.")
    places = image.astype(np.intp, copy=False)
    if places.max() > image.size:  # a place is found for each number up to the highest
        numbers, places = np.unique(image, return_inverse=True)
        first = int(numbers[0] == 0)
        numbers, places = numbers[first:], places.reshape(image.shape) + 1 - first
    else:
        numbers = np.arange(1, int(places.max()) + 1)
    found = {}
    for number, region in zip(numbers.tolist(), ndimage.find_objects(places), strict=True):
        if region is not None:
            part = image[region] == number
            origin = region[0].start, region[1].start
            found[number] = MaskPrompt(frame, part, origin, (image.shape[0], image.shape[1]))
    return found


def _check(array: Any, shape: tuple[int, ...]) -> None:
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise ValueError(
            f"Labels must be an array of integers of shape {shape}, as numpy and zarr make them; "
            f"got a {type(array).__name__}."
        )
    if tuple(array.shape) != shape or np.dtype(array.dtype).kind not in "iu":
        raise ValueError(
            f"Labels must be integers of shape {shape}, got {array.dtype} {array.shape}."
        )
    if not hasattr(array, "__setitem__") or hasattr(array, "dask"):
        raise ValueError(
            f"Labels must keep what is written into them; {type(array).__name__} does not. "
            "Give a numpy or zarr array."
        )
    flags = getattr(array, "flags", None)
    if flags is not None and not flags.writeable:
        raise ValueError("Labels cannot be written to: the array is read-only. Give a copy.")
