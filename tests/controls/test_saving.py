"""The section that saves, opens and exports; files that are dropped."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Labels, Tracks
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QFileDialog

from napari_sam2._controls.save_panel import EXPORTS
from napari_sam2._reader import SESSION, get_reader
from napari_sam2._widget import AnnotateWidget
from napari_sam2.autosave import autosave_folder, find_unsaved
from napari_sam2.results import label_arrays
from napari_sam2.results.exports import overlay
from napari_sam2.session import Session

WAIT = 10_000  #: ms, for what a worker does
LABELS = "SAM 2 labels"


@pytest.fixture
def choose(monkeypatch):
    """Answer the next file dialogs."""

    def choose(path, kind=""):
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *args: (str(path), kind))

    return choose


@pytest.fixture
def wait(qtbot):
    """Wait until the section has done what it was asked for."""

    def wait(dock):
        qtbot.waitUntil(dock.panels.save.save_button.isEnabled, timeout=WAIT)

    return wait


def shut(dock):
    dock.annotator.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    dock.annotator.autosaver.wait()


def open_dock(viewer, model, qtbot):
    dock = AnnotateWidget(viewer, model=model)
    qtbot.addWidget(dock, before_close_func=lambda dock: shut(dock))
    return dock


def test_saved_session_holds_everything(worked, viewer, path, choose, wait, tiny_model):
    choose(path)
    worked.panels.save.save_button.click()
    wait(worked)

    loaded = Session.load(path, viewer.layers["blobs"].data, tiny_model)
    np.testing.assert_array_equal(loaded.labels, viewer.layers[LABELS].data)
    assert list(loaded.objects[1].prompts) == [0]
    assert loaded.origin.name == "blobs"
    assert str(path) in worked.panels.status.label.text()


def test_saved_work_is_not_offered_again(worked, path, wait):
    worked.annotator.files.save_to(path)
    wait(worked)
    shut(worked)

    assert find_unsaved() == []
    assert not list(autosave_folder().iterdir())


def test_work_after_saving_is_offered(worked, path, wait, hand, qtbot):
    worked.annotator.files.save_to(path)
    wait(worked)
    hand.add_points(worked, [0, 60, 90])
    qtbot.waitUntil(lambda: hand.previewed(worked.annotator._viewer) == {1}, timeout=WAIT)
    shut(worked)

    (found,) = find_unsaved()
    assert found.name == "blobs"


def test_other_files_are_not_overwritten(worked, path, wait, told):
    path.write_text("mine")
    worked.annotator.files.save_to(path)
    wait(worked)

    assert path.read_text() == "mine"
    assert "is not a session file" in worked.panels.status.label.text()


def test_opened_session_goes_on(worked, viewer, path, choose, wait, tiny_model, qtbot, blobs):
    worked.annotator.files.save_to(path)
    wait(worked)
    expected = viewer.layers[LABELS].data.copy()
    shut(worked)
    other = ViewerModel()
    image = other.add_image(blobs[0].copy(), name="the same")
    dock = open_dock(other, tiny_model, qtbot)
    choose(path)
    dock.panels.save.open_button.click()
    wait(dock)

    assert dock.panels.image.image() is image
    np.testing.assert_array_equal(other.layers[LABELS].data, expected)
    assert len(other.layers["SAM 2 points"].data) == 1
    shut(dock)
    assert find_unsaved() == []  # nothing was changed


def test_session_of_another_image_is_refused(worked, viewer, path, wait, qtbot, tiny_model, told):
    worked.annotator.files.save_to(path)
    wait(worked)
    other = ViewerModel()
    other.add_image(np.zeros((3, 40, 40), np.uint8))
    dock = open_dock(other, tiny_model, qtbot)
    dock.annotator.files.open_file(path)
    wait(dock)

    said = dock.panels.status.label.text()
    assert "is a session of another stack: expected uint8 of shape (8, 96, 128)" in said
    assert LABELS not in other.layers


def test_every_export_has_a_button(dock):
    assert set(dock.panels.save.actions_of) == set(EXPORTS)
    assert all(action.toolTip() for action in dock.panels.save.actions_of.values())


@pytest.mark.parametrize(
    ("what", "name", "kind"),
    [("labels", "out", "OME-TIFF (*.tif *.tiff)"), ("quality", "out.csv", "")],
)
def test_exports_are_written(worked, viewer, tmp_path, choose, wait, what, name, kind):
    choose(tmp_path / name, kind)
    worked.panels.save.actions_of[what].trigger()
    wait(worked)

    if what == "labels":
        labels = viewer.layers[LABELS].data
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), labels)
    else:
        lines = (tmp_path / name).read_text().splitlines()
        assert lines[0].startswith("object,frame,iou")
        assert len(lines) == 1 + 8


def test_tracks_lie_on_the_image(worked, viewer, wait):
    worked.panels.save.actions_of["tracks"].trigger()
    wait(worked)

    (tracks,) = [layer for layer in viewer.layers if isinstance(layer, Tracks)]
    np.testing.assert_array_equal(tracks.scale, viewer.layers["blobs"].scale)
    assert tracks.data.shape == (8, 4)


def test_export_that_is_cancelled_leaves_nothing(worked, tmp_path, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()

    def slow(image, found):
        entered.set()
        assert go_on.wait(20)
        return overlay(image, found)

    monkeypatch.setattr("napari_sam2.result_files.overlay", slow)
    worked.annotator.files.export_to("animation", tmp_path / "film.gif")
    assert entered.wait(10)
    worked.panels.save.cancel_button.click()
    go_on.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)

    assert list(tmp_path.iterdir()) == []
    assert worked.panels.save.save_button.isEnabled()
    assert worked.panels.status.label.text() == "Cancelled: nothing was written."


def dropped(viewer, path):
    for data, options, kind in get_reader(str(path))(str(path)):
        getattr(viewer, f"add_{kind}")(data, **options)


@pytest.fixture
def file_of_image(blobs, tiny_model, tmp_path, path):
    """A session that knows where its image is."""
    from napari_sam2.session_files.session_file import Origin

    tifffile.imwrite(tmp_path / "blobs.tif", blobs[0], photometric="minisblack")
    session = Session(blobs[0], tiny_model)
    session.origin = Origin("blobs", str(tmp_path / "blobs.tif"))
    session.add_points(session.add_object("cell"), 0, [[30, 40]])
    for _ in session.propagate():
        pass
    session.save(path)
    return session


def test_dropped_session_shows_image_and_labels(file_of_image, path, blobs):
    viewer = ViewerModel()
    dropped(viewer, path)

    np.testing.assert_array_equal(viewer.layers["blobs"].data, blobs[0])
    np.testing.assert_array_equal(viewer.layers[LABELS].data, file_of_image.labels)


@pytest.mark.parametrize("dock_first", [True, False])
def test_dock_goes_on_with_a_dropped_session(file_of_image, path, tiny_model, qtbot, dock_first):
    viewer = ViewerModel()
    if not dock_first:
        dropped(viewer, path)
    dock = open_dock(viewer, tiny_model, qtbot)
    if dock_first:
        dropped(viewer, path)
    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)

    (layer,) = [one for one in viewer.layers if isinstance(one, Labels)]
    (made,) = dock.annotator._bench._made.values()
    assert made.session.labels is layer.data
    assert SESSION not in layer.metadata  # or another dock would go back to the file
    np.testing.assert_array_equal(layer.data, file_of_image.labels)


def test_what_was_painted_before_the_dock_was_opened_stays(file_of_image, path, tiny_model, qtbot):
    viewer = ViewerModel()
    dropped(viewer, path)
    viewer.layers[LABELS].paint((6, 80, 20), 9)
    dock = open_dock(viewer, tiny_model, qtbot)
    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)

    assert viewer.layers[LABELS].data[6, 80, 20] == 9
    shut(dock)
    assert len(find_unsaved()) == 1


def test_dropped_session_waits_for_its_image(
    file_of_image, path, tmp_path, blobs, tiny_model, qtbot
):
    (tmp_path / "blobs.tif").unlink()
    viewer = ViewerModel()
    dock = open_dock(viewer, tiny_model, qtbot)
    dropped(viewer, path)
    assert [layer.name for layer in viewer.layers] == [LABELS]
    viewer.add_image(blobs[0])

    qtbot.waitUntil(lambda: dock.panels.objects.names() == {1: "cell"}, timeout=WAIT)


def test_large_labels_are_kept_on_the_disk(
    viewer, dock, hand, monkeypatch, qtbot, tiny_model, blobs
):
    monkeypatch.setattr(label_arrays, "MEMORY_BYTES", 1000)
    hand.follow(dock, [0, 30, 40])
    labels = viewer.layers[LABELS].data
    assert not isinstance(labels, np.ndarray)
    assert labels.chunks == (1, 96, 128)
    viewer.layers[LABELS].paint((6, 80, 20), 9)
    expected = labels[:]
    assert expected[7].any()
    shut(dock)

    (found,) = find_unsaved()
    restored = Session.load(found.path, blobs[0], tiny_model)
    assert not isinstance(restored.labels, np.ndarray)
    np.testing.assert_array_equal(restored.labels[:], expected)


def test_large_labels_of_saved_work_are_taken_away_once_nothing_shows_them(
    dock, hand, monkeypatch, path, wait, tiny_model, blobs
):
    monkeypatch.setattr(label_arrays, "MEMORY_BYTES", 1000)
    hand.follow(dock, [0, 30, 40])
    dock.annotator.files.save_to(path)
    wait(dock)
    labels = dock.annotator._viewer.layers[LABELS].data
    shut(dock)

    assert labels[5].any()  # still shown
    loaded = Session.load(path, blobs[0], tiny_model)
    np.testing.assert_array_equal(loaded.labels, labels[:])
