import sys

import numpy as np
import pytest

from napari_sam2 import SAM2AutomaticMaskGenerator

ALL = {"points_per_side": 3, "pred_iou_thresh": 0, "stability_score_thresh": 0}


def test_records_describe_their_masks(tiny_model):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    generator = SAM2AutomaticMaskGenerator(tiny_model, box_nms_thresh=1.0, **ALL)

    records = generator.generate(image)

    assert len(records) == 27
    asked = {tuple(np.round(record["point_coords"][0], 1)) for record in records}
    assert asked == {(x, y) for x in (8.3, 25.0, 41.7) for y in (6.7, 20.0, 33.3)}
    for record in records:
        mask = record["segmentation"]
        rows, columns = np.nonzero(mask)
        assert (mask.shape, mask.sum()) == ((40, 50), record["area"])
        assert record["crop_box"] == [0, 0, 50, 40]
        if len(rows):
            x, y, width, height = record["bbox"]
            assert (x, x + width) == (columns.min(), columns.max())
            assert (y, y + height) == (rows.min(), rows.max())


def test_thresholds_may_be_changed_between_images(tiny_model):
    generator = SAM2AutomaticMaskGenerator(tiny_model, **ALL)
    image = np.zeros((40, 50), np.uint8)
    before = generator.generate(image)

    generator.pred_iou_thresh = 0.9999

    assert before
    assert generator.generate(image) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_mode": "polygons"}, "no output_mode 'polygons'.*uncompressed_rle"),
        ({"points_per_side": None}, "either points_per_side or point_grids"),
        ({"point_grids": [np.zeros((1, 2))]}, "either points_per_side or point_grids"),
        (
            {"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1},
            r"point_grids of 2 arrays.*\[\(1, 2\)\]",
        ),
        ({"points_per_side": None, "point_grids": [np.zeros((0, 2))]}, r"\(0, 2\)"),
        (
            {"points_per_side": 2, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
            r"every layer of crops, got \[2, 1, 0\]",
        ),
    ],
)
def test_options_that_do_not_fit_are_named(tiny_model, options, message):
    with pytest.raises(ValueError, match=message):
        SAM2AutomaticMaskGenerator(tiny_model, **options)


def test_compressed_run_lengths_without_pycocotools_say_what_to_install(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)

    with pytest.raises(ImportError, match=r"pip install 'napari-sam2\[coco\]'"):
        SAM2AutomaticMaskGenerator(tiny_model, output_mode="coco_rle")


def test_misspelt_option_is_warned_of(tiny_model):
    with pytest.warns(UserWarning, match="takes no points_per_sid:"):
        SAM2AutomaticMaskGenerator(tiny_model, points_per_sid=8)
