"""J and F of videos on disk: the DAVIS and SA-V layouts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.morphology import dilation, disk

from napari_sam2.evaluation.mask_files import (
    MaskFolder,
    davis_palette,
    read_png,
    write_png,
)
from napari_sam2.evaluation.overlap import boundary_f, contour, jaccard
from napari_sam2.evaluation.video_benchmark import mean_scores, score_videos, table

MASKS = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def blocks(seed, shape=(60, 80), objects=3):
    """Rectangles of objects 1, 2, ...; the same for the same seed."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(shape, dtype=np.uint8)
    for number in range(1, objects + 1):
        row, column = rng.integers(0, shape[0] - 20), rng.integers(0, shape[1] - 25)
        height, width = rng.integers(5, 20), rng.integers(5, 25)
        picture[row : row + height, column : column + width] = number
    return picture


@pytest.fixture
def davis(tmp_path):
    """Two videos, their truth and what was found, each frame's objects in one picture."""
    for video, n_frames in (("bear", 5), ("camel", 4)):
        for frame in range(n_frames):
            # The third object comes and goes, one is found that is not there.
            truth = blocks(100 * n_frames + frame, objects=2 + frame % 2)
            found = np.roll(truth, (2, -3), axis=(0, 1))
            found[found == 3] = 7 if frame == 2 else 3
            for root, picture in (("truth", truth), ("found", found)):
                (tmp_path / root / video).mkdir(parents=True, exist_ok=True)
                write_png(tmp_path / root / video / f"{frame:05d}.png", picture)
    return tmp_path


@pytest.fixture
def sav(davis, tmp_path):
    """The same, a folder of pictures for each object."""
    for root in ("truth", "found"):
        for video in ("bear", "camel"):
            folder = MaskFolder(davis / root / video)
            for path in sorted(folder.path.glob("*.png")):
                picture = read_png(path)
                masks = {number: picture == number for number in (1, 2, 3)}
                target = MaskFolder(tmp_path / "sav" / root / video)
                target.write(path.stem, masks, picture.shape, per_object=True)
    return tmp_path / "sav"


def test_region_score_is_intersection_over_union():
    one, two = np.zeros((2, 4, 4), dtype=bool)
    one[:2], two[1:3] = True, True

    assert jaccard(one, two) == 1 / 3
    assert jaccard(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1
    assert jaccard(one, np.zeros((4, 4), bool)) == 0


def test_contour_is_half_a_pixel_towards_the_origin():
    mask = np.zeros((5, 6), dtype=bool)
    mask[2:4, 2:5] = True

    assert contour(mask).astype(int).tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]


@given(MASKS, st.integers(0, 2**32 - 1), st.sampled_from([0.008, 0.1, 0.3]))
def test_contours_match_within_a_disk_of_the_tolerance(truth, seed, tolerance):
    found = truth ^ (np.random.default_rng(seed).random(truth.shape) < 0.1)
    footprint = disk(int(np.ceil(tolerance * np.linalg.norm(truth.shape))))

    def share(these, those):
        if not these.any():
            return 1.0
        near = dilation(those.astype(np.uint8), footprint)
        return float((these & (near > 0)).sum() / these.sum())

    precision, recall = (
        share(contour(found), contour(truth)),
        share(contour(truth), contour(found)),
    )
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0

    assert boundary_f(found, truth, tolerance) == pytest.approx(expected)


# What Meta's sav_evaluator said of the same pictures, in percent.
METAS_DAVIS = {
    False: {
        ("bear", "1"): (36.91271887058628, 13.302139037433152),
        ("bear", "2"): (42.53244968326822, 14.459482038429408),
        ("bear", "3"): (73.34665524788277, 55.26785714285714),
        ("camel", "1"): (39.006653620059346, 20.639169711225662),
        ("camel", "2"): (49.45007552447792, 11.337269756387403),
        ("camel", "3"): (62.51572327044026, 41.38486312399356),
    },
    True: {
        ("bear", "1"): (38.764880952380956, 13.257575757575758),
        ("bear", "2"): (44.00854788060175, 15.132275132275133),
        ("bear", "3"): (64.46220699717702, 40.357142857142854),
        ("camel", "1"): (41.865686874872424, 12.672413793103448),
        ("camel", "2"): (53.236481033091195, 10.1010101010101),
        ("camel", "3"): (70.44025157232706, 56.52173913043478),
    },
}
METAS_SAV = {
    ("bear", "001"): (38.764880952380956, 13.257575757575758),
    ("bear", "002"): (44.00854788060175, 15.132275132275133),
    ("bear", "003"): (64.46220699717702, 40.357142857142854),
    ("camel", "001"): (41.865686874872424, 12.672413793103448),
    ("camel", "002"): (53.236481033091195, 10.1010101010101),
    ("camel", "003"): (70.44025157232706, 56.52173913043478),
}


