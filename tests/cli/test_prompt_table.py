"""Points and boxes are read from tables as people write them."""

import re

import pytest
from cli_steps import write

from napari_sam2.cli import main
from napari_sam2.cli.prompt_table import read_prompts
from napari_sam2.prompts import BoxPrompt, PointPrompt


def test_points_without_object_column_are_an_object_each(tmp_path):
    path = write(tmp_path / "p.csv", "frame,row,column\n0,1,2\n3,4,5.5\n")

    prompts = read_prompts(path)

    assert prompts == {
        "object 1": {0: [PointPrompt(0, 1, 2)]},
        "object 2": {3: [PointPrompt(3, 4, 5.5)]},
    }


def test_rows_with_a_second_corner_are_boxes(tmp_path):
    path = write(
        tmp_path / "p.csv", "frame, row, column, row1, column1, object\n0, 1, 2, 3, 4, a\n"
    )

    assert read_prompts(path) == {"a": {0: [BoxPrompt(0, 1, 2, 3, 4)]}}


@pytest.mark.parametrize(
    ("positive", "expected"),
    [("0", False), ("0.0", False), ("false", False), ("", True), ("1", True)],
)
def test_sign_is_read_in_any_spelling(positive, expected, tmp_path):
    path = write(tmp_path / "p.csv", f"frame,row,column,positive\n0,1,2,{positive}\n")

    assert read_prompts(path) == {"object 1": {0: [PointPrompt(0, 1, 2, expected)]}}


def test_tables_that_write_whole_numbers_with_a_point_are_read(tmp_path):
    path = write(tmp_path / "p.csv", "object,frame,row,column\n3.0,2.0,1,2\nleft,0,4,5\n")

    prompts = read_prompts(path)

    assert prompts == {3: {2: [PointPrompt(2, 1, 2)]}, "left": {0: [PointPrompt(0, 4, 5)]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,row\n0,1\n", "no column 'column'"),
        ("frame,row,column\n0,1,2\n0,x,2\n", "line 3: row is 'x'; it must be a number"),
        ("frame,row,column\n0.5,1,2\n", "line 2: frame is 0.5; it must be a whole number"),
        ("frame,row,column\n0,1\n", "line 2: column is missing"),
        ("frame,row,column,positive\n0,1,2,maybe\n", "line 2: 'positive' must be 1 or 0"),
        ("frame,row,column,row1\n0,1,2,9\n", "only one of the columns 'row1' and 'column1'"),
        ("frame,row,column,row1,column1\n0,1,2,9,\n", "line 2: column1 is missing"),
        ("frame,row,column,row1,column1\n0,1,2,,9\n", "line 2: row1 is missing"),
        ("frame,row,column,row1,column1,positive\n0,1,2,8,9,0\n", "box cannot be negative"),
        ("frame,row,column,object\n0,1,2,left\n0,1,2,\n", "line 3: object is missing"),
        ("frame,row,column,object\n0,1,2,0\n", "numbered from 1"),
        ("", "no column 'frame'"),
        ("frame,row,column\n", "no points in it"),
        ("frame,row,column,row1,column1\n0,1,2,1,9\n", "line 2: A box needs an extent"),
    ],
)
def test_unusable_points_are_named_with_their_line(tmp_path, tiny, stack, text, message, capsys):
    points = write(tmp_path / "p.csv", text)
    out = tmp_path / "labels.tif"

    status = main(["track", str(stack), "--points", str(points), "--out", str(out), *tiny])

    assert status == 2
    assert re.search(message, capsys.readouterr().err)
    assert not out.exists()
