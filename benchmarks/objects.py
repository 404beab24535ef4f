"""Frames a second over the number of objects, of the embedded model.

Run ``python benchmarks/objects.py --picture docs/images/objects.png`` on a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from charts import Axis, Line, draw_lines

from napari_sam2 import Session, Settings, load_model
from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.predictors.segmenter import TrackerOptions

SIZE = 1024  #: pixels, of the frames
WARM = 8  #: frames until as many are attended to as ever will be
FIELDS = {"frame": "whole frame", "auto": "each in a window"}


def main() -> None:
    """Print the table, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 2, 5, 10, 20, 50, 100])
    parser.add_argument("--frames", type=int, default=5, help="timed, of each count")
    parser.add_argument("--model", default=EMBEDDED_MODEL)
    parser.add_argument("--device")
    parser.add_argument("--precision")
    parser.add_argument("--threads", type=int, help="of the CPU; all unless given")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()

    if options.threads:
        torch.set_num_threads(options.threads)
    model = load_model(options.model, device=options.device or "cpu")
    print(f"| objects | {' | '.join(f'{name}, frames/s' for name in FIELDS.values())} |")
    print("|---|---|---|", flush=True)
    rates: dict[str, list[float]] = {field: [] for field in FIELDS}
    for count in options.counts:
        for field, measured in rates.items():
            measured.append(1 / seconds_per_frame(model, count, field, options))
        cells = [f"{measured[-1]:.2f}" for measured in rates.values()]
        print(f"| {count} | {' | '.join(cells)} |", flush=True)
    if options.picture:
        lines = [Line(FIELDS[field], options.counts, rates[field]) for field in FIELDS]
        highest = max(max(measured) for measured in rates.values())
        x = Axis("objects", max(options.counts))
        y = Axis("frames a second", 2 * np.ceil(highest / 2))
        draw_lines(options.picture, f"Objects followed at once, {options.model}", lines, x, y)


def seconds_per_frame(
    model: torch.nn.Module, count: int, field: str, options: argparse.Namespace
) -> float:
    """Follow boxed discs, which stay where they are, in the steady state."""
    discs = corners(count)
    frame = np.zeros((SIZE, SIZE), np.uint8)
    for row, column in discs:
        frame[row : row + 40, column : column + 40] = 160
    stack = np.broadcast_to(frame, (WARM + options.frames, SIZE, SIZE))
    settings = Settings(
        device=options.device, precision=options.precision, tracker=TrackerOptions(field=field)
    )
    session = Session(stack, model, settings=settings)
    for row, column in discs:
        session.add_box(session.add_object(), 0, [row, column, row + 40, column + 40])
    steps = session.propagate()
    for _ in range(WARM):
        next(steps)
    taken = []
    for _ in range(options.frames):
        begun = time.perf_counter()
        next(steps)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def corners(count: int) -> list[tuple[int, int]]:
    """Put objects on a grid."""
    across = int(np.ceil(np.sqrt(count)))
    step = SIZE // across
    places = [(step * (i // across), step * (i % across)) for i in range(count)]
    return [(row + step // 2 - 20, column + step // 2 - 20) for row, column in places]


if __name__ == "__main__":
    main()
