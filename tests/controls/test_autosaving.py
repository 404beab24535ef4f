"""Work that was not saved is there again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hand import shut
from napari.components import ViewerModel

from napari_sam2._controls import autosaver
from napari_sam2._controls.object_model import Column
from napari_sam2._widget import AnnotateWidget
from napari_sam2.autosave import Autosave, autosave_folder, find_unsaved
from napari_sam2.session import Session
from napari_sam2.session_files.session_file import open_session
from napari_sam2.training.own_models import write_model

WAIT = 10_000  #: ms, for what a worker does
LABELS = "SAM 2 labels"


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(autosaver, "EVERY_MS", 100)


@pytest.fixture
def unsaved(blobs, tiny_model) -> Session:
    """Left behind by another program: one object, followed through five frames."""
    session = Session(blobs[0], tiny_model)
    session.add_points(session.add_object("left behind"), 0, [[30, 40]])
    steps = session.propagate()
    for _ in range(5):
        next(steps)
    file = Autosave()
    file.save(session)
    file.close()
    return session


def work_on(dock, hand, qtbot):
    """Prompt an object, and follow it."""
    hand.follow(dock, [0, 30, 40])


def test_nothing_is_written_before_there_is_work(dock, qtbot):
    qtbot.wait(400)

    assert list(autosave_folder().glob("*")) == []


def test_work_is_in_a_file_when_the_dock_is_closed(dock, hand, qtbot, viewer, tiny_model):
    work_on(dock, hand, qtbot)
    shut(dock)

    (found,) = find_unsaved()
    loaded = Session.load(found.path, viewer.layers["blobs"].data, tiny_model)
    np.testing.assert_array_equal(loaded.labels, viewer.layers[LABELS].data)
    assert found.name == "blobs"
    assert list(loaded.objects[1].prompts) == [0]


def test_session_that_takes_the_place_of_another_leaves_its_file_alone(
    dock, hand, qtbot, viewer, tiny_model
):
    work_on(dock, hand, qtbot)
    qtbot.waitUntil(lambda: any(autosave_folder().glob("*.sam2")), timeout=WAIT)
    other = Session(viewer.layers["blobs"].data, tiny_model)
    other.add_points(other.add_object("of a script"), 0, [[30, 40]])

    dock.adopt(other)
    shut(dock)

    data = viewer.layers["blobs"].data
    kept = [Session.load(one.path, data, tiny_model) for one in find_unsaved()]
    assert {one.objects[1].name for one in kept} == {"object 1", "of a script"}


@pytest.fixture
def replaced(dock, hand, qtbot, viewer, tiny_model):
    """A dock in which another session has taken the place of work on the image."""
    work_on(dock, hand, qtbot)
    other = Session(viewer.layers["blobs"].data, tiny_model)
    other.add_points(other.add_object("of a script"), 0, [[30, 40]])
    dock.adopt(other)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    return dock


def test_work_that_another_session_takes_the_place_of_is_offered_at_once(replaced):
    assert "Restore work on <b>blobs</b>" in replaced.panels.unsaved.label.text()
    assert "What was done on blobs before is kept" in replaced.panels.status.label.text()


def test_work_that_another_session_took_the_place_of_comes_back(replaced, qtbot):
    bar, names = replaced.panels.unsaved, replaced.panels.objects.names
    bar.restore_button.click()
    qtbot.waitUntil(lambda: names() == {1: "object 1"}, timeout=WAIT)
    # And now it is the other session that is offered.
    qtbot.waitUntil(lambda: not bar.isHidden(), timeout=WAIT)
    bar.restore_button.click()

    qtbot.waitUntil(lambda: names() == {1: "of a script"}, timeout=WAIT)


def test_nothing_is_offered_where_no_work_was_replaced(dock, viewer, tiny_model, qtbot):
    dock.adopt(Session(viewer.layers["blobs"].data, tiny_model))
    dock.adopt(Session(viewer.layers["blobs"].data, tiny_model))
    qtbot.wait(300)

    assert dock.panels.unsaved.isHidden()


def test_sessions_that_are_put_aside_are_saved_while_all_stand_still(dock, hand, qtbot, viewer):
    work_on(dock, hand, qtbot)
    bench, saver = dock.annotator._bench, dock.annotator.autosaver
    saver.wait()
    with bench.standstill():
        bench.sessions.put_aside(viewer.layers["blobs"])
        saver.save()
        qtbot.wait(300)
        assert find_unsaved() == []

    saver.wait()
    assert len(find_unsaved()) == 1


def test_what_others_work_on_is_not_offered(dock, hand, qtbot):
    work_on(dock, hand, qtbot)
    qtbot.waitUntil(lambda: any(autosave_folder().glob("*.sam2")), timeout=WAIT)

    assert find_unsaved() == []


def test_prompts_are_saved_without_live_preview_and_gone_when_removed(
    dock, hand, qtbot, viewer, tiny_model
):
    dock.panels.prompts.live.setChecked(False)
    points = hand.add_points(dock, [0, 30, 40], [2, 33, 40])
    qtbot.waitUntil(lambda: any(autosave_folder().glob("*.sam2")), timeout=WAIT)
    points.selected_data = {1}
    points.remove_selected()
    model = dock.panels.objects.model
    model.setData(model.index(0, Column.NAME), "by another name")
    qtbot.wait(600)
    shut(dock)

    loaded = Session.load(find_unsaved()[0].path, viewer.layers["blobs"].data, tiny_model)
    assert list(loaded.objects[1].prompts) == [0]
    assert loaded.objects[1].name == "by another name"


def test_what_is_painted_by_hand_is_saved(dock, hand, qtbot, viewer, tiny_model):
    work_on(dock, hand, qtbot)
    qtbot.wait(300)
    layer = viewer.layers[LABELS]
    layer.brush_size = 5
    layer.paint((6, 80, 20), 9)
    shut(dock)

    loaded = Session.load(find_unsaved()[0].path, viewer.layers["blobs"].data, tiny_model)
    assert loaded.labels[6, 80, 20] == 9
    np.testing.assert_array_equal(loaded.labels, layer.data)


def test_work_on_a_second_image_names_the_model_that_was_chosen(
    viewer, blobs, qtbot, hand, tmp_path, monkeypatch, tiny_config, tiny_model
):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    for name in ("first", "second"):  # of one shape, as models that were fine-tuned are
        write_model(name, tiny_config, tiny_model.state_dict(), {})
    dock = AnnotateWidget(viewer)
    qtbot.addWidget(dock, before_close_func=lambda dock: dock.annotator.shut())
    dock.panels.model.choose("second")
    work_on(dock, hand, qtbot)
    dock.panels.image.images.pick(viewer.add_image(blobs[0][:, ::-1], name="other"))
    hand.follow(dock, [0, 30, 88])
    shut(dock)

    named = []
    for one in find_unsaved():
        with open_session(one.path) as saved:
            named.append(saved.about["model"]["name"])
    assert named == ["second", "second"]


def test_strokes_that_are_undone_are_not_saved(dock, hand, qtbot, viewer, tiny_model):
    work_on(dock, hand, qtbot)
    qtbot.wait(300)
    layer = viewer.layers[LABELS]
    layer.brush_size = 9
    for frame in (7, 2, 1):
        viewer.dims.set_point(0, frame)
        layer.paint((frame, 80, 15), 9)
    dock.annotator.autosaver.save()
    dock.annotator.autosaver.wait()
    layer.undo()
    layer.undo()
    shut(dock)

    (found,) = find_unsaved()
    loaded = Session.load(found.path, viewer.layers["blobs"].data, tiny_model)
    assert [int(layer.data[frame, 80, 15] == 9) for frame in (7, 2, 1)] == [1, 0, 0]
    np.testing.assert_array_equal(loaded.labels, layer.data)


def test_work_on_an_image_that_is_removed_is_kept(dock, hand, qtbot, viewer, blobs, tiny_model):
    work_on(dock, hand, qtbot)
    labels = viewer.layers[LABELS].data
    viewer.layers.remove("blobs")
    qtbot.waitUntil(lambda: len(find_unsaved()) == 1, timeout=WAIT)

    loaded = Session.load(find_unsaved()[0].path, blobs[0], tiny_model)
    np.testing.assert_array_equal(loaded.labels, labels)


def test_unsaved_work_is_offered_and_restored(unsaved, open_dock, viewer, qtbot):
    dock = open_dock(viewer)
    bar = dock.panels.unsaved
    qtbot.waitUntil(lambda: not bar.isHidden(), timeout=WAIT)
    assert "Restore work on <b>image</b> from" in bar.label.text()
    bar.restore_button.click()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    np.testing.assert_array_equal(viewer.layers[LABELS].data, unsaved.labels)
    assert dock.panels.objects.names() == {1: "left behind"}
    assert bar.isHidden()
    assert len(viewer.layers["SAM 2 points"].data) == 1


def test_restored_work_goes_on_in_the_same_file(unsaved, open_dock, viewer, qtbot, hand):
    before = {one.path for one in find_unsaved()}
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)
    hand.follow(dock)
    shut(dock)

    (found,) = find_unsaved()
    assert {found.path} == before
    loaded = Session.load(found.path, viewer.layers["blobs"].data, unsaved.model)
    np.testing.assert_array_equal(loaded.labels, viewer.layers[LABELS].data)
    assert loaded.labels[7].any()


def test_discarded_work_is_gone(unsaved, open_dock, viewer, qtbot):
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.discard_button.click()

    qtbot.waitUntil(lambda: not any(autosave_folder().iterdir()), timeout=WAIT)
    assert dock.panels.unsaved.isHidden()


def test_work_put_off_is_offered_again(unsaved, open_dock, viewer, qtbot):
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.later_button.click()

    assert dock.panels.unsaved.isHidden()
    assert len(find_unsaved()) == 1


def test_work_on_an_image_that_is_not_open_asks_for_it_and_stays(unsaved, open_dock, qtbot, told):
    dock = open_dock(ViewerModel())
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(dock.panels.unsaved.restore_button.isEnabled, timeout=WAIT)

    assert "Open it first" in dock.panels.status.label.text() + " ".join(told)
    assert not dock.panels.unsaved.isHidden()
    assert len(find_unsaved()) == 1


def test_failure_is_told_once(dock, hand, qtbot, monkeypatch):
    told = []
    dock.annotator.autosaver._failed.connect(told.append)
    monkeypatch.setattr(autosaver, "SHARE", 0)
    monkeypatch.setattr(autosaver, "LOOK_S", 0.1)
    monkeypatch.setattr(autosaver, "Autosave", lambda folder: Path("/no/such/folder").stat())
    hand.add_points(dock, [0, 30, 40])
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT)
    qtbot.wait(500)

    assert len(told) == 1
    assert told[0].startswith("What you do is not saved by itself:")


WORKING = """
import sys, time
import numpy as np, torch
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from napari_sam2._widget import AnnotateWidget
from napari_sam2._controls import autosaver
from napari_sam2.predictors.tracker import Tracker

