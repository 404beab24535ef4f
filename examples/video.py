"""Objects through a video: clicks, a correction on a later frame, a box, several objects.

What Meta's notebook ``video_predictor_example`` does. The video is an array; a folder of JPEGs, or
an MP4, goes the same way. Positions are (x, y), as in Meta's API.
"""

import argparse
from pathlib import Path

from drawing import draw, save_sheet

from napari_sam2 import SAM2VideoPredictor
from napari_sam2.demo import make_time_lapse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("example-output"), help="folder for results")
parser.add_argument("--model", default="sam2.1_hiera_nano", help="a name, ours or Meta's")
parser.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
parser.add_argument("--frames", type=int, default=12, help="of the time-lapse, 2 to 20")
options = parser.parse_args()

video = make_time_lapse().images[: options.frames]  # (T, H, W), uint8
predictor = SAM2VideoPredictor.from_pretrained(
    options.model,
    device=options.device,
    # By Meta's rules a correction on a frame that was tracked over is tracked over again, unless
    # such frames are to count as those on which the object began.
    hydra_overrides_extra=["++model.add_all_frames_to_correct_as_cond=true"],
)
state = predictor.init_state(video)
last = len(video) - 1
shown = sorted({0, last // 2, last})


def follow(title, at=0, **prompts):
    """Propagate, and draw a few frames, with prompts on one of them."""
    row = []
    for frame, _, logits in predictor.propagate_in_video(state):  # (N, 1, H, W), by object
        if frame in shown:
            given = prompts if frame == at else {}
            masks = (logits[:, 0] > 0).cpu().numpy()
            row.append(draw(video[frame], masks, title=f"{title}, frame {frame}", **given))
    return row


# A click on the first frame; a second one on top of it: all points are given again.
predictor.add_new_points_or_box(state, 0, obj_id=1, points=[[262, 248]], labels=[1])
points, labels = [[262, 248], [262, 235], [300, 240]], [1, 1, 0]
predictor.add_new_points_or_box(state, 0, obj_id=1, points=points, labels=labels)
clicked = follow("three clicks", points=points, labels=labels)

# A correction of what was tracked, on a later frame; the first frame's clicks still hold.
correction, middle = [[256, 250]], last // 2
predictor.add_new_points_or_box(state, middle, obj_id=1, points=correction, labels=[1])
refined = follow("corrected later", at=middle, points=correction)

# A box instead.
predictor.reset_state(state)
box = [242, 225, 281, 273]  # x0, y0, x1, y1
predictor.add_new_points_or_box(state, 0, obj_id=1, box=box)
boxed = follow("a box", boxes=[box])

# Several objects at once, whatever each is prompted with; the model sees them as a batch.
predictor.reset_state(state)
centres = [[87, 64], [139, 223], [126, 181], [204, 237]]
for obj_id, centre in enumerate(centres, start=1):
    predictor.add_new_points_or_box(state, 0, obj_id=obj_id, points=[centre], labels=[1])
predictor.add_new_points_or_box(state, 0, obj_id=9, box=box)
several = follow("five objects", points=centres, boxes=[box])

save_sheet(options.out / "video.png", [clicked, refined, boxed, several])
