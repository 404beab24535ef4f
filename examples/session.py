"""A session: objects followed both ways through a stack; small things in large frames.

Our own API, which the dock in napari drives, too. Positions are (row, column).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from drawing import draw, save_sheet

from napari_sam2 import Session, Settings, TrackerOptions
from napari_sam2.demo import NUCLEI, make_time_lapse
from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.results.exports import save_stack

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("example-output"), help="folder for results")
parser.add_argument("--model", default="sam2.1_hiera_nano", help="a name, ours or Meta's")
parser.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
parser.add_argument("--frames", type=int, default=12, help="of the time-lapse, 2 to 20")
parser.add_argument("--size", type=int, default=1000, help="edge of the large frame, in pixels")
options = parser.parse_args()
settings = Settings(device=options.device)

# Prompts on any frame: two points in the middle of the stack, a box on the first frame.
stack = make_time_lapse().images[: options.frames]  # (T, Y, X); numpy, dask, zarr, memmap
middle, last = len(stack) // 2, len(stack) - 1
session = Session(stack, options.model, settings=settings)
clicked, boxed = session.add_object("clicked"), session.add_object("boxed")
points = [[62, 87], [88, 120]]
session.add_points(clicked, middle, points, positive=[True, False])
box = [225, 242, 273, 281]  # row0, column0, row1, column1
session.add_box(boxed, 0, box)

# What the prompts mean, before anything is written.
print(f"predicted IoU of the clicked object: {session.segment(clicked, middle).best.iou:.2f}")

# A frame at a time, backward from where each begins and forward; stop asking to cancel.
for masks in session.propagate(direction="both"):
    areas = {session.objects[one.object_id].name: one.area for one in masks.objects}
    print(f"frame {masks.frame}: {areas}")
options.out.mkdir(parents=True, exist_ok=True)
save_stack(options.out / "session_labels.tif", session.labels)

# Pictures are in (x, y).
prompts = {
    middle: {"points": [(c, r) for r, c in points], "labels": [1, 0]},
    0: {"boxes": [(box[1], box[0], box[3], box[2])]},
}
followed = [
    draw(
        stack[frame],
        [session.labels[frame] == one for one in (clicked, boxed)],
        title=f"followed both ways, frame {frame}",
        **prompts.get(frame, {}),
    )
    for frame in sorted({0, middle, last})
]

# A nucleus of 15 pixels in a large frame: looked for in a window around it, as is usual here, or in
# the whole frame, as in Meta's predictors, where it is smaller than a token of the model.
small = replace(NUCLEI, size=(options.size, options.size), n_frames=1, diameters=(12, 18))
large = make_time_lapse(small)
centres = np.array([target.click for target in find_targets(large.labels[0], 100)])
distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(len(centres))
row, column = centres[distances.min(axis=0).argmax()].round().astype(int)  # of the loneliest
part = (slice(max(row - 40, 0), row + 40), slice(max(column - 40, 0), column + 40))
title = f"a click in {options.size} x {options.size} pixels"
shown = [draw(large.images[0][::3, ::3], points=[(column / 3, row / 3)], title=title)]
for field, title in {"auto": "in a window", "frame": "in the whole frame"}.items():
    chosen = replace(settings, tracker=TrackerOptions(field=field))
    session = Session(large.images, options.model, settings=chosen)
    nucleus = session.add_object()
    session.add_points(nucleus, 0, [row, column])
    found = session.segment(nucleus, 0).best
    mask = found.full(large.images[0].shape)
    shown.append(draw(large.images[0][part], [mask[part]], title=f"{title}: {found.area} pixels"))

save_sheet(options.out / "session.png", [followed, shown])
