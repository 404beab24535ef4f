"""Memory taken while a long lazy stack is tracked: it should not grow with the frames.

Run ``python benchmarks/memory.py --frames 1000 --objects 3``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import tifffile

from napari_sam2 import Session, View
from napari_sam2.model.config import EMBEDDED_MODEL


class DriftingDiscs:
    """A stack that is never in memory: discs that go round, drawn when they are read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, n_frames: int, size: int, n_objects: int) -> None:
        self.shape = (n_frames, size, size)
        self.n_objects = n_objects
        self._grid = np.mgrid[:size, :size]

    def centre(self, number: int, frame: int) -> tuple[float, float]:
        """Where a disc is, (row, column)."""
        size = self.shape[1]
        angle = 2 * np.pi * (number / self.n_objects + frame / 400)
        return size * (0.5 + 0.3 * np.sin(angle)), size * (0.5 + 0.3 * np.cos(angle))

    def __getitem__(self, index: tuple) -> np.ndarray:
        frame = int(index[0])
        noise = np.random.default_rng(frame)
        image = noise.integers(10, 30, self.shape[1:], dtype=np.uint8)
        rows, columns = self._grid
        for number in range(self.n_objects):
            row, column = self.centre(number, frame)
            image[(rows - row) ** 2 + (columns - column) ** 2 < (self.shape[1] / 16) ** 2] += 150
        return image[index[1:]]


def main() -> None:
    """Track, and print the memory every so often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    options = parser.parse_args()

    stack = DriftingDiscs(options.frames, options.size, options.objects)
    process = psutil.Process()
    with TemporaryDirectory() as folder:
        labels = tifffile.memmap(Path(folder) / "labels.tif", shape=stack.shape, dtype=np.uint16)
        view = View(contrast_limits=(0, 200))
        session = Session(stack, options.model, view=view, labels=labels)
        for number in range(options.objects):
            cell = session.add_object()
            session.add_points(cell, 0, [stack.centre(number, 0)])
        print(f"{options.model}, {options.objects} objects, {options.size} pixels square")
        print(f"{'frame':>6} {'private memory, MiB':>20}")
        for masks in session.propagate():
            if masks.frame % 100 in {0, 50} or masks.frame == options.frames - 1:
                # What is mapped from the file of labels is the system's to take back.
                memory = process.memory_info()
                private = memory.rss - getattr(memory, "shared", 0)
                print(f"{masks.frame:>6} {private / 2**20:>20.0f}", flush=True)


if __name__ == "__main__":
    main()