def assert_are(scores, expected):
    in_percent = {(s.video, s.object_name): (100 * s.j, 100 * s.f) for s in scores}
    assert in_percent.keys() == expected.keys()
    for key, values in expected.items():
        assert in_percent[key] == pytest.approx(values, abs=1e-6), key


@pytest.mark.parametrize("skip_ends", [True, False], ids=["without ends", "with ends"])
def test_scores_of_pictures_are_metas(davis, skip_ends):
    scores = score_videos(davis / "truth", davis / "found", skip_ends=skip_ends)

    assert_are(scores, METAS_DAVIS[skip_ends])


def test_scores_of_objects_in_pictures_of_their_own_are_metas(sav):
    assert_are(score_videos(sav / "truth", sav / "found"), METAS_SAV)


def test_table_begins_with_the_mean_over_objects(davis):
    scores = list(score_videos(davis / "truth", davis / "found"))
    j_and_f, j, f = mean_scores(scores)
    lines = list(table(scores))

    assert j_and_f == (j + f) / 2
    assert j == np.mean([s.j for s in scores])
    assert lines[1].split() == [
        "all",
        "videos",
        f"{100 * j_and_f:.1f}",
        f"{100 * j:.1f}",
        f"{100 * f:.1f}",
    ]
    assert len(lines) == 2 + len(scores)


def test_annotations_may_lie_a_folder_deeper(davis):
    (davis / "set").mkdir()
    (davis / "truth").rename(davis / "set" / "Annotations")

    assert {s.video for s in score_videos(davis / "set", davis / "found")} == {"bear", "camel"}


def test_video_that_was_not_segmented_is_named_unless_that_is_well(davis):
    (davis / "found" / "camel").rename(davis / "found" / "goat")
    with pytest.raises(ValueError, match=r"Only in .*truth: \['camel'\]; only in .* \['goat'\]"):
        list(score_videos(davis / "truth", davis / "found"))

    scores = score_videos(davis / "truth", davis / "found", strict=False)
    assert {s.video for s in scores} == {"bear"}


def test_frame_that_was_not_segmented_is_named(davis):
    (davis / "found" / "bear" / "00002.png").unlink()
    with pytest.raises(ValueError, match=r"no .*found/bear/00002\.png"):
        list(score_videos(davis / "truth", davis / "found"))


def test_pictures_of_another_size_are_named(davis):
    write_png(davis / "found" / "bear" / "00002.png", blocks(0, (30, 40)))
    with pytest.raises(ValueError, match=r"00002\.png is of shape \(30, 40\), but"):
        list(score_videos(davis / "truth", davis / "found"))


def test_pictures_in_colour_or_broken_are_named(davis):
    path = davis / "found" / "bear" / "00002.png"
    Image.new("RGB", (80, 60)).save(path)
    with pytest.raises(ValueError, match=r"00002\.png is in colour"):
        list(score_videos(davis / "truth", davis / "found"))
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"00002\.png cannot be read as a picture"):
        list(score_videos(davis / "truth", davis / "found"))


def test_pictures_have_the_colours_of_the_benchmark():
    colours = np.frombuffer(davis_palette(), dtype=np.uint8).reshape(256, 3)

    assert colours[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[[8, 255]].tolist() == [[64, 0, 0], [224, 224, 192]]


@pytest.mark.parametrize("per_object", [False, True], ids=["one picture", "of each object"])
def test_masks_come_back_as_they_were_written(tmp_path, per_object):
    picture = blocks(3)
    masks = {number: picture == number for number in (1, 2, 3)}
    folder = MaskFolder(tmp_path / "video")
    folder.write("00007", masks, picture.shape, per_object=per_object)

    back = folder.read("00007")

    assert folder.per_object is per_object
    assert back.keys() == masks.keys()
    assert all(np.array_equal(back[number], masks[number]) for number in masks)
    assert folder.read("00008") == {}
    assert not list(tmp_path.rglob("*.partial"))


def test_folder_of_an_object_is_named_by_its_number(tmp_path):
    (tmp_path / "left").mkdir()
    with pytest.raises(ValueError, match="named by its object's number, as in 001"):
        MaskFolder(tmp_path).read("00000")
