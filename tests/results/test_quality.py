"""What the table of quality keeps, and what it ranks first."""

import csv
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_sam2 import FrameMasks, MaskPrompt, ObjectMask
from napari_sam2.results.exports import save_table
from napari_sam2.results.quality import PAGE, QualityTable

SHAPE = (64, 96)


def square(object_id, row, column, edge=8, *, iou=0.9, score=6.0):
    mask = np.zeros(SHAPE, bool)
    mask[row : row + edge, column : column + edge] = True
    given = ObjectMask.given(object_id, MaskPrompt(0, mask))
    return ObjectMask(object_id, given.origin, given.logits, iou, score)


def recorded(*frames, table=None, **kwargs):
    """Fill a table with the objects of frame 0, 1, ..."""
    table = table or QualityTable(**kwargs)
    for frame, objects in enumerate(frames):
        ids = {one.object_id for one in objects}
        table.record(FrameMasks(frame, SHAPE, tuple(objects)), ids)
    return table


def test_numbers_of_an_object_are_those_of_its_mask():
    (row,) = recorded([square(3, 10, 20, iou=0.75, score=2.5)]).rows()

    assert (row["object"], row["frame"], row["area"]) == (3, 0, 64)
    assert (row["row"], row["column"]) == (13.5, 23.5)
    assert (row["iou"], row["object_score"]) == (0.75, 2.5)
    assert np.isnan(row["jump"])


def test_jump_is_from_where_the_object_was_seen_last():
    table = recorded([square(1, 0, 0)], [square(1, 3, 4)], [square(1, 0, 0, 0)], [square(1, 9, 12)])

    assert table.rows()["jump"].tolist() == pytest.approx([np.nan, 5, np.nan, 10], nan_ok=True)


def test_frame_found_anew_replaces_what_was_known_of_it():
    table = recorded([square(1, 0, 0)], [square(1, 30, 40)], [square(1, 0, 0)])
    table.record(FrameMasks(1, SHAPE, (square(1, 0, 0, iou=0.5),)), {1})

    assert len(table.rows()) == 3
    assert table.rows()["jump"][1:].tolist() == [0, 0]
    assert table.rows()["iou"][1] == 0.5


def test_objects_that_are_not_wanted_are_not_kept():
    table = QualityTable()
    table.record(FrameMasks(0, SHAPE, (square(1, 0, 0), square(2, 20, 20))), {2})

    assert table.rows()["object"].tolist() == [2]


def test_forgotten_frames_and_objects_are_gone():
    table = recorded(*[[square(1, 0, 0), square(2, 20, 20)]] * 3)
    table.forget(1, 1)
    table.forget(1, 1000)
    assert table.rows(1)["frame"].tolist() == [0, 2]
    table.forget(2)

    assert table.rows()["object"].tolist() == [1, 1]
    assert len(table.rows(2)) == 0


def test_far_frames_take_little_room():
    table = QualityTable()
    for frame in (5, 1_000_000):
        table.record(FrameMasks(frame, SHAPE, (square(1, 0, 0),)), {1})

    assert table.rows()["frame"].tolist() == [5, 1_000_000]
    assert sum(page.nbytes for page in table._pages[1].values()) == 2 * PAGE * 20


@pytest.mark.parametrize(
    "suspect",
    [
        pytest.param(square(1, 20, 20, iou=0.4), id="the model doubts it"),
        pytest.param(square(1, 20, 20, score=0.1), id="it may not be there"),
        pytest.param(square(1, 16, 16, edge=16), id="it has grown"),
        pytest.param(square(1, 50, 80), id="it has jumped"),
        pytest.param(square(1, 0, 0, edge=0), id="it has vanished"),
    ],
)
def test_suspicious_frame_is_ranked_first(suspect):
    steady = [square(1, 20, 20)]
    table = recorded(steady, steady, steady, [suspect], table=None)

    worst = table.worst(n=1)
    assert (worst["object"], worst["frame"]) == (1, 3)
    assert 0.3 < worst["doubt"][0] <= 1


def test_absence_that_lasts_is_not_suspicious():
    gone = [square(1, 0, 0, 0, score=-8.0)]
    rows = recorded([square(1, 20, 20)], gone, gone, gone).rows()

    assert rows["doubt"][1] == pytest.approx(0.5, abs=0.01)
    assert rows["doubt"][2:].max() < 0.01


def test_slow_way_over_a_gap_is_not_a_jump():
    gap = [square(1, 20, 20)], [square(1, 0, 0, 0)], [square(1, 0, 0, 0)], [square(1, 20, 32)]
    at_once = [square(1, 20, 20)], [square(1, 20, 32)]

    assert recorded(*gap).rows()["doubt"][3] < recorded(*at_once).rows()["doubt"][1]


def test_worst_are_in_order_of_one_object_or_of_all_and_not_accepted():
    frames = [[square(1, 0, 0, iou=0.9 - 0.1 * t), square(2, 20, 20, iou=0.35)] for t in range(5)]
    accepted = {(1, 4)}
    table = recorded(*frames, is_accepted=lambda i, frame: (i, frame) in accepted)

    assert table.worst(1, n=2)["frame"].tolist() == [3, 2]
    assert table.worst(n=3)["object"].tolist() == [2, 2, 2]
    assert len(table.worst(n=100)) == 9
    assert len(table.worst(n=0)) == len(table.worst(7)) == 0


def test_table_is_written_as_csv_with_nothing_for_nan(tmp_path):
    table = recorded([square(1, 0, 0)], [square(1, 0, 0, 0)])
    save_table(tmp_path / "quality.csv", table.rows())

    with (tmp_path / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(table.rows().dtype.names)
    assert (rows[0]["object"], rows[0]["row"], rows[0]["jump"]) == ("1", "3.5", "")
    assert (rows[1]["frame"], rows[1]["area"], rows[1]["column"]) == ("1", "0", "")
    assert float(rows[0]["iou"]) == pytest.approx(0.9)


def test_rows_are_not_read_in_the_midst_of_a_change():
    begun, go_on = threading.Event(), threading.Event()

    def save(object_id, number):
        begun.set()
        assert go_on.wait(20)

    table = QualityTable(save=save)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(recorded, [square(1, 8, 8), square(2, 30, 8)], table=table)
        assert begun.wait(20)
        reading = pool.submit(table.rows)
        with pytest.raises(TimeoutError):
            reading.result(0.2)
        go_on.set()

        assert len(reading.result(20)) == 2
