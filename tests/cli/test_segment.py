"""Everything on an image, or on each of a folder, from the command line."""

import csv

import numpy as np
import pytest
import tifffile
from skimage.io import imread

from napari_sam2.cli import main
from napari_sam2.predictors.pieces import Piece
from napari_sam2.predictors.sweep import Sweep


@pytest.fixture(autouse=True)
def _truth(monkeypatch, blobs):
    """Have the blobs found as they are."""

    def look(self, frame, tile, places):
        for _ in range(self.batches(len(places)) - 1):
            yield None
        part = blobs[1][frame][tile.region]
        yield [Piece.of(part == i, tile, iou, 0.95) for i, iou in ((1, 0.9), (2, 0.85))]

    monkeypatch.setattr(Sweep, "look", look)


@pytest.fixture
def image(tmp_path, blobs):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, blobs[0][0])
    return path


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_table_and_picture_are_written(tmp_path, tiny, image, blobs, capsys):
    out = tmp_path / "found.tif"

    assert main(["segment", str(image), "--out", str(out), *tiny]) == 0

    np.testing.assert_array_equal(tifffile.imread(out), blobs[1][0])
    rows = rows_of(tmp_path / "found.csv")
    assert [row["label"] for row in rows] == ["1", "2"]
    assert int(rows[0]["area"]) == (blobs[1][0] == 1).sum()
    assert imread(tmp_path / "found.png").shape == (96, 128, 3)
    assert "2 objects" in capsys.readouterr().out


def test_each_frame_of_a_stack_is_segmented(tmp_path, tiny, stack, blobs):
    out = tmp_path / "found.tif"

    assert main(["segment", str(stack), "--out", str(out), *tiny]) == 0

    np.testing.assert_array_equal(tifffile.imread(out), blobs[1])
    assert len(rows_of(tmp_path / "found.csv")) == 16


def test_size_and_score_choose(tmp_path, tiny, image, blobs):
    out = tmp_path / "found.tif"

    main(["segment", str(image), "--out", str(out), "--max-area", "500", *tiny])
    assert (tifffile.imread(out) > 0).sum() == (blobs[1][0] == 2).sum()
    main(["segment", str(image), "--out", str(out), "--min-iou", "0.87", *tiny])

    assert (tifffile.imread(out) > 0).sum() == (blobs[1][0] == 1).sum()


def test_each_image_of_a_folder_is_segmented_and_one_that_fails_is_named(
    tmp_path, tiny, blobs, capsys
):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.tif", "b.tif", "b.tiff"):
        tifffile.imwrite(folder / name, blobs[0][0])
    (folder / "broken.png").write_text("no picture")
    (folder / "notes.txt").write_text("not an image")
    out = tmp_path / "found"

    status = main(["segment", str(folder), "--out", str(out), *tiny])

    assert status == 2
    assert "1 of 4 images failed" in (told := capsys.readouterr().err)
    assert "broken.png" in told
    labels = sorted(path.name for path in out.glob("*.tif"))
    assert labels == ["a.tif", "b_tif.tif", "b_tiff.tif"]


def test_images_are_never_written_over(tmp_path, tiny, image, blobs, capsys):
    assert main(["segment", str(image), "--out", str(image), *tiny]) == 2
    assert main(["segment", str(tmp_path), "--out", str(tmp_path), *tiny]) == 2

    np.testing.assert_array_equal(tifffile.imread(image), blobs[0][0])
    assert "would overwrite" in (told := capsys.readouterr().err)
    assert "would mix labels with images" in told


def test_folder_without_images_is_told(tmp_path, tiny, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()

    assert main(["segment", str(empty), "--out", str(tmp_path / "out"), *tiny]) == 2

    assert "There are no images in" in capsys.readouterr().err


def test_diameter_that_makes_no_sense_is_told_before_anything_is_read(tmp_path, tiny, capsys):
    missing = str(tmp_path / "missing.tif")

    assert main(["segment", missing, "--out", "found.tif", "--diameter", "-3", *tiny]) == 2

    assert "diameter is a number of pixels above 0" in capsys.readouterr().err


def test_image_size_is_what_the_model_sees(tmp_path, tiny, image, monkeypatch, capsys):
    seen = []
    look = Sweep.look

    def watched(self, frame, tile, places):
        seen.append(self._features.model.config.image_size)
        for pieces in look(self, frame, tile, places):
            yield pieces and [one for one in pieces if one is not None]  # small tiles may be empty

    monkeypatch.setattr(Sweep, "look", watched)
    command = ["segment", str(image), "--out", str(tmp_path / "found.tif"), *tiny]

    assert main([*command, "--image-size", "64"]) == 0
    assert set(seen) == {64}
    assert main([*command, "--image-size", "100"]) == 2
    assert "image_size must be a positive multiple of 32, got 100" in capsys.readouterr().err
