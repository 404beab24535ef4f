"""Tiles cover a frame, and what they cut is whole again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.predictors.pieces import Piece, is_cut, stitch, tiles_of, without_repeats
from napari_sam2.predictors.windows import Window


def square(row, column, size, iou=0.9, stability=0.9):
    return Piece((row, column), np.ones((size, size), dtype=bool), iou, stability)


def masks_of(pieces, shape):
    masks = np.zeros((len(pieces), *shape), dtype=bool)
    for mask, piece in zip(masks, pieces, strict=True):
        mask[piece.region] = piece.part
    return masks


def seen(truth, window):
    """Give the objects of labels as far as they are in a tile."""
    part = truth[window.region]
    return [Piece.of(part == i, window, 0.9, 0.9) for i in np.unique(part[part > 0])]


@st.composite
def frames_of_discs(draw):
    """Labels of discs that do not touch, and how they are tiled."""
    shape = draw(st.integers(40, 120)), draw(st.integers(40, 120))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=int)
    for number in range(1, draw(st.integers(1, 6)) + 1):
        row, column = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        radius = draw(st.integers(2, 30))
        distance = (rows - row) ** 2 + (columns - column) ** 2
        if not labels[distance <= (radius + 2) ** 2].any():
            labels[distance <= radius**2] = number
    edge = draw(st.integers(16, 64))
    return labels, edge, draw(st.integers(4, edge // 2))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 100), st.data())
def test_tiles_cover_every_pixel_and_overlap_as_much_as_asked(height, width, edge, data):
    overlap = data.draw(st.integers(0, edge - 1))

    tiles = tiles_of((height, width), edge, overlap)

    covered = np.zeros((height, width), dtype=bool)
    for tile in tiles:
        covered[tile.region] = True
    assert covered.all()
    assert {tile.shape for tile in tiles} == {(min(edge, height), min(edge, width))}
    starts = sorted({tile.column for tile in tiles})
    gaps = np.diff(starts)
    assert (gaps <= edge - overlap).all()
    assert (gaps > 0).all()


def test_tiles_that_share_all_their_pixels_are_refused():
    with pytest.raises(ValueError, match="cannot overlap by 32"):
        tiles_of((100, 100), 32, 32)


@given(frames_of_discs())
def test_objects_on_borders_of_tiles_are_put_together_as_they_are(case):
    labels, edge, overlap = case
    found = [(tile, seen(labels, tile)) for tile in tiles_of(labels.shape, edge, overlap)]

    masks = masks_of(stitch(found, labels.shape), labels.shape)

    truth = [labels == i for i in np.unique(labels[labels > 0])]
    assert sorted(m.tobytes() for m in masks) == sorted(m.tobytes() for m in truth)


def test_whole_one_counts_rather_than_the_piece_beside_it():
    tiles = tiles_of((64, 100), 64, 28)
    piece, whole = Piece((20, 50), np.ones((10, 14), bool), 0.99, 0.99), square(20, 50, 16, 0.6)

    (joined,) = stitch([(tiles[0], [piece]), (tiles[1], [whole])], (64, 100))

    assert joined is whole


def test_neighbours_that_touch_across_a_border_stay_two():
    labels = np.zeros((64, 100), dtype=int)
    labels[20:40, 30:50], labels[20:40, 50:70] = 1, 2
    found = [(tile, seen(labels, tile)) for tile in tiles_of(labels.shape, 64, 28)]

    masks = masks_of(stitch(found, labels.shape), labels.shape)

    np.testing.assert_array_equal(sorted(m.sum() for m in masks), [400, 400])
    assert not (masks[0] & masks[1]).any()


def test_what_only_one_tile_saw_stays():
    tiles = tiles_of((64, 100), 64, 28)

    joined = stitch([(tiles[0], [square(20, 40, 20)]), (tiles[1], [])], (64, 100))

    assert len(joined) == 1


@pytest.mark.parametrize(
    ("column", "cut"), [(0, False), (30, False), (54, True), (53, False), (50, False)]
)
def test_piece_is_cut_where_the_frame_goes_on(column, cut):
    assert is_cut(square(20, column, 10), Window(0, 0, 64, 64), (64, 100)) is cut


def test_of_masks_that_are_almost_the_same_the_best_is_kept():
    worse, best, other = square(10, 10, 20, 0.7), square(10, 11, 20, 0.9), square(10, 40, 20, 0.8)

    assert without_repeats([worse, best, other], 0.8) == [best, other]


def test_mask_within_another_is_not_the_same():
    outer, inner = square(10, 10, 20, 0.9), square(12, 12, 10, 0.8)

    assert without_repeats([outer, inner], 0.8) == [outer, inner]
