"""Write tests/golden/{image,video,automatic}.npz anew: what Meta's predictors give.

Run ``python tests/parity/write_golden.py``, with Meta's ``sam2`` installed, when there are new
embedded weights or new cases.
"""

from __future__ import annotations

import golden_cases as golden
import numpy as np
import torch
from automatic_calls import FEW, MODEL, OPTIONS, picture_of_discs, small_config
from image_calls import CALLS
from parity_reference import video_predictor
from predictor_pairs import image_predictors, mask_generators, run_script, video_predictors
from random_models import small_architecture
from video_calls import CASES, noisy_video

from napari_sam2 import SAM2, load_model


def main():
    torch.set_num_threads(1)
    config, video = small_architecture(), noisy_video()
    _, image = image_predictors(config)
    golden.write("image", {name: golden.image_case(image, call) for name, call in CALLS.items()})
    found = {}
    for name, case in CASES.items():
        pairs = run_script(video_predictors(config, case), video, case)
        found[name] = golden.video_case(metas for _, metas in pairs)
    golden.write("video", found)
    golden.write("automatic", {name: metas_masks(OPTIONS[name]) for name in golden.AUTOMATIC})


def metas_masks(options):
    theirs = video_predictor(small_config())
    theirs.load_state_dict(load_model(MODEL).state_dict())
    _, generator = mask_generators((SAM2(small_config()), theirs), **(FEW | options))
    found = golden.automatic_case(generator, picture_of_discs())
    return {**found, "weights": np.array(golden.weights_digest())}


if __name__ == "__main__":
    main()
