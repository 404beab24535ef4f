import numpy as np
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from napari_sam2.predictors.postprocess import FILLED, fill_holes, small_components


def one_by_one(mask, max_area):
    """The same, slowly: each mask on its own, each component on its own."""
    small = np.zeros_like(mask)
    for region in regionprops(label(mask, connectivity=2)):
        if region.area <= max_area:
            small[tuple(region.coords.T)] = True
    return small


@given(hnp.arrays(bool, (3, 9, 11)))
@settings(deadline=None)
def test_small_components_are_found_in_each_mask_alone(masks):
    expected = np.stack([one_by_one(mask, 4) for mask in masks])

    assert np.array_equal(small_components(masks, 4), expected)


def test_holes_up_to_the_area_become_object():
    logits = torch.full((1, 1, 12, 12), 3.0)
    logits[0, 0, 1:3, 1:5] = -2  # 8 pixels
    logits[0, 0, 6:9, 6:9] = -2  # 9 pixels

    filled = fill_holes(logits, 8)

    assert (filled[0, 0, 1:3, 1:5] == FILLED).all()
    assert (filled[0, 0, 6:9, 6:9] == -2).all()
    assert (filled[logits > 0] == 3).all()


def test_area_zero_changes_nothing():
    logits = torch.randn(2, 1, 8, 8)

    assert fill_holes(logits, 0) is logits
