"""Memory taken while a long lazy stack is tracked: it should not grow with the frames.

Run ``python benchmarks/memory.py --picture docs/images/memory.png``.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import tifffile
import torch
from charts import Axis, Line, draw_lines

from napari_sam2 import Session, Settings, TrackerOptions, View
from napari_sam2.model.config import EMBEDDED_MODEL

WARM = 100  #: frames until everything that is kept is there
MOST_GROWTH = 64  #: MiB after that


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


def private_bytes(process: psutil.Process) -> int:
    """Give the memory of the process without what is mapped from files."""
    # Such as that of the labels: it is the system's to take back.
    memory = process.memory_info()
    return memory.rss - getattr(memory, "shared", 0)


def measure(options: argparse.Namespace) -> tuple[list[int], list[float]]:
    """Track, and give frames and the memory after each, in MiB."""
    stack = DriftingDiscs(options.frames, options.size, options.objects)
    process = psutil.Process()
    frames, memory = [], []
    with TemporaryDirectory() as folder:
        labels = tifffile.memmap(Path(folder) / "labels.tif", shape=stack.shape, dtype=np.uint16)
        view = View(contrast_limits=(0, 200))
        settings = Settings(tracker=TrackerOptions(field=options.field))
        session = Session(stack, options.model, view=view, settings=settings, labels=labels)
        for number in range(options.objects):
            cell = session.add_object()
            session.add_points(cell, 0, [stack.centre(number, 0)])
        print(f"{'frame':>6} {'private memory, MiB':>20}")
        for masks in session.propagate():
            frames.append(masks.frame)
            memory.append(private_bytes(process) / 2**20)
            if masks.frame % 100 == 0 or masks.frame == options.frames - 1:
                print(f"{masks.frame:>6} {memory[-1]:>20.0f}", flush=True)
    return frames, memory


def main() -> None:
    """Track, print the memory every so often, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--field", default="auto", choices=["auto", "frame"])
    parser.add_argument("--picture", type=Path, help="where to draw the curve, as PNG")
    parser.add_argument("--check", action="store_true", help="fail if it grows by 64 MiB or more")
    options = parser.parse_args()
    said = (
        f"{options.model}, {options.objects} objects, {options.size} pixels square, "
        f"{options.frames} frames, field {options.field}"
    )
    print(f"{said}; torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    frames, memory = measure(options)
    growth = max(memory[WARM:], default=0) - max(memory[: WARM + 1])
    print(f"most memory up to frame {WARM}: {max(memory[: WARM + 1]):.0f} MiB")
    print(f"most memory after that: {growth:+.0f} MiB")
    if options.picture:
        top = 200 * math.ceil(max(memory) / 200)
        line = Line("private memory of the process", frames, memory)
        axes = Axis("frame", options.frames), Axis("MiB", top, max(top // 200, 1))
        draw_lines(options.picture, said, [line], *axes)
    if options.check and growth >= MOST_GROWTH:
        sys.exit(f"Memory grew by {growth:.0f} MiB; under {MOST_GROWTH} is expected.")


if __name__ == "__main__":
    main()
