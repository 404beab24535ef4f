"""Meta's image predictor and ours, on the same random weights: the same call, the same numbers."""

import dataclasses

import numpy as np
import pytest
from image_calls import BOX, CALLS, PROMPTS, picture
from metas_extension import connected_components
from parity_marks import AGAINST_META
from PIL import Image

pairs = pytest.importorskip("predictor_pairs")
reference = pytest.importorskip("parity_reference")
pytestmark = AGAINST_META

both = pairs.image_predictors

TOLERANCE = 1e-4  #: logits of up to about 40


def assert_same(ours, theirs, *, logits=True):
    """Compare masks (or logits), predicted IoUs and low-resolution logits."""
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    for one, other in zip(ours[0 if logits else 1 :], theirs[0 if logits else 1 :], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    assert np.ptp(theirs[2]) > 1, "logits were meant to vary"


@pytest.fixture
def predictors(tiny_config):
    pair = both(tiny_config)
    for predictor in pair:
        predictor.set_image(picture())
    return pair


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_call_gives_metas_logits(tiny_config, call):
    for ours, theirs in zip(*(call(predictor) for predictor in both(tiny_config)), strict=True):
        assert_same(ours, theirs)


def test_masks_are_metas(predictors):
    ours, theirs = (predictor.predict(**PROMPTS["points"]) for predictor in predictors)

    assert set(np.unique(ours[0])) == {0.0, 1.0}
    assert_same(ours, theirs, logits=False)
    # A logit within the tolerance of the threshold may fall on either side.
    assert (ours[0] != theirs[0]).sum() <= 1


def test_embeddings_are_metas(tiny_config):
    pair = both(tiny_config)
    for predictor in pair:
        predictor.set_image(picture(129, 127))

    assert reference.largest_difference(*(p.get_image_embedding() for p in pair)) < TOLERANCE


@pytest.mark.parametrize(
    ("given", "as_metas_takes_it"),
    [
        (picture() / np.float32(255), picture() / np.float32(255)),
        (picture() / 255.0, picture() / np.float32(255)),
        (Image.fromarray(picture()), Image.fromarray(picture())),
        (picture()[..., 0], picture()[..., [0, 0, 0]]),
        (picture()[..., :1], picture()[..., [0, 0, 0]]),
        (picture()[..., [0, 1, 2, 0]], picture()),
        (picture()[..., ::-1], picture()[..., ::-1].copy()),
        (Image.fromarray(picture()[..., 0]), picture()[..., [0, 0, 0]]),
        (Image.fromarray(picture()).convert("RGBA"), picture()),
    ],
    ids=["float", "double", "pillow", "grey", "one channel", "rgba", "flipped", "L", "RGBA"],
)
def test_kinds_of_images_are_metas(tiny_config, given, as_metas_takes_it):
    ours, theirs = both(tiny_config)
    ours.set_image(given)
    theirs.set_image(as_metas_takes_it)

    assert_same(
        ours.predict(**PROMPTS["box"], return_logits=True),
        theirs.predict(**PROMPTS["box"], return_logits=True),
    )


@pytest.mark.parametrize("postprocess", [True, False])
def test_single_masks_that_are_not_stable_give_way_like_metas(tiny_config, postprocess):
    models = reference.pair(tiny_config, dynamic_multimask_via_stability=False)
    pair = both(tiny_config, models=models)
    for predictor in pair:
        predictor.set_image(picture())
    points = np.random.default_rng(0).random((16, 1, 2)) * (83, 61)
    prompts = {"point_coords": points, "point_labels": np.ones((16, 1)), "multimask_output": False}
    always = pair[1].predict(**prompts)[2]
    stabilities = (always > 0.1).sum(axis=(1, 2, 3)) / (always > -0.1).sum(axis=(1, 2, 3))
    kept = {"least_stability": 0.0}
    if postprocess:
        kept = {"least_stability": float(np.median(stabilities)), "stability_delta": 0.1}
        decoder = models[1].sam_mask_decoder
        decoder.dynamic_multimask_via_stability = True
        decoder.dynamic_multimask_stability_delta = kept["stability_delta"]
        decoder.dynamic_multimask_stability_thresh = kept["least_stability"]
    models[0].config = dataclasses.replace(tiny_config, **kept)

    ours, theirs = (predictor.predict(**prompts, return_logits=True) for predictor in pair)

    assert_same(ours, theirs)
    gave_way = (theirs[2] != always).any(axis=(1, 2, 3))
    assert gave_way.any() == postprocess
    assert not gave_way.all()


@pytest.mark.parametrize("areas", [(12, 0), (0, 12), (12, 6.5)])
def test_holes_and_specks_are_metas(tiny_config, areas, monkeypatch):
    monkeypatch.setattr("sam2.utils.misc.get_connected_components", connected_components)
    pair = both(tiny_config, max_hole_area=areas[0], max_sprinkle_area=areas[1], mask_threshold=0.1)
    plain = both(tiny_config, models=(pair[0].model, pair[1].model), mask_threshold=0.1)[0]
    for predictor in (*pair, plain):
        predictor.set_image(picture())
    # As an earlier mask gives fine structure to the next.
    noise = np.random.default_rng(0).normal(0, 8, (2, 1, 32, 32))
    ours, theirs, before = (
        predictor.predict(mask_input=noise[:1, 0], box=BOX, return_logits=True)
        for predictor in (*pair, plain)
    )

    assert_same(ours, theirs)
    assert (np.abs(ours[0] - before[0]) > 1).any(), "something was meant to be cleaned"