torch.set_num_threads(1)
autosaver.EVERY_MS = 100
step = Tracker.step
def slow(self, *args, **kwargs):
    time.sleep(0.4)
    return step(self, *args, **kwargs)
Tracker.step = slow
application = QApplication([])
viewer = ViewerModel()
viewer.add_image(np.load(sys.argv[1]), name="blobs")
viewer.dims.set_point(0, 0)
dock = AnnotateWidget(viewer)
dock.panels.prompts.tools["point"].click()
viewer.layers["SAM 2 points"].add([0, 30, 40])
dock.annotator.propagate()
application.exec()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_while_following_the_frames_that_were_found_are_restored(
    blobs, tmp_path, open_dock, viewer, qtbot
):
    np.save(tmp_path / "stack.npy", blobs[0])
    worker = subprocess.Popen([sys.executable, "-c", WORKING, str(tmp_path / "stack.npy")])
    try:
        deadline = time.monotonic() + 120
        while True:  # until a few frames have been written
            assert worker.poll() is None
            assert time.monotonic() < deadline
            (path, *_) = [*autosave_folder().glob("*.sam2"), None]
            if path is not None and path.stat().st_size > 0 and frames_in(path) >= 3:
                break
            time.sleep(0.05)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()

    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)

    found = np.flatnonzero(viewer.layers[LABELS].data.any(axis=(1, 2)))
    assert 3 <= len(found) < 8
    assert found.tolist() == list(range(len(found)))
    (made,) = dock.annotator._bench._made.values()
    assert made.session.objects[1].frames == set(found.tolist())
    assert list(made.session.objects[1].prompts) == [0]


def frames_in(path: Path) -> int:
    """Count the frames in a file that another program holds: by what stands in its bytes."""
    import re

    content = path.read_bytes()
    return len(set(re.findall(rb"labels(\d)", content)))
