"""Everything is found without prompts, chosen from, and followed."""

import math

import numpy as np
import pytest
from session_steps import disc

from napari_sam2 import Everything, EverythingOptions, Selection, Session
from napari_sam2.predictors.pieces import Piece
from napari_sam2.predictors.sweep import Sweep

KEEP_ALL = Selection(min_iou=0, min_stability=0)


def piece(row, column, size, iou=0.9, stability=0.9):
    return Piece((row, column), np.ones((size, size), dtype=bool), iou, stability)


def found(*pieces, shape=(64, 64)):
    return Everything(0, shape, tuple(sorted(pieces, key=lambda one: -one.score)))


@pytest.fixture
def looked(monkeypatch):
    """Have objects found where labels (T, H, W) say, as far as a tile has them; gives the tiles."""

    def begin(labels):
        tiles = []

        def look(self, frame, tile, places):
            tiles.append((frame, tile))
            part = labels[frame][tile.region]
            for _ in range(self.batches(len(places)) - 1):
                yield None
            yield [Piece.of(part == i, tile, 0.9, 0.95) for i in np.unique(part[part > 0])]

        monkeypatch.setattr(Sweep, "look", look)
        return tiles

    return begin


def test_embedded_model_finds_blobs_nobody_pointed_at(nano, blobs):
    session = Session(blobs[0], nano)

    *_, last = session.segment_everything(0, EverythingOptions(points_per_side=6))
    labels = last.found.labels(Selection.suited(nano.config, max_area=2000))

    for truth in (blobs[1][0] == 1, blobs[1][0] == 2):
        number = np.bincount(labels[truth]).argmax()
        assert number > 0
        assert (truth & (labels == number)).sum() / (truth | (labels == number)).sum() > 0.7


def test_objects_on_borders_of_tiles_are_whole(tiny_model, looked):
    truth = np.zeros((1, 200, 300), dtype=int)
    for number, (row, column) in enumerate(((64, 70), (100, 150), (30, 230), (128, 128)), start=1):
        truth[0][disc(row, column, 20, (200, 300))] = number
    tiles = looked(truth)
    session = Session(np.zeros((200, 300), np.uint8), tiny_model)

    *_, last = session.segment_everything(0, EverythingOptions(tile=64, overlap=16))

    labels = last.found.labels(KEEP_ALL)
    assert len(tiles) == 24
    pairs = np.unique(np.stack([truth[0].ravel(), labels.ravel()]), axis=1).T
    assert len(pairs) == 5


def test_each_frame_is_looked_at_on_its_own(session, blobs, looked):
    looked(blobs[1])

    steps = list(session.segment_everything())

    complete = {step.found.frame: step.found for step in steps if step.is_complete}
    assert sorted(complete) == list(range(8))
    for frame, one in complete.items():
        np.testing.assert_array_equal(one.labels(KEEP_ALL) > 0, blobs[1][frame] > 0)


def test_progress_reaches_the_end(session, blobs, looked):
    looked(blobs[1])

    steps = list(session.segment_everything([2, 3], EverythingOptions(tile=64, overlap=16)))

    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))


def test_stopped_early_it_has_what_was_found_so_far(session, blobs, looked):
    looked(blobs[1])
    steps = session.segment_everything(0, EverythingOptions(tile=64, overlap=16))

    step = next(one for one in steps if one.is_new)
    steps.close()

    assert not step.is_complete
    np.testing.assert_array_equal(
        step.found.labels(KEEP_ALL)[:64, :64] > 0, blobs[1][0][:64, :64] > 0
    )


@pytest.mark.parametrize(
    ("selection", "areas"),
    [
        (KEEP_ALL, [25, 100, 400]),
        (Selection(min_iou=0.7, min_stability=0), [25, 400]),
        (Selection(min_iou=0, min_stability=0.7), [100, 400]),
        (Selection(min_iou=0, min_stability=0, min_area=26), [100, 400]),
        (Selection(min_iou=0, min_stability=0, max_area=399), [25, 100]),
    ],
)
def test_size_and_scores_choose(selection, areas):
    everything = found(
        piece(0, 0, 5, 0.9, 0.5), piece(0, 20, 10, 0.5, 0.9), piece(30, 30, 20, 0.9, 0.9)
    )

    assert sorted(everything.table(selection)["area"].tolist()) == areas
    assert sorted(np.bincount(everything.labels(selection).ravel())[1:].tolist()) == areas


