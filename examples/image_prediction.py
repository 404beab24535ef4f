"""One image: a click, a correction, a box, a mask from before, several objects at once.

What Meta's notebook ``image_predictor_example`` does, on scikit-image's picture of coins.
Positions are (x, y), as in Meta's API.
"""

import argparse
from pathlib import Path

import numpy as np
from drawing import draw, save_sheet
from skimage import data

from napari_sam2 import SAM2ImagePredictor

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("example-output"), help="folder for results")
parser.add_argument("--model", default="sam2.1_hiera_nano", help="a name, ours or Meta's")
parser.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
options = parser.parse_args()

image = data.coins()  # (303, 384), uint8; (H, W, 3) is as good
predictor = SAM2ImagePredictor.from_pretrained(options.model, device=options.device)
predictor.set_image(image)  # the slow part, once an image; what follows takes milliseconds

# A click may mean a part or the whole: three candidates, with what the model thinks of each.
click = [[335, 43]]
masks, ious, logits = predictor.predict(
    point_coords=np.array(click), point_labels=np.array([1]), multimask_output=True
)
candidates = [
    draw(image, [mask], points=click, title=f"one click, candidate {number}, IoU {iou:.2f}")
    for number, (mask, iou) in enumerate(zip(masks, ious, strict=True), start=1)
]

# A correction: more clicks, on top of the logits of the best candidate. Label 0 is "not here".
clicks, labels = [[335, 25], [335, 62], [290, 70]], [1, 1, 0]
best = logits[ious.argmax()]  # (h, w); the predictor takes it with a first axis of one
corrected, _, _ = predictor.predict(
    point_coords=np.array(clicks),
    point_labels=np.array(labels),
    mask_input=best[None],
    multimask_output=False,
)

# A box leaves little doubt, so one mask is asked for; then the same once more with the logits of
# its mask, which may sharpen it; and with a part taken out by a click.
box = [315, 156, 379, 216]  # x0, y0, x1, y1
boxed, _, rough = predictor.predict(box=np.array(box), multimask_output=False)
again, _, _ = predictor.predict(box=np.array(box), mask_input=rough, multimask_output=False)
hole = [[346, 172]]
without, _, _ = predictor.predict(
    point_coords=np.array(hole),
    point_labels=np.array([0]),
    box=np.array(box),
    multimask_output=False,
)

# Several objects at once: (B, 4) in, (B, 1, H, W) out.
boxes = [[254, 32, 298, 73], [244, 95, 297, 145], [250, 170, 298, 217], [275, 239, 327, 289]]
together, _, _ = predictor.predict(box=np.array(boxes), multimask_output=False)

save_sheet(
    options.out / "image_prediction.png",
    [
        [
            *candidates,
            draw(image, corrected, points=clicks, labels=labels, title="corrected by more clicks"),
        ],
        [
            draw(image, boxed, boxes=[box], title="a box"),
            draw(image, again, boxes=[box], title="a box and the mask it gave"),
            draw(image, without, points=hole, labels=[0], boxes=[box], title="a box and a point"),
            draw(image, together[:, 0], boxes=boxes, title="four boxes at once"),
        ],
    ],
)
