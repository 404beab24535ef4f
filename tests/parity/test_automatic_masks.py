"""Meta's automatic mask generator and ours: the same masks, in the same order.

With the weights in the package, which find objects: masks of random weights all cover the image,
and one of them would suppress all others.
"""

import dataclasses

import numpy as np
import pytest
import torch
from metas_extension import connected_components
from parity_marks import AGAINST_META

from napari_sam2 import SAM2, SAM2AutomaticMaskGenerator, load_config, load_model
from napari_sam2.predictors.regions import point_grid, without_duplicates

reference = pytest.importorskip("parity_reference")
metas = pytest.importorskip("sam2.automatic_mask_generator")
boxes = pytest.importorskip("torchvision.ops.boxes")
pytestmark = AGAINST_META

FEW = {"points_per_side": 8, "pred_iou_thresh": 0.25, "stability_score_thresh": 0.5}
GRIDS = [point_grid(9) ** 1.2, np.array([[0.3, 0.6], [0.5, 0.5], [0.8, 0.25], [0.9, 0.7]])]

OPTIONS = {
    "batches that do not divide": {"points_per_batch": 7},
    "whatever its quality": {"pred_iou_thresh": 0, "box_nms_thresh": 1.0},
    "however unstable": {"stability_score_thresh": 0.0},
    "offset and threshold": {"stability_score_offset": 0.6, "mask_threshold": 0.4},
    "fewer duplicates": {"box_nms_thresh": 0.2},
    "crops": {"crop_n_layers": 1, "crop_overlap_ratio": 0.2},
    "layers of crops": {
        "crop_n_layers": 2,
        "crop_n_points_downscale_factor": 2,
        "crop_nms_thresh": 0.3,
    },
    "own grids": {"points_per_side": None, "point_grids": GRIDS, "crop_n_layers": 1},
    "refined": {"use_m2m": True, "points_per_batch": 20},
    "single masks": {
        "multimask_output": False,
        "pred_iou_thresh": 0.1,
        "stability_score_thresh": 0.2,
    },
    "refined single masks in crops": {
        "use_m2m": True,
        "multimask_output": False,
        "crop_n_layers": 1,
    },
}


@pytest.fixture(scope="module")
def models():
    """The embedded model on a small input, ours and Meta's."""
    config = dataclasses.replace(load_config("sam2.1_hiera_nano"), image_size=128)
    weights = load_model("sam2.1_hiera_nano").state_dict()
    ours, theirs = SAM2(config), reference.video_predictor(config)
    for model in (ours, theirs):
        model.load_state_dict(weights)
    return ours.eval(), theirs.eval()


@pytest.fixture(scope="module")
def discs():
    """Discs of all colours on a dark ground, uint8."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :150]
    image = generator.normal(20, 8, (120, 150, 3))
    for _ in range(14):
        row, column = generator.random(2) * image.shape[:2]
        radius, squeeze = generator.uniform((6, 0.5), (16, 2))
        inside = (rows - row) ** 2 + squeeze * (columns - column) ** 2 < radius**2
        image[inside] = generator.uniform(60, 250, 3)
    return image.clip(0, 255).astype(np.uint8)


def both(models, **options):
    """Our generator and Meta's."""
    options = FEW | options
    ours = SAM2AutomaticMaskGenerator(models[0], **options)
    theirs = metas.SAM2AutomaticMaskGenerator(models[1], **options)
    theirs.predictor._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    return ours, theirs


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
