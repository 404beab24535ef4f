"""Models built by Meta's names are Meta's models, with and without its post-processing."""

import inspect

import numpy as np
import pytest
from parity_marks import AGAINST_META

from napari_sam2 import SAM2ImagePredictor, build_sam2
from napari_sam2.predictors.meta.build import find_config

reference = pytest.importorskip("parity_reference")
metas_build = pytest.importorskip("sam2.build_sam")
metas_image = pytest.importorskip("sam2.sam2_image_predictor")
hydra = pytest.importorskip("hydra")
pytestmark = AGAINST_META

CONFIGS = sorted({config for config, _ in metas_build.HF_MODEL_ID_TO_FILENAMES.values()})


@pytest.mark.parametrize("name", CONFIGS)
def test_config_of_metas_name_has_its_shape(name):
    theirs = hydra.compose(config_name=name).model
    ours = find_config(name)

    defaults = {
        name: p.default for name, p in inspect.signature(reference.Hiera).parameters.items()
    }
    trunk = {**defaults, **theirs.image_encoder.trunk}
    assert (ours.hiera.embed_dim, ours.hiera.num_heads) == (trunk["embed_dim"], trunk["num_heads"])
    assert ours.hiera.stages == tuple(trunk["stages"])
    assert ours.hiera.global_blocks == tuple(trunk["global_att_blocks"])
    assert ours.hiera.windows == tuple(trunk["window_spec"])
    assert ours.hiera.pos_embed_grid == tuple(trunk["window_pos_embed_bkg_spatial_size"])
    assert ours.pointer_time == theirs.get("proj_tpos_enc_in_obj_ptrs", False)
    assert ours.image_size == theirs.image_size


@pytest.mark.parametrize("postprocess", [True, False])
def test_model_of_metas_name_gives_metas_numbers(postprocess):
    options = {
        "device": "cpu",
        "apply_postprocessing": postprocess,
        "hydra_overrides_extra": ["++model.image_size=128"],
    }
    name = "configs/sam2.1/sam2.1_hiera_t.yaml"
    ours, theirs = reference.share_weights(
        build_sam2(name, **options), metas_build.build_sam2(name, **options), seed=9
    )
    pair = SAM2ImagePredictor(ours), metas_image.SAM2ImagePredictor(theirs)
    pair[1]._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    prompt = {"box": [5, 6, 40, 45], "return_logits": True}
    for predictor in pair:
        predictor.set_image(image)
    (ours,), (theirs,) = (p.predict(**prompt, multimask_output=False)[0] for p in pair)
    candidates = pair[1].predict(**prompt)[0]

    assert np.abs(ours - theirs).max() < 1e-4
    gave_way = any(np.array_equal(theirs, candidate) for candidate in candidates)
    assert gave_way == postprocess
