"""Meta's image predictor and ours, on the same random weights: the same call, the same numbers."""

import dataclasses

import numpy as np
import pytest
from metas_extension import connected_components
from parity_marks import AGAINST_META
from PIL import Image

from napari_sam2 import SAM2ImagePredictor

reference = pytest.importorskip("parity_reference")
metas = pytest.importorskip("sam2.sam2_image_predictor")
pytestmark = AGAINST_META

TOLERANCE = 1e-4  #: logits of up to about 40

POINT, POINTS = np.array([[31.0, 20.5]]), np.array([[31.0, 20.5], [70.25, 44.0], [3.0, 9.0]])
BOX = np.array([12.0, 7.5, 66.0, 51.0])


def both(config, *, models=None, **options):
    """Our predictor and Meta's."""
    ours, theirs = models or reference.pair(config)
    metas_predictor = metas.SAM2ImagePredictor(theirs, **options)
    # Meta's has these fixed for inputs of 1024 pixels.
    grid = config.grid_size
    metas_predictor._bb_feat_sizes = [(n * grid, n * grid) for n in (4, 2, 1)]
    return SAM2ImagePredictor(ours, **options), metas_predictor


def picture(height=61, width=83, seed=0):
    """Smooth colours with an edge, uint8."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(rows / 7 + k) * np.cos(columns / (5 + k)) for k in range(3)], axis=-1)
    noise = np.random.default_rng(seed).normal(0, 0.1, waves.shape)
    edge = (columns > 0.4 * width)[..., None] * 0.4
    return ((waves + noise + edge) * 80 + 100).clip(0, 255).astype(np.uint8)


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


PROMPTS = {
    "point": {"point_coords": POINT, "point_labels": np.array([1])},
    "points": {"point_coords": POINTS, "point_labels": np.array([1, 0, 1])},
    "box": {"box": BOX},
    "box and points": {"box": BOX, "point_coords": POINTS, "point_labels": np.array([1, 0, 0])},
    "padding": {"point_coords": POINTS, "point_labels": np.array([1, 0, -1])},
    "nothing": {},
    "boxes": {"box": np.array([BOX, BOX / 2, BOX[[0, 0, 3, 3]]])},
    "points of objects": {
        "point_coords": np.stack([POINTS, POINTS[::-1]]),
        "point_labels": np.array([[1, 0, 1], [1, 1, 0]]),
    },
    "lists": {"point_coords": POINTS.tolist(), "point_labels": [True, False, True]},
}


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())
def test_prompt_gives_metas_logits(predictors, prompts, multimask):
    ours, theirs = (
        predictor.predict(**prompts, multimask_output=multimask, return_logits=True)
        for predictor in predictors
    )

    assert_same(ours, theirs)


@pytest.mark.parametrize("with_point", [True, False])
def test_earlier_mask_gives_metas_logits(predictors, with_point):
    earlier = predictors[1].predict(**PROMPTS["box"])[2]
    prompts = PROMPTS["point"] if with_point else {}

    ours, theirs = (
        predictor.predict(**prompts, mask_input=earlier[1][None], return_logits=True)
        for predictor in predictors
    )

    assert_same(ours, theirs)


def test_earlier_masks_of_objects_give_metas_logits(predictors):
    earlier = predictors[1].predict(**PROMPTS["boxes"], multimask_output=False)[2]

    ours, theirs = (
        predictor.predict(**PROMPTS["boxes"], mask_input=earlier, return_logits=True)
        for predictor in predictors
    )

    assert earlier.shape == (3, 1, 32, 32)
    assert_same(ours, theirs)


def test_masks_are_metas(predictors):
    ours, theirs = (predictor.predict(**PROMPTS["points"]) for predictor in predictors)

    assert set(np.unique(ours[0])) == {0.0, 1.0}
    assert_same(ours, theirs, logits=False)
    # A logit within the tolerance of the threshold may fall on either side.
    assert (ours[0] != theirs[0]).sum() <= 1


def test_positions_in_parts_of_the_image_are_metas(predictors):
    prompts = {"point_coords": POINTS / 100, "point_labels": np.array([1, 0, 1]), "box": BOX / 100}

    ours, theirs = (
        predictor.predict(**prompts, normalize_coords=False, return_logits=True)
        for predictor in predictors
    )

    assert_same(ours, theirs)


@pytest.mark.parametrize("shape", [(1, 1), (7, 400), (128, 128), (129, 127), (311, 53)])
def test_images_of_any_size_are_resized_like_metas(tiny_config, shape):
    pair = both(tiny_config)
    for predictor in pair:
        predictor.set_image(picture(*shape))
    embeddings = [predictor.get_image_embedding() for predictor in pair]
    ours, theirs = (
        predictor.predict(np.array([[shape[1] / 3, shape[0] / 2]]), [1], return_logits=True)
        for predictor in pair
    )

    assert reference.largest_difference(*embeddings) < TOLERANCE
    assert_same(ours, theirs)


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


def test_batches_of_images_are_metas(tiny_config):
    images = [picture(), picture(90, 40, seed=1), picture(128, 128, seed=2)]
    prompts = {
        "point_coords_batch": [POINT, None, np.stack([POINT, POINT / 2])],
        "point_labels_batch": [np.array([1]), None, np.array([[1], [1]])],
        "box_batch": [None, BOX, np.stack([BOX, BOX / 2])],
    }
    pair = both(tiny_config)
    for predictor in pair:
        predictor.set_image_batch(images)
    ours, theirs = (predictor.predict_batch(**prompts, return_logits=True) for predictor in pair)

    assert [len(part) for part in ours] == [len(part) for part in theirs] == [3, 3, 3]
    for one, other in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        assert_same(one, other)
    assert_same(*(predictor.predict(**PROMPTS["box"]) for predictor in pair), logits=False)


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
