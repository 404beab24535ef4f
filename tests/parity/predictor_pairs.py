"""Our predictors and Meta's, in pairs that are given the same calls."""

from __future__ import annotations

import parity_reference as reference
import torch
from sam2 import automatic_mask_generator, sam2_image_predictor

from napari_sam2 import SAM2AutomaticMaskGenerator, SAM2ImagePredictor, SAM2VideoPredictor
from napari_sam2.predictors.transforms import normalize


def image_predictors(config, *, models=None, **options):
    """Our image predictor and Meta's."""
    ours, theirs = models or reference.pair(config)
    return SAM2ImagePredictor(ours, **options), _fitted(
        sam2_image_predictor.SAM2ImagePredictor(theirs, **options), config
    )


def mask_generators(models, **options):
    """Our automatic mask generator and Meta's, of our model and Meta's."""
    ours, theirs = models
    generator = automatic_mask_generator.SAM2AutomaticMaskGenerator(theirs, **options)
    _fitted(generator.predictor, ours.config)
    return SAM2AutomaticMaskGenerator(ours, **options), generator


def _fitted(predictor, config):
    """Tell Meta's image predictor the size of features, fixed there for inputs of 1024 pixels."""
    predictor._bb_feat_sizes = [(n * config.grid_size, n * config.grid_size) for n in (4, 2, 1)]
    return predictor


def video_predictors(config, case, **rules):
    """Our video predictor and Meta's, by the rules of a case of `video_calls`."""
    rules = {**case.rules, **rules}
    model, theirs = reference.pair(
        case.config(config), dynamic_multimask_via_stability=case.stable, **rules
    )
    reference.mend_clearing(theirs)
    ours = SAM2VideoPredictor(model, binarize_mask_from_pts_for_mem_enc=True, **rules)
    return ours, theirs


def run_script(predictors, video, case):
    """Run the script of a case on both; gives our result and Meta's after each step.

    Parameters
    ----------
    predictors : tuple
        Ours and Meta's.
    video : np.ndarray, shape (T, S, S, 3), uint8
        Of the size of the model's input, for which Meta's loader has nothing to resize.
    case : Case
    """
    ours, theirs = predictors
    frames = normalize(torch.from_numpy(video).permute(0, 3, 1, 2))
    return zip(
        case.script(ours, ours.init_state(video)),
        case.script(theirs, reference.metas_state(theirs, frames)),
        strict=True,
    )
