"""Views of scenes, and the stream of them."""

import math

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.io import imsave
from training_steps import generator

from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.datasets import SampleStream, StreamOptions
from napari_sam2.training.framing import (
    LEAST_ROOM,
    MOST_ROOM,
    OFF,
    ROOM_WITHIN,
    SHARE_WITHIN,
    SPARE,
    cut,
    draw_zoom,
)


def test_views_keep_labels_on_their_pixels(blobs):
    images = torch.from_numpy(blobs[0]).float()[:, None].expand(-1, 3, -1, -1) / 255
    labels = torch.from_numpy(blobs[1]).int()
    for seed in range(8):
        view, seen = random_view(images, labels, 64, (0.5, 2.0), generator(seed))
        assert view.shape == (8, 3, 64, 64)
        if (seen > 0).any() and (seen == 0).any():
            assert view[:, 0][seen > 0].mean() > view[:, 0][seen == 0].mean() + 0.4


def test_light_keeps_images_in_range():
    images = torch.rand(2, 3, 16, 16, generator=generator())
    changed = [random_light(images, generator(seed)) for seed in range(20)]

    assert all(one.shape == images.shape and one.isfinite().all() for one in changed)
    assert all(one.min() >= 0 and one.max() <= 1 for one in changed)
    assert sum(not torch.equal(one, images) for one in changed) > 10


sides = st.integers(40, 400)


@given(sides, sides, st.integers(1, 300), st.integers(0, 10_000))
def test_object_is_in_its_view_with_some_room_or_the_view_is_all_there_is(
    height, width, longest, seed
):
    longest = min(longest, height, width)
    chance, size = generator(seed), 128
    zoom = draw_zoom(longest, (height, width), size, chance)
    edge = round(SPARE * size / zoom)
    middle = height / 2 + OFF * edge, width / 2 - OFF * edge

    rows, columns = cut(middle, edge, (height, width))

    seen = size / zoom / longest
    if not math.isclose(zoom, size / max(height, width)):
        assert zoom <= 4 * (1 + 1e-6)
        assert seen >= ROOM_WITHIN * (1 - 1e-6)
        assert seen <= MOST_ROOM * (1 + 1e-6) or math.isclose(zoom, 4)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (
        min(edge, height),
        min(edge, width),
    )
    assert rows.start >= 0
    assert rows.stop <= height


def test_some_views_are_from_within_the_object():
    chance, size, longest = generator(), 128, 100
    zooms = [draw_zoom(longest, (4000, 4000), size, chance) for _ in range(2000)]
    around = [zoom for zoom in zooms if zoom > size / 4000]

    within = sum(size / zoom / longest < LEAST_ROOM for zoom in around) / len(around)

    # Of those that may be, from half as long as the object, some are wider by chance.
    reach = math.log(MOST_ROOM / ROOM_WITHIN)
    expected = SHARE_WITHIN * math.log(LEAST_ROOM / ROOM_WITHIN) / reach
    assert within == pytest.approx(expected, abs=0.03)


def test_views_around_objects_show_them_as_windows_do(tmp_path):
    labels = np.zeros((400, 400), dtype=np.uint8)
    labels[50:80, 300:330] = 1
    write_nuclei(tmp_path, {"one": (labels * 200, labels)})
    options = StreamOptions(size=64, nuclei=tmp_path, nuclei_share=1.0, around=1.0)
    samples = iter(SampleStream(options))

    shares = [float((next(samples).labels > 0).float().mean()) for _ in range(30)]

    whole = 30**2 / 400**2
    assert min(shares) > 0.5 * whole
    assert sum(share > 3 * whole for share in shares) > 20


@pytest.mark.parametrize("n_frames", [1, 3])
def test_stream_is_the_same_for_the_same_seed(n_frames):
    options = StreamOptions(size=64, n_frames=n_frames, pool=2, echo=2)
    first, again = iter(SampleStream(options)), iter(SampleStream(options))
    for _ in range(4):
        one, other = next(first), next(again)
        assert one.images.shape == (n_frames, 3, 64, 64)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_kept_out_images_are_never_drawn(tmp_path, blobs):
    images = {"train": 200, "test": 50}
    write_nuclei(tmp_path, {k: (blobs[0][0] * 0 + v, blobs[1][0]) for k, v in images.items()})
    options = StreamOptions(
        size=64, nuclei=tmp_path, nuclei_share=1.0, kept_out=frozenset({"test"})
    )
    stream = SampleStream(options)

    assert [path.stem for path in stream._nuclei] == ["train"]
    assert next(iter(stream)).labels.any()


def write_nuclei(folder, pairs):
    """Write images and labels as the dsb2018 set has them."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for stem, (image, labels) in pairs.items():
        imsave(folder / "images" / f"{stem}.png", image, check_contrast=False)
        tifffile.imwrite(folder / "labels" / f"{stem}.tif", labels)
