"""What is exported of an image with an axis for channels has none."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel

from napari_sam2._layers import Channels

WAIT = 20_000  #: ms, for what a worker does
LABELS = "SAM 2 labels"


@pytest.fixture
def stack(blobs):
    """What the image shows in each channel, (T, Y, X)."""
    return blobs[0]


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture(params=[0, 1], ids=["CTYX", "TCYX"])
def channelled(request, dock, viewer, stack, hand):
    """An object is followed in an image of two channels."""
    axis = request.param
    names = ["t", "y", "x"]
    names.insert(axis, "c")
    scale = [2.0, 0.5, 0.25]
    scale.insert(axis, 7.0)
    image = viewer.add_image(
        np.stack([stack] * 2, axis=axis), name="two", axis_labels=names, scale=scale
    )
    image.units = tuple("pixel" if n == "c" else "second" if n == "t" else "um" for n in names)
    dock.panels.image.choose(image, 1 - axis, Channels(axis, (0, 1)))
    viewer.dims.set_point(1 - axis, 0)
    point = [0, 30, 40]
    point.insert(axis, 0)
    hand.follow(dock, point)
    return dock


@pytest.fixture
def export(channelled, qtbot):
    def export(what, path):
        channelled.annotator.files.export_to(what, path)
        text = channelled.panels.status.label.text
        qtbot.waitUntil(lambda: text() == f"Exported: {path}", timeout=WAIT)

    return export


def found(dock):
    """The labels, (T, Y, X)."""
    return dock.annotator._bench._made[dock.panels.image.image()].session.labels


def test_labels_as_ome_tiff(channelled, export, tmp_path):
    export("labels", tmp_path / "labels.ome.tif")

    with tifffile.TiffFile(tmp_path / "labels.ome.tif") as file:
        assert file.series[0].axes == "TYX"
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        assert 'PhysicalSizeY="0.5"' in file.ome_metadata
        np.testing.assert_array_equal(file.asarray(), found(channelled))


def test_labels_as_ome_zarr(channelled, export, tmp_path):
    export("labels", tmp_path / "labels.zarr")

    group = zarr.open_group(tmp_path / "labels.zarr", mode="r")
    described = repr(dict(group.attrs))
    assert all(f"'name': '{name}'" in described for name in "tyx")
    assert "[2.0, 0.5, 0.25]" in described
    assert any(np.array_equal(one[:], found(channelled)) for _, one in group.arrays())


def test_quality_and_animation(channelled, export, tmp_path):
    export("quality", tmp_path / "quality.csv")
    export("animation", tmp_path / "animation.gif")

    assert len((tmp_path / "quality.csv").read_text().splitlines()) == 9
    assert (tmp_path / "animation.gif").stat().st_size > 0


def test_tracks_lie_on_the_image(channelled, viewer, qtbot, stack):
    channelled.annotator.files.show_tracks()
    qtbot.waitUntil(lambda: "SAM 2 tracks" in viewer.layers, timeout=WAIT)

    tracks, labels = viewer.layers["SAM 2 tracks"], viewer.layers[LABELS]
    (first,) = np.flatnonzero(tracks.data[:, 1] == 0)
    world = np.array(tracks.data_to_world(tracks.data[first, 1:]))
    place = np.argwhere(found(channelled)[0] == 1).mean(axis=0)
    np.testing.assert_allclose(world[-2:], place * [0.5, 0.25], atol=0.3)
    assert tracks.extent.world[:, -tracks.ndim].tolist() == (
        [0, 14] if tracks.ndim == 4 else tracks.extent.world[:, 0].tolist()
    )
    assert labels.ndim == 4


def test_tracks_are_those_of_their_frames(channelled, viewer, qtbot):
    channelled.annotator.files.show_tracks()
    qtbot.waitUntil(lambda: "SAM 2 tracks" in viewer.layers, timeout=WAIT)

    tracks = viewer.layers["SAM 2 tracks"]
    played = channelled.panels.image.stack().axis - (4 - tracks.ndim)
    assert played == 0
    assert sorted(tracks.data[:, 1]) == list(range(8))
    assert tracks.data_to_world([3] * tracks.ndim)[0] == pytest.approx(6, abs=0.1)
