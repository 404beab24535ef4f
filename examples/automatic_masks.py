"""Everything in an image, from a grid of points, with the usual options and with others.

What Meta's notebook ``automatic_mask_generator_example`` does, on generated nuclei.
"""

import argparse
from pathlib import Path

from drawing import draw, save_sheet

from napari_sam2 import SAM2AutomaticMaskGenerator, build_sam2_hf
from napari_sam2.demo import make_time_lapse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("example-output"), help="folder for results")
parser.add_argument("--model", default="sam2.1_hiera_nano", help="a name, ours or Meta's")
parser.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
parser.add_argument("--points-per-side", type=int, default=16, help="of the grid")
options = parser.parse_args()

image = make_time_lapse().images[0]  # (320, 320), uint8; (H, W, 3) is as good
model = build_sam2_hf(options.model, device=options.device)

# The usual thresholds are made for Meta's models, which are sure of themselves.
usual = SAM2AutomaticMaskGenerator(model, points_per_side=options.points_per_side)

# Less sure masks are let in, the image is looked at once more in four overlapping parts, with half
# as many points to a side, each mask is asked about again, and small specks and holes are removed.
thorough = SAM2AutomaticMaskGenerator(
    model,
    points_per_side=options.points_per_side,
    pred_iou_thresh=0.5,
    stability_score_thresh=0.7,
    crop_n_layers=1,
    crop_n_points_downscale_factor=2,
    min_mask_region_area=20,
    use_m2m=True,
)

pictures = [draw(image, title="the image")]
for name, generator in {"usual": usual, "thorough": thorough}.items():
    # A dictionary an object: segmentation, area, bbox (x, y, width, height), predicted_iou,
    # point_coords, stability_score, crop_box.
    found = generator.generate(image)
    print(f"{name}: {len(found)} masks")
    for record in sorted(found, key=lambda record: -record["area"])[:3]:
        print(
            f"  {record['area']} pixels at {record['bbox']}, predicted IoU "
            f"{record['predicted_iou']:.2f}, stability {record['stability_score']:.2f}"
        )
    masks = [record["segmentation"] for record in found]
    pictures.append(draw(image, masks, title=f"{name} options: {len(found)} masks"))
save_sheet(options.out / "automatic_masks.png", [pictures])
