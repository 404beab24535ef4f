"""Results as tracks, the way napari takes them."""

import numpy as np
import pytest
from napari.layers import Tracks as TracksLayer

from napari_sam2 import FrameMasks, MaskPrompt, ObjectMask
from napari_sam2.results.quality import QualityTable
from napari_sam2.results.tracks import make_tracks, merge_planes

SHAPE = (64, 96)


def table(*frames):
    """Objects of frame 0, 1, ...: a mapping from their numbers to the corner of a square."""
    quality = QualityTable()
    for frame, corners in enumerate(frames):
        masks = []
        for object_id, corner in corners.items():
            mask = np.zeros(SHAPE, bool)
            if corner is not None:
                mask[corner[0] : corner[0] + 5, corner[1] : corner[1] + 5] = True
            masks.append(ObjectMask.given(object_id, MaskPrompt(frame, mask)))
        quality.record(FrameMasks(frame, SHAPE, tuple(masks)), corners.keys())
    return quality.rows()


@pytest.fixture
def rows():
    return table({1: (0, 0), 9: (20, 20)}, {1: None, 9: (24, 20)}, {1: (8, 4), 12: (40, 40)})


def test_track_is_where_its_object_is_present(rows):
    tracks = make_tracks(rows, ["frame", "row", "column"], {})

    expected = [[1, 0, 2, 2], [1, 2, 10, 6], [9, 0, 22, 22], [9, 1, 26, 22], [12, 2, 42, 42]]
    assert tracks.data.tolist() == expected
    assert tracks.properties["area"].tolist() == [25] * 5
    assert tracks.axes == ("frame", "row", "column")


def test_parents_are_those_that_have_a_place(rows):
    tracks = make_tracks(rows, ["frame", "row", "column"], {12: 9, 1: 77, 5: 1, 9: None})

    assert tracks.graph == {12: [9]}


def test_axes_lie_as_in_the_data(rows):
    tracks = make_tracks(rows, [3, "row", "frame", "column"], {})

    assert tracks.data[1].tolist() == [1, 3, 10, 2, 6]
    assert tracks.axes == ("axis 0", "row", "frame", "column")


@pytest.mark.parametrize("axes", [["frame", "row", "column"], ["frame", 4, "row", "column"]])
def test_napari_takes_tracks(rows, axes):
    tracks = make_tracks(rows, axes, {12: 9})

    layer = TracksLayer(tracks.data, graph=tracks.graph, properties=tracks.properties)
    assert layer.graph == {12: [9]}
    assert np.array_equal(layer.data, tracks.data)


def test_table_has_all_in_columns(rows):
    found = make_tracks(rows, ["frame", "row", "column"], {12: 9}).table()

    assert found.dtype.names[:4] == ("object", "frame", "row", "column")
    assert found["parent"].tolist() == [0, 0, 0, 0, 9]
    assert found["frame"].tolist() == [0, 2, 0, 1, 2]


def test_nothing_found_is_an_empty_table():
    found = make_tracks(table(), ["frame", "row", "column"], {1: None})

    assert found.data.shape == (0, 4)
    assert len(found.table()) == 0


def test_planes_of_a_volume_are_one_row():
    (merged,) = merge_planes(table({1: (0, 0)}, {1: (0, 4)}, {1: None}), time=7)

    assert (merged["object"], merged["frame"], merged["area"]) == (1, 7, 50)
    assert (merged["plane"], merged["row"], merged["column"]) == (0.5, 2, 4)


def test_way_of_a_volume_is_the_mean_of_its_planes():
    rows = table({1: (0, 0)}, {1: (0, 4)}, {1: (0, 4)})
    known = rows["jump"][1:]
    assert known[0] > known[1] == 0

    (merged,) = merge_planes(rows, time=7)
    (single,) = merge_planes(rows[:1], time=7)

    assert merged["jump"] == pytest.approx(known.mean())
    assert np.isnan(single["jump"])


def test_no_plane_at_all_is_no_row():
    assert len(merge_planes(table({1: None}), time=0)) == 0
