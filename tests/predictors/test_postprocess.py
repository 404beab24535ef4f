import numpy as np
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from napari_sam2.predictors.postprocess import FILLED, clean, fill_holes, small_components


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


def test_holes_are_filled_and_specks_removed_in_each_mask_of_a_batch():
    logits = torch.full((2, 2, 12, 12), 3.0)
    logits[0, 1, 2:4, 2:4] = -2  # a hole of 4
    logits[1, 0, 6:] = -5
    logits[1, 0, 9, 9] = 4  # a speck of 1
    logits[1, 0, 8, 8] = 4  # that touches it at a corner

    cleaned = clean(logits, 0.5, max_hole_area=4, max_sprinkle_area=2)

    assert (cleaned[0, 1, 2:4, 2:4] == 10.5).all()
    assert cleaned[1, 0, 9, 9] == cleaned[1, 0, 8, 8] == -9.5
    assert (cleaned != logits).sum() == 6


def test_speck_around_a_hole_becomes_background_and_its_hole_object():
    """Both are found in the mask as it was: Meta's rule."""
    logits = torch.full((1, 1, 9, 9), -3.0)
    logits[0, 0, 3:6, 3:6] = 3
    logits[0, 0, 4, 4] = -1

    cleaned = clean(logits, 0, max_hole_area=1, max_sprinkle_area=8)

    assert cleaned[0, 0, 4, 4] == 10
    assert cleaned[0, 0, 3, 3] == -10


def test_nothing_is_cleaned_unless_asked():
    logits = torch.randn(2, 1, 8, 8)

    assert clean(logits, 0, max_hole_area=0, max_sprinkle_area=0) is logits
