"""Follows the masks of first frames through a folder of videos, with Meta's package.

Such a script as users of ``sam2`` have, after what Meta's ``tools/vos_inference.py`` does. It is
run as it is, and once more with nothing but the import of ``build_sam2_video_predictor`` changed.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2_video_predictor

#: Colours of background and objects 1, 2, 3, as DAVIS has them.
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def read_masks(path):
    """Give a boolean mask of each object in a picture of palette indices."""
    indices = np.array(Image.open(path))
    return {int(obj_id): indices == obj_id for obj_id in np.unique(indices) if obj_id > 0}


def write_masks(path, masks, height, width):
    """Write a picture of palette indices; where objects overlap, the lower one wins."""
    indices = np.zeros((height, width), dtype=np.uint8)
    for obj_id in sorted(masks, reverse=True):
        indices[masks[obj_id]] = obj_id
    picture = Image.fromarray(indices)
    picture.putpalette(PALETTE)
    picture.save(path)


@torch.inference_mode()
def segment_video(predictor, video_dir, mask_dir, out_dir):
    """Follow every object of the first frame's mask, and write a picture a frame."""
    frame_names = sorted(path.stem for path in video_dir.glob("*.jpg"))
    inference_state = predictor.init_state(
        video_path=str(video_dir), offload_video_to_cpu=True, async_loading_frames=False
    )
    height = inference_state["video_height"]
    width = inference_state["video_width"]
    for obj_id, mask in read_masks(mask_dir / f"{frame_names[0]}.png").items():
        predictor.add_new_mask(
            inference_state=inference_state, frame_idx=0, obj_id=obj_id, mask=mask
        )
    out_dir.mkdir(parents=True)
    for frame_idx, obj_ids, mask_logits in predictor.propagate_in_video(inference_state):
        masks = {
            obj_id: (mask_logits[i, 0] > 0.0).cpu().numpy() for i, obj_id in enumerate(obj_ids)
        }
        write_masks(out_dir / f"{frame_names[frame_idx]}.png", masks, height, width)
        np.save(out_dir / f"{frame_names[frame_idx]}.npy", mask_logits.cpu().numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sam2_cfg", default="configs/sam2.1/sam2.1_hiera_b+.yaml")
    parser.add_argument("--sam2_checkpoint", default="./checkpoints/sam2.1_hiera_base_plus.pt")
    parser.add_argument("--base_video_dir", type=Path, required=True)
    parser.add_argument("--input_mask_dir", type=Path, required=True)
    parser.add_argument("--output_mask_dir", type=Path, required=True)
    parser.add_argument("--image_size", type=int, default=1024)
    parser.add_argument("--apply_postprocessing", action="store_true")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()

    predictor = build_sam2_video_predictor(
        config_file=args.sam2_cfg,
        ckpt_path=args.sam2_checkpoint,
        device=args.device,
        apply_postprocessing=args.apply_postprocessing,
        hydra_overrides_extra=[f"++model.image_size={args.image_size}"],
    )
    for video_dir in sorted(args.base_video_dir.iterdir()):
        segment_video(
            predictor,
            video_dir,
            args.input_mask_dir / video_dir.name,
            args.output_mask_dir / video_dir.name,
        )


if __name__ == "__main__":
    main()
