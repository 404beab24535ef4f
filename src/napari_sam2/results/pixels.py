"""Pixels of a frame as they were at another time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from napari_sam2.prompts import bounding_box


@dataclass(frozen=True, slots=True)
class Pixels:
    """Some pixels of a frame, and labels that they had at another time; compressed."""

    region: tuple[slice, slice]
    packed: bytes

    @classmethod
    def that_differ(cls, before: np.ndarray, after: np.ndarray) -> Pixels | None:
        """Keep what labels (H, W) were where they are different now; None where nothing is."""
        changed = before != after
        box = bounding_box(changed)
        if box is None:
            return None
        row, column, last_row, last_column = box
        region = slice(row, last_row + 1), slice(column, last_column + 1)
        return cls(region, _pack(changed[region], before[region]))

    @property
    def nbytes(self) -> int:
        """How much memory this takes."""
        return len(self.packed)

    def put(self, plane: np.ndarray) -> None:
        """Put the labels into a frame's, (H, W)."""
        part = plane[self.region]
        changed, labels = self._unpack(part)
        part[changed] = labels

    def swap(self, plane: np.ndarray) -> Pixels:
        """Put the labels into a frame's, and give those that were there."""
        part = plane[self.region]
        changed, labels = self._unpack(part)
        earlier = Pixels(self.region, _pack(changed, part))
        part[changed] = labels
        return earlier

    def _unpack(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give which pixels of the region these are, and the labels they had."""
        data = np.frombuffer(zlib.decompress(self.packed), dtype=np.uint8)
        n_bytes = (part.size + 7) // 8
        changed = np.unpackbits(data[:n_bytes], count=part.size).astype(bool).reshape(part.shape)
        return changed, np.frombuffer(data[n_bytes:].tobytes(), dtype=part.dtype)


def _pack(changed: np.ndarray, part: np.ndarray) -> bytes:
    return zlib.compress(np.packbits(changed).tobytes() + part[changed].tobytes(), level=1)
