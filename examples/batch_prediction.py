"""Several images, and many prompts on each, in one call.

What the second half of Meta's notebook ``image_predictor_example`` does. The images may differ in
size and in their number of prompts. Positions are (x, y), as in Meta's API.
"""

import argparse
from pathlib import Path

import numpy as np
from drawing import draw, save_sheet
from skimage import data

from napari_sam2 import SAM2ImagePredictor
from napari_sam2.demo import MIN_AREA, make_time_lapse
from napari_sam2.evaluation.prompting import find_targets

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("example-output"), help="folder for results")
parser.add_argument("--model", default="sam2.1_hiera_nano", help="a name, ours or Meta's")
parser.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
parser.add_argument("--objects", type=int, default=40, help="nuclei to ask for")
options = parser.parse_args()

predictor = SAM2ImagePredictor.from_pretrained(options.model, device=options.device)

# A picture of coins, a cell, and generated nuclei, whose true boxes and centres are known.
nuclei = make_time_lapse()
targets = find_targets(nuclei.labels[0], MIN_AREA)[: options.objects]
images = [data.coins(), data.cell()[200:500, 250:], nuclei.images[0]]
predictor.set_image_batch(images)

# One entry an image: (B, 4), x0, y0, x1, y1.
coins = [[128, 25, 179, 74], [192, 30, 243, 73], [186, 105, 227, 144], [189, 170, 237, 216]]
cell = [[112, 108, 244, 240]]
boxes = [
    np.array(coins),
    np.array(cell),
    np.array([[c.start, r.start, c.stop - 1, r.stop - 1] for r, c in (t.region for t in targets)]),
]
boxed, _, _ = predictor.predict_batch(box_batch=boxes, multimask_output=False)

# Or a click an object: (B, 1, 2), with labels (B, 1). Three candidates each, of which the one
# with the highest predicted IoU is taken.
clicks = [(each[:, :2] + each[:, 2:]) / 2 for each in boxes]
candidates, ious, _ = predictor.predict_batch(
    point_coords_batch=[each[:, None] for each in clicks],
    point_labels_batch=[np.ones((len(each), 1), dtype=int) for each in clicks],
    multimask_output=True,
)

by_box, by_click = [], []
for index, image in enumerate(images):
    several = len(boxes[index]) > 1  # a single object comes without the axis of objects
    masks = boxed[index][:, 0] if several else boxed[index]
    title = f"boxes: {len(boxes[index])}"
    by_box.append(draw(image, masks, boxes=boxes[index].tolist(), title=title))

    three, scores = (r[index] if several else r[index][None] for r in (candidates, ious))
    masks = three[np.arange(len(three)), scores.argmax(axis=1)]
    by_click.append(draw(image, masks, points=clicks[index].tolist(), title="a click an object"))
save_sheet(options.out / "batch_prediction.png", [by_box, by_click])
