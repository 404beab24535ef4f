"""What napari finds when it looks for the plugin."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
from windows import choose_in_menu

from napari_sam2._reader import get_reader
from napari_sam2._widget import AnnotateWidget
from napari_sam2.session import Session

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-sam2")


def test_every_command_can_be_imported_and_called(manifest):
    commands = manifest.contributions.commands

    assert commands
    for command in commands:
        assert callable(import_python_name(command.python_name)), command.id


def test_opened_from_the_menu_the_dock_works_on_the_layers_of_the_viewer(
    make_napari_viewer, blobs, qtbot
):
    viewer = make_napari_viewer()
    image = viewer.add_image(blobs[0])

    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    tool = widget.panels.prompts.tools["point"]
    tool.click()

    assert isinstance(widget, AnnotateWidget)
    assert widget.panels.image.image() is image
    # napari gives the widget a proxy, through which the active layer would not be itself.
    assert tool.isChecked()


def test_menu_shows_and_hides_the_dock_that_a_script_has_opened(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock, _ = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    qtbot.waitUntil(dock.isVisible)

    choose_in_menu(viewer, "Plugins", "napari-sam2", "SAM 2 (napari-sam2)")

    assert len(viewer.window._qt_window.findChildren(AnnotateWidget)) == 1
    assert dock.isHidden()


@pytest.mark.parametrize("menu", ["segment", "track", "annotate"])
def test_dock_is_opened_from_the_menus_of_what_it_does(manifest, menu):
    items = manifest.contributions.menus[f"napari/layers/{menu}"]

    assert [item.command for item in items] == ["napari-sam2.annotate"]


@pytest.mark.parametrize("key", ["nuclei_3d", "coins", "tissue"])
def test_sample_opens_as_an_image_without_a_network(manifest, make_napari_viewer, key):
    viewer = make_napari_viewer()

    (image,) = viewer.open_sample("napari-sam2", key)

    assert image.data.any()
    assert image.rgb is (key == "tissue")


def test_generated_stack_has_planes_apart_and_nuclei_over_several(manifest):
    (contribution,) = [one for one in manifest.contributions.sample_data if one.key == "nuclei_3d"]

    ((images, options, _),) = contribution.open()

    assert (images.ndim, images.dtype) == (3, np.uint16)
    assert options["scale"][0] > options["scale"][1]
    bright = images > np.percentile(images, 90)
    assert (bright.sum(axis=0) > 3).any()


@pytest.mark.parametrize("key", ["nuclei", "cells"])
def test_sample_is_a_stack_that_changes(manifest, key):
    (contribution,) = [one for one in manifest.contributions.sample_data if one.key == key]

    ((images, options, kind),) = contribution.open()

    assert (images.ndim, images.dtype, kind) == (3, np.uint8, "image")
    assert options["name"]
    assert (images[0] != images[-1]).any()


def test_dropped_session_file_is_opened_with_our_reader(
    manifest, make_napari_viewer, blobs, tiny_model, tmp_path
):
    session = Session(blobs[0], tiny_model)
    session.labels[2, 5:20, 5:20] = 4
    session.save(tmp_path / "cells.sam2")
    viewer = make_napari_viewer()

    viewer.open(tmp_path / "cells.sam2", plugin="napari-sam2")

    (contribution,) = manifest.contributions.readers
    assert contribution.filename_patterns == ["*.sam2"]
    np.testing.assert_array_equal(viewer.layers["SAM 2 labels"].data, session.labels)


def test_reader_leaves_other_files_to_others():
    assert get_reader("stack.tif") is None
    assert get_reader(["cells.sam2", "stack.tif"]) is None
