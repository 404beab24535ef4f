"""Labels that are painted by hand, and the masks that they say."""

from __future__ import annotations

import math
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from napari_sam2.results.labels import mask_prompts
from napari_sam2.results.pixels import Pixels

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari.layers import Labels

    from napari_sam2._layers import Stack
    from napari_sam2.prompts import MaskPrompt

_NOTING = RLock()  #: while it is noted what was written, or what of it was read


class Painted(np.ndarray):
    """An array that notes where along one axis it is written: by brushes, by undoing, by scripts.

    Views of it are ordinary; what is written through them is not noted. What `put_plane` writes
    is kept so that it can be taken back; what a brush paints, napari keeps.
    """

    axis: int | None
    written: set[int]  #: positions ever written
    readers: WeakSet[PaintReader]  #: each is told what is written
    place: int  #: how many planes were put, and not taken back
    _puts: list[tuple[Any, Pixels | None]]  #: where, and what differs on the other side
    _gains: list[int]  #: pixels that each of these painted, less those that it cleared

    @classmethod
    def empty(cls, shape: Sequence[int], dtype: np.dtype, axis: int | None) -> Painted:
        """Make one without a painted pixel; it takes room where it is painted.

        Raises
        ------
        ValueError
            If the system gives no room for so many pixels.
        """
        try:
            made = np.zeros(shape, dtype).view(cls)
        except (MemoryError, ValueError) as error:
            size = math.prod(shape) * dtype.itemsize / 2**30
            raise ValueError(
                f"There is no room to paint on an image of shape {tuple(shape)}: it takes "
                f"{size:,.0f} GiB of memory. Use points, boxes or outlines, or crop the image."
            ) from error
        made.axis = axis
        return made

    def __array_finalize__(self, other: Any) -> None:
        self.axis, self.written, self.readers = None, set(), WeakSet()
        self.place, self._puts, self._gains = 0, [], []

    @property
    def gain(self) -> int:
        """How many pixels were put, less those that were cleared."""
        return sum(self._gains[: self.place])

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        places = self._places(index)
        with _NOTING:
            # New sets: another thread may be reading the old ones.
            self.written = self.written | places
            for reader in self.readers:
                reader.unread = reader.unread | places

    def put_plane(self, index: tuple[int | slice, ...], plane: np.ndarray) -> None:
        """Write a plane so that it can be taken back; what was taken back before is forgotten."""
        before = np.asarray(self[index])
        differing = Pixels.that_differ(_flat(before), _flat(plane))
        gain = int(np.count_nonzero(plane)) - int(np.count_nonzero(before))
        self[index] = plane
        del self._puts[self.place :], self._gains[self.place :]
        self._puts.append((index, differing))
        self._gains.append(gain)
        self.place += 1

    def go_to(self, place: int) -> None:
        """Take back what was put beyond a place, or put again what was taken back before it."""
        while self.place != place:
            step = 1 if place > self.place else -1
            nth = self.place if step > 0 else self.place - 1
            index, differing = self._puts[nth]
            if differing is not None:
                plane = np.array(self[index])
                self._puts[nth] = index, differing.swap(_flat(plane))
                self[index] = plane
            self.place += step

    def _places(self, index: Any) -> set[int]:
        if self.axis is None:
            return {0}
        given = index if isinstance(index, tuple) else (index,)
        everywhere = range(self.shape[self.axis])
        is_plain = all(isinstance(i, (int, np.integer, slice, np.ndarray)) for i in given)
        if not is_plain or len(given) <= self.axis or any(_is_mask(i) for i in given):
            return set(everywhere)
        return {int(i) for i in np.atleast_1d(np.asarray(everywhere)[given[self.axis]]).flat}


def _flat(plane: np.ndarray) -> np.ndarray:
    """See a plane as rows and columns, without further axes; nothing is copied."""
    return np.asarray(plane).reshape(-1, plane.shape[-1])


def _is_mask(index: Any) -> bool:
    return isinstance(index, np.ndarray) and index.dtype == bool