def test_where_objects_overlap_the_better_one_has_the_pixels():
    labels = found(piece(0, 0, 10, 0.6), piece(0, 6, 10, 0.9)).labels(KEEP_ALL)

    assert labels[5, 8] == 1
    assert np.bincount(labels.ravel())[1:].tolist() == [100, 60]


def test_object_that_better_ones_cover_is_left_out():
    everything = found(piece(0, 0, 10, 0.6), piece(0, 2, 10, 0.9))

    assert everything.labels(KEEP_ALL).max() == 1
    keep_more = Selection(min_iou=0, min_stability=0, max_overlap=0.9)
    assert everything.labels(keep_more).max() == 2


def test_object_left_out_by_size_takes_no_pixels_from_others():
    everything = found(piece(0, 0, 40, 0.95), piece(5, 5, 10, 0.6))

    labels = everything.labels(Selection(min_iou=0, min_stability=0, max_area=200))

    assert (labels > 0).sum() == 100


def test_table_says_what_the_labels_hold():
    everything = found(piece(0, 0, 10, 0.6), piece(0, 6, 10, 0.9))

    rows = everything.table(KEEP_ALL)

    assert rows["label"].tolist() == [1, 2]
    assert rows["area"].tolist() == [100, 60]
    assert (rows[1]["row"], rows[1]["column"]) == (4.5, 2.5)
    np.testing.assert_allclose(rows["iou"], [0.9, 0.6])


def test_chosen_objects_are_followed(session, blobs):
    known = session.add_object("clicked before")
    first, second = blobs[1][0] == 1, blobs[1][0] == 2
    window = session.source.shape
    whole = [Piece((0, 0), mask, 0.9, 0.9) for mask in (first, second)]

    added = session.add_everything(Everything(0, window, tuple(whole)), KEEP_ALL)
    steps = list(session.propagate())

    assert known not in added
    assert len(steps) == 8
    for number, mask in zip(added, (first, second), strict=True):
        np.testing.assert_array_equal(session.labels[0] == number, mask)
        assert number in steps[-1].object_ids


def test_more_objects_than_labels_have_room_for_are_refused(blobs, tiny_model):
    session = Session(blobs[0], tiny_model, labels=np.zeros(blobs[0].shape, np.uint8))
    many = [piece(row, column, 1) for row in range(0, 60, 2) for column in range(0, 60, 2)]

    with pytest.raises(ValueError, match="no room for object 900"):
        session.add_everything(Everything(0, session.source.shape, tuple(many)), KEEP_ALL)

    assert not session.objects


def test_frame_that_is_not_there_is_refused_at_once(session):
    with pytest.raises(IndexError, match="no frame 9"):
        session.segment_everything(9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"diameter": 0}, "diameter is a number of pixels above 0"),
        ({"diameter": math.nan}, "diameter is a number of pixels above 0"),
        ({"points_per_side": 0}, "points_per_side is 1 or more"),
        ({"tile": 0}, "tile is 1 or more"),
        ({"overlap": -1}, "overlap is a number of pixels"),
        ({"density": 0}, "density is a number above 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EverythingOptions(**wrong)


def test_large_frames_are_looked_at_in_tiles_of_full_resolution():
    tiles = EverythingOptions().tiles((2000, 3000), 512)

    assert {tile.shape for tile in tiles} == {(512, 512)}
    assert len(EverythingOptions().tiles((600, 600), 512)) == 1


def test_known_diameter_chooses_tiles_and_points():
    options = EverythingOptions(diameter=10)

    tiles = options.tiles((512, 512), 512)

    assert tiles[0].shape == (160, 160)
    assert 2 <= 10 / options.spacing(tiles[0]) <= 4
    assert len(EverythingOptions(diameter=200).tiles((512, 512), 512)) == 1
