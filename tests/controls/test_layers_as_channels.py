"""Sessions of several layers, seen as red and green, are opened again."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hand import settle, shut
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam2._layers import Channels
from napari_sam2._reader import get_reader
from napari_sam2.autosave import find_unsaved
from napari_sam2.predictors.channels import SideBySide
from napari_sam2.predictors.frames import View
from napari_sam2.session import Session
from napari_sam2.session_files.session_file import Origin

WAIT = 10_000  #: ms, for what a worker does
LABELS = "SAM 2 labels"


@pytest.fixture
def pair(blobs) -> tuple[np.ndarray, np.ndarray]:
    return blobs[0], blobs[0][:, ::-1].copy()


@pytest.fixture
def viewer(pair) -> ViewerModel:
    viewer = ViewerModel()
    for data, name in zip(pair, ("r", "g"), strict=True):
        viewer.add_image(data, name=name)
    viewer.dims.set_point(0, 0)
    return viewer


@pytest.fixture
def worked(dock, viewer, hand):
    """An object is followed in both layers, of which the later one is red."""
    layers = (viewer.layers["g"], viewer.layers["r"])
    dock.panels.image.choose(viewer.layers["r"], 0, Channels(layers=layers))
    hand.follow(dock, [0, 30, 40])
    return dock


@pytest.fixture
def done(qtbot):
    """Wait until the section has done what it was asked for."""

    def done(dock):
        qtbot.waitUntil(dock.panels.save.save_button.isEnabled, timeout=WAIT)

    return done


def save(session, pair, path, layers):
    """Save a session of a pair of images, red and green, with an object that was followed."""
    view = View(channel_axis=0, channels=(0, 1), contrast_limits=((0, 200), (0, 200)))
    session = Session(SideBySide(pair), session, 0, view=view)
    session.origin = Origin("r", None, layers)
    session.add_points(session.add_object("cell"), 0, [[30, 40]])
    for _ in session.propagate():
        pass
    session.save(path)
    return session


def test_session_is_opened_beside_its_layers(worked, viewer, path, done):
    channels = worked.panels.image.channels.channels()
    expected = viewer.layers[LABELS].data.copy()
    images = [viewer.layers["r"], viewer.layers["g"]]
    worked.annotator.files.save_to(path)
    done(worked)
    worked.annotator.files.open_file(path)
    done(worked)

    assert worked.panels.status.label.text() == "1 objects of r."
    assert worked.panels.image.channels.channels() == channels
    assert viewer.layers[:2] == images
    np.testing.assert_array_equal(viewer.layers[LABELS].data, expected)


def test_unsaved_work_is_restored(worked, viewer, pair, open_dock, qtbot):
    expected = viewer.layers[LABELS].data.copy()
    shut(worked)
    assert len(find_unsaved()) == 1
    later = ViewerModel()
    for data, name in zip(pair, ("r", "g"), strict=True):
        later.add_image(data.copy(), name=name)
    dock = open_dock(later)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(lambda: LABELS in later.layers, timeout=WAIT)

    np.testing.assert_array_equal(later.layers[LABELS].data, expected)
    chosen = dock.panels.image.channels.channels().layers
    assert chosen == (later.layers["g"], later.layers["r"])


@pytest.mark.parametrize("layers", [(), (("red", None), ("green", None))], ids=["old", "renamed"])
def test_layers_are_known_by_their_pixels(pair, path, tiny_model, open_dock, viewer, done, layers):
    session = save(tiny_model, pair, path, layers)
    viewer.layers.reverse()
    dock = open_dock(viewer)
    dock.annotator.files.open_file(path)
    done(dock)

    chosen = dock.panels.image.channels.channels().layers
    assert [layer.name for layer in chosen] == ["r", "g"]
    np.testing.assert_array_equal(viewer.layers[LABELS].data, session.labels)


def test_layers_are_opened_from_their_files(pair, path, tmp_path, tiny_model, open_dock, done):
    layers = []
    for data, name in zip(pair, ("r", "g"), strict=True):
        file = tmp_path / f"{name}.tif"
        tifffile.imwrite(file, data, photometric="minisblack")
        layers.append((name, str(file)))
    session = save(tiny_model, pair, path, tuple(layers))
    viewer = ViewerModel()
    viewer.add_image(pair[0], name="r")
    dock = open_dock(viewer)
    dock.annotator.files.open_file(path)
    done(dock)

    assert [layer.name for layer in viewer.layers][:2] == ["r", "g"]
    np.testing.assert_array_equal(viewer.layers["g"].data, pair[1])
    np.testing.assert_array_equal(viewer.layers[LABELS].data, session.labels)


def test_message_names_the_layers_that_are_not_open(pair, path, tiny_model, open_dock, done, told):
    save(tiny_model, pair, path, (("membrane", None), ("nuclei", None)))
    dock = open_dock(ViewerModel())
    dock.annotator.files.open_file(path)
    done(dock)

    assert "(2, 8, 96, 128), membrane and nuclei. Open it first" in told[0]


def dropped(viewer, path):
    for data, options, kind in get_reader(str(path))(str(path)):
        getattr(viewer, f"add_{kind}")(data, **options)


@pytest.fixture
def of_two(pair, path, tiny_model):
    """A file of a session of two layers, r and g, whose own files nobody knows."""
    return save(tiny_model, pair, path, (("r", None), ("g", None)))


@pytest.fixture
def opened(of_two, pair, path, open_dock, told, qtbot):
    """A dock in which it was dropped, where only one of its images is open."""
    viewer = ViewerModel()
    viewer.add_image(pair[1], name="g")
    dock = open_dock(viewer)
    dropped(viewer, path)
    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)
    settle(dock)
    return dock


def test_session_is_opened_with_those_of_its_layers_that_are_there(opened, of_two):
    layers = opened.annotator._viewer.layers

    assert [one.name for one in layers if isinstance(one, Image)] == ["g"]
    np.testing.assert_array_equal(layers[LABELS].data, of_two.labels)
    assert opened.session.source.data is layers["g"].data
    assert list(opened.session.objects[1].prompts) == [0]


@pytest.mark.usefixtures("opened")
def test_dock_says_which_layers_are_missing_and_what_to_do(told):
    assert "r is not there" in told[-1]
    assert "Open r under the same name" in told[-1]


def test_layer_that_is_opened_later_is_a_channel_again(opened, pair, hand):
    viewer = opened.annotator._viewer
    hand.add_points(opened, [3, 60, 90])
    settle(opened)

    image = viewer.add_image(pair[0], name="r")
    settle(opened)

    chosen = opened.panels.image.channels.channels().layers
    assert chosen == (image, viewer.layers["g"])
    session = opened.session
    assert session.source.data.parts == (image.data, viewer.layers["g"].data)
    assert sorted(session.objects[1].prompts) == [0, 3]
    assert session.labels is viewer.layers[LABELS].data


def test_image_of_another_shape_is_no_channel(opened, pair):
    opened.annotator._viewer.add_image(pair[0][:, :50], name="r")
    settle(opened)

    assert opened.panels.image.channels.channels() == Channels()


def test_dropped_session_brings_those_of_its_layers_whose_files_are_there(
    pair, path, tmp_path, tiny_model, open_dock, qtbot
):
    file = tmp_path / "g.tif"
    tifffile.imwrite(file, pair[1], photometric="minisblack")
    save(tiny_model, pair, path, (("r", None), ("g", str(file))))
    viewer = ViewerModel()
    dock = open_dock(viewer)

    dropped(viewer, path)
    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)

    np.testing.assert_array_equal(viewer.layers["g"].data, pair[1])
    assert sum(isinstance(one, Image) for one in viewer.layers) == 1


@pytest.mark.usefixtures("of_two")
def test_dropped_session_says_what_to_open_where_no_layer_is_there(
    path, pair, open_dock, qtbot, told
):
    viewer = ViewerModel()
    dock = open_dock(viewer)
    dropped(viewer, path)
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT)
    assert "r and g. Open it first" in told[0]

    viewer.add_image(pair[0], name="r")

    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)
