"""Sessions of several layers, seen as red and green, are opened again."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hand import shut
from napari.components import ViewerModel

from napari_sam2._layers import Channels
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
