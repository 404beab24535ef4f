import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from napari_sam2.model.mask_decoder import stability
from napari_sam2.predictors.regions import (
    RunLengths,
    bounding_boxes,
    crops_of,
    may_be_cut,
    point_grid,
    without_duplicates,
)
from napari_sam2.predictors.windows import Window

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(MASKS)
@settings(deadline=None)
def test_run_lengths_give_the_mask_back(mask):
    runs = RunLengths.of(mask)

    assert np.array_equal(runs.mask(), mask)
    assert runs.area == mask.sum()
    assert sum(runs.counts) == mask.size
    assert all(runs.counts[1:])


def test_runs_go_down_the_columns_and_begin_with_background():
    mask = np.array([[1, 0, 0], [1, 1, 0]], dtype=bool)

    assert RunLengths.of(mask).counts == (0, 2, 1, 1, 2)


@given(MASKS)
@settings(deadline=None)
def test_boxes_bound_their_masks(mask):
    (box,) = bounding_boxes(torch.from_numpy(mask)[None]).tolist()

    if mask.any():
        (found,) = regionprops(mask.astype(np.uint8))
        row0, column0, after_row, after_column = found.bbox
        assert box == [row0, column0, after_row - 1, after_column - 1]
    else:
        assert box == [0, 0, 0, 0]


def test_points_lie_in_the_middle_of_equal_parts():
    assert point_grid(2).tolist() == [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]


@given(st.tuples(*[st.integers(1, 300)] * 2), st.integers(0, 3), st.floats(0, 0.6))
@example((9, 40), 3, 0.0)
@settings(deadline=None)
def test_crops_of_each_layer_cover_the_image_and_stay_inside(shape, layers, overlap):
    crops = crops_of(shape, layers, overlap)

    assert crops[0].window == Window(0, 0, *shape)
    assert [crop.number for crop in crops] == list(range(len(crops)))
    assert len(crops) <= sum(4**n for n in range(layers + 1))
    for layer in range(layers + 1):
        covered = np.zeros(shape, dtype=int)
        for crop in crops:
            if crop.layer == layer:
                covered[crop.window.region] += 1
                assert 0 < crop.window.height <= shape[0] - crop.window.row
                assert 0 < crop.window.width <= shape[1] - crop.window.column
        assert covered.all()


def test_neighbouring_crops_overlap_by_the_part_that_was_asked_for():
    crops = crops_of((100, 200), 1, 0.2)

    assert [crop.window for crop in crops[1:]] == [
        Window(0, 0, 60, 110),
        Window(40, 0, 60, 110),
        Window(0, 90, 60, 110),
        Window(40, 90, 60, 110),
    ]


def test_steep_masks_are_stable_and_flat_ones_not():
    steep, flat = torch.full((4, 4), -9.0), torch.full((4, 4), -9.0)
    steep[:2], flat[:2] = 9, 0.5
    flat[0, 0] = 9

    scores = stability(torch.stack((steep, flat, steep - 99)), 1)

    assert scores[:2].tolist() == [1, 1 / 8]
    assert scores[2].isnan()


def test_region_at_the_edge_of_a_crop_may_be_cut_but_not_at_that_of_the_image():
    window = Window(100, 0, 100, 100)
    boxes = torch.tensor([[150, 50, 160, 60], [115, 50, 160, 60], [150, 5, 160, 60]])

    assert may_be_cut(boxes, window, (400, 400)).tolist() == [False, True, False]


def test_best_of_the_same_boxes_is_kept():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60], [0, 0, 10, 5]])
    scores = np.array([0.5, 0.9, 0.7, 0.1])

    assert without_duplicates(boxes, scores, 0.7) == [1, 2, 3]


@pytest.mark.parametrize(("limit", "kept"), [(0.5, [0, 1]), (0.49, [0])])
def test_boxes_that_overlap_by_just_the_limit_are_both_kept(limit, kept):
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]])

    assert without_duplicates(boxes, np.array([0.5, 0.5]), limit) == kept
