"""Meta's automatic mask generator and ours: the same masks, in the same order."""

import numpy as np
import pytest
import torch
from automatic_calls import FEW, MODEL, OPTIONS, picture_of_discs, small_config
from metas_extension import connected_components
from parity_marks import AGAINST_META

from napari_sam2 import SAM2, load_model
from napari_sam2.predictors.regions import without_duplicates

pairs = pytest.importorskip("predictor_pairs")
reference = pytest.importorskip("parity_reference")
boxes = pytest.importorskip("torchvision.ops.boxes")
pytestmark = AGAINST_META


@pytest.fixture(scope="module")
def models():
    """The embedded model on a small input, ours and Meta's."""
    config = small_config()
    weights = load_model(MODEL).state_dict()
    ours, theirs = SAM2(config), reference.video_predictor(config)
    for model in (ours, theirs):
        model.load_state_dict(weights)
    return ours.eval(), theirs.eval()


@pytest.fixture(scope="module")
def discs():
    return picture_of_discs()


def both(models, **options):
    return pairs.mask_generators(models, **(FEW | options))


def assert_same(ours, theirs, *, at_least=6):
    assert len(ours) == len(theirs) >= at_least
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in ("bbox", "area", "crop_box", "point_coords"):
            assert one[name] == other[name]
            assert type(one[name]) is type(other[name])
        for name in ("predicted_iou", "stability_score"):
            assert one[name] == pytest.approx(other[name], abs=1e-5, nan_ok=True)
            assert type(one[name]) is type(other[name])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_masks_and_their_order_are_metas(models, discs, options):
    ours, theirs = (generator.generate(discs) for generator in both(models, **options))

    assert_same(ours, theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one["segmentation"].dtype == other["segmentation"].dtype == bool
        assert np.array_equal(one["segmentation"], other["segmentation"])


@pytest.mark.parametrize("mode", ["uncompressed_rle", "coco_rle"])
def test_run_lengths_are_metas(models, discs, mode):
    if mode == "coco_rle":
        pytest.importorskip("pycocotools")
    pair = both(models, output_mode=mode, crop_n_layers=1)
    ours, theirs = (generator.generate(discs) for generator in pair)

    assert_same(ours, theirs)
    assert [one["segmentation"] for one in ours] == [other["segmentation"] for other in theirs]


def test_small_regions_are_removed_like_metas(models, discs, monkeypatch):
    monkeypatch.setattr("sam2.utils.misc.get_connected_components", connected_components)
    pair = both(models, min_mask_region_area=4)
    ours, theirs = (generator.generate(discs) for generator in pair)
    as_they_are = both(models)[0].generate(discs)

    assert_same(ours, theirs)
    assert [one["area"] for one in ours] != [one["area"] for one in as_they_are]


def test_nothing_is_found_where_nothing_is_good_enough(models, discs):
    ours, theirs = both(models, pred_iou_thresh=0.999)

    assert ours.generate(discs) == theirs.generate(discs) == []


@pytest.mark.parametrize("n", [0, 1, 900, 1500])
def test_duplicates_are_torchvisions(n):
    generator = np.random.default_rng(n)
    corners = generator.integers(0, 60, (n, 2))
    # Sizes that give overlaps equal to the threshold, and boxes without an area.
    found = np.concatenate((corners, corners + generator.integers(0, 20, (n, 2))), axis=1)
    scores = (generator.integers(0, 30, n) / 30).astype(np.float32)  # with many ties

    ours = without_duplicates(found, scores, 0.5)
    theirs = boxes.batched_nms(
        torch.from_numpy(found[:, [1, 0, 3, 2]]).float(),
        torch.from_numpy(scores),
        torch.zeros(n),
        0.5,
    ).tolist()

    if n > 1000:  # torchvision then sorts once more, and leaves the order of ties to chance
        assert scores[ours].tolist() == scores[theirs].tolist()
        ours, theirs = sorted(ours), sorted(theirs)
    assert ours == theirs
    assert n < 2 or len(ours) < n