class PaintReader:
    """Reads what is painted as masks of objects; a frame again only when it was written.

    Whichever thread has written a frame may read it at once, so that the window need not.

    Parameters
    ----------
    painted : Painted
    stack : Stack
        Of the array's shape.
    """

    def __init__(self, painted: Painted, stack: Stack) -> None:
        self._painted, self._stack = painted, stack
        self.unread: set[int]  #: frames that were written since they were read
        self._masks: dict[int, dict[int, MaskPrompt]] = {}
        self._reading = RLock()  # or what was read first might be noted last
        with _NOTING:
            if painted.axis != stack.axis:  # what was noted is of another axis
                painted.written = set(range(stack.n_frames)) if painted.written else set()
                painted.axis = stack.axis
                painted.readers.clear()
            self.unread = painted.written
            painted.readers.add(self)

    def is_of(self, painted: Painted, stack: Stack) -> bool:
        """Whether it reads these frames of this array, and is told what is written there."""
        return self in painted.readers and self._stack.same_place(stack)

    def read(self) -> dict[int, dict[int, MaskPrompt]]:
        """Give masks by frame, then by object."""
        with self._reading:
            for frame in self._take():
                self._read(frame)
            return {frame: found for frame, found in sorted(self._masks.items()) if found}

    def read_frame(self, frame: int) -> None:
        """Read one frame, for `read` to know it."""
        with self._reading:
            if self._take({frame}):
                self._read(frame)

    def _take(self, places: set[int] | None = None) -> set[int]:
        """Give those of some frames, or of all, that are to be read, and count them as read."""
        with _NOTING:
            taken = self.unread if places is None else self.unread & places
            self.unread = self.unread - taken
        return taken

    def erase(self, object_id: int, frame: int | None = None) -> bool:
        """Take an object out of one frame, or of all; say whether it was there."""
        painted = self.read()
        gone = [f for f, found in painted.items() if object_id in found and frame in {None, f}]
        for one in gone:
            index = self._stack.index(one)
            plane = np.array(self._painted[index])
            plane[plane == object_id] = 0
            self._painted.put_plane(index, plane)
        return bool(gone)

    def rename(self, object_id: int, into: int, frame: int) -> None:
        """Have an object's pixels on a frame be another's."""
        index = self._stack.index(frame)
        plane = np.array(self._painted[index])
        plane[plane == object_id] = into
        self._painted.put_plane(index, plane)

    def paint(self, object_id: int, frame: int, mask: np.ndarray) -> None:
        """Paint an object on a frame; its mask is (H, W)."""
        index = self._stack.index(frame)
        plane = np.array(self._painted[index])
        plane[mask.reshape(plane.shape)] = object_id
        self._painted.put_plane(index, plane)

    def _read(self, frame: int) -> None:
        plane = np.asarray(self._painted[self._stack.index(frame)]).reshape(self._stack.shape)
        self._masks[frame] = mask_prompts(frame, plane) if plane.any() else {}


def copy_labels(
    stack: Stack, painted: Painted, reader: PaintReader, source: Labels, frames: Sequence[int]
) -> Generator[int, None, None]:
    """Paint what a layer of labels holds, a frame a step; objects keep their numbers.

    What stops it on the way leaves nothing painted.

    Parameters
    ----------
    stack : Stack
    painted : Painted
    reader : PaintReader
        Has read each frame by the time that it is done.
    source : Labels
        Of the stack's shape; or of a frame's, and then it is meant for each of them.
    frames : sequence of int

    Yields
    ------
    int
        The frame that is done.

    Raises
    ------
    ValueError
        If the layer has another shape, or numbers that there is no room for.
    """
    data = source.data[0] if source.multiscale else source.data
    kept = _axes_of(data, stack, painted, source.name)
    before = painted.place
    for nth, frame in enumerate(frames):
        at = stack.index(frame)
        plane = np.array(painted[at])
        try:
            found = np.asarray(data[tuple(at[i] for i in kept)]).reshape(plane.shape)
            _check_numbers(found, frame, source.name, int(np.iinfo(painted.dtype).max))
        except Exception:  # whatever it is, half of the frames are not what was asked for
            if painted.place == before + nth:  # and nothing else was done meanwhile
                painted.go_to(before)
            raise
        plane[np.isin(plane, np.unique(found[found > 0]))] = 0
        plane[found > 0] = found[found > 0]
        painted.put_plane(at, plane)
        reader.read_frame(frame)
        yield frame


def _axes_of(data: Any, stack: Stack, painted: Painted, name: str) -> Sequence[int]:
    """Give the axes that labels to begin with have of those that are painted on."""
    shape = tuple(int(n) for n in data.shape)
    axes: dict[tuple[int, ...], Sequence[int]] = {
        tuple(painted.shape): range(painted.ndim),
        stack.shape: (),
        stack.label_shape: [i for i in range(painted.ndim) if i != stack.channel_axis],
    }
    if shape not in axes:
        raise ValueError(
            f"{name!r} has shape {shape}; labels to begin with have that of the image, "
            f"{stack.label_shape}, or of one frame, {stack.shape}."
        )
    return axes[shape]


def _check_numbers(found: np.ndarray, frame: int, name: str, most: int) -> None:
    if found.size and not 0 <= found.min() <= found.max() <= most:
        raise ValueError(
            f"{name!r} has labels {found.min()} to {found.max()} on frame {frame}; "
            f"objects are numbered 1 to {most}."
        )
