"""Our predictors give what Meta's gave once; this needs nothing of Meta's to be installed."""

import golden_cases as golden
import numpy as np
import pytest
from automatic_calls import FEW, MODEL, OPTIONS, picture_of_discs, small_config
from image_calls import CALLS
from random_models import randomize, set_presence
from video_calls import CASES, noisy_video

from napari_sam2 import (
    SAM2,
    SAM2AutomaticMaskGenerator,
    SAM2ImagePredictor,
    SAM2VideoPredictor,
    load_model,
)

pytestmark = pytest.mark.usefixtures("one_thread")

#: Of logits, as where Meta's package is at hand: on one frame, and on tracked ones.
ONE_FRAME, TRACKED = 1e-4, 1e-3


def with_random_weights(config):
    return set_presence(randomize(SAM2(config))).eval()


def assert_same(ours, metas, tolerance):
    assert ours.keys() == metas.keys()
    for name, kept in metas.items():
        assert (ours[name].shape, ours[name].dtype) == (kept.shape, kept.dtype)
        np.testing.assert_allclose(ours[name], kept, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", CALLS)
def test_image_predictor_gives_what_metas_gave(tiny_config, name):
    predictor = SAM2ImagePredictor(with_random_weights(tiny_config))

    assert_same(golden.image_case(predictor, CALLS[name]), golden.read("image", name), ONE_FRAME)


@pytest.mark.parametrize("name", CASES)
def test_video_predictor_gives_what_metas_gave(tiny_config, name):
    case = CASES[name]
    model = with_random_weights(case.config(tiny_config))
    rules = {**case.rules, "binarize_mask_from_pts_for_mem_enc": True}
    predictor = SAM2VideoPredictor(model, **rules)

    ours = golden.video_case(case.script(predictor, predictor.init_state(noisy_video())))

    assert_same(ours, golden.read("video", name), TRACKED)


@pytest.mark.parametrize("name", golden.AUTOMATIC)
def test_automatic_masks_are_what_metas_were(name):
    kept = golden.read("automatic", name)
    assert kept.pop("weights") == golden.weights_digest(), "run tests/parity/write_golden.py"
    model = SAM2(small_config())
    model.load_state_dict(load_model(MODEL).state_dict())
    generator = SAM2AutomaticMaskGenerator(model.eval(), **(FEW | OPTIONS[name]))

    ours = golden.automatic_case(generator, picture_of_discs())

    masks, metas = (np.unpackbits(found.pop("masks"), axis=-1) for found in (ours, kept))
    assert_same(ours, kept, 1e-4)
    # A logit that rounds to either side of the threshold.
    assert (masks != metas).sum() <= 2
