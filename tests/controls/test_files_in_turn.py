"""What is saved, opened and exported is done one after the other, and all of it."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from hand import shut
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QFileDialog

from napari_sam2._worker import Call, Job, WholeSteps, ignore
from napari_sam2.autosave import find_unsaved
from napari_sam2.session import Session

WAIT = 10_000  #: ms, for what a worker does
LABELS = "SAM 2 labels"


@pytest.fixture
def suggested(monkeypatch) -> list[str]:
    """Which files the dialogs suggest; none is chosen."""
    paths: list[str] = []

    def ask(parent, title, suggestion, *others):
        paths.append(suggestion)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    return paths


@pytest.fixture
def held(monkeypatch):
    """A save stops after its second plane, until it is let go on."""
    entered, free, saving = threading.Event(), threading.Event(), Session.saving

    def gated(self, path, **others):
        for n, step in enumerate(saving(self, path, **others)):
            if n == 2:
                entered.set()
                assert free.wait(20)
            yield step

    monkeypatch.setattr(Session, "saving", gated)
    yield entered, free
    free.set()


@pytest.fixture
def saving(worked, path, held):
    """A dock in the midst of a save."""
    worked.annotator.files.save_to(path)
    assert held[0].wait(10)
    return worked


def end(dock, held, qtbot):
    held[1].set()
    qtbot.waitUntil(dock.panels.save.save_button.isEnabled, timeout=WAIT)


@pytest.fixture
def other(tmp_path, blobs, tiny_model):
    """Another session of the image, in a file."""
    session = Session(blobs[0], tiny_model)
    session.add_points(session.add_object("of another day"), 0, [[60, 90]])
    session.save(tmp_path / "other.sam2")
    return tmp_path / "other.sam2"


def test_session_that_is_opened_during_a_save_waits_for_it(
    other, saving, held, path, qtbot, blobs, tiny_model
):
    expected = saving.annotator._viewer.layers[LABELS].data.copy()
    saving.annotator.files.open_file(other)
    end(saving, held, qtbot)

    np.testing.assert_array_equal(Session.load(path, blobs[0], tiny_model).labels, expected)
    assert saving.panels.objects.names() == {1: "of another day"}


def test_unsaved_work_cannot_be_restored_during_a_save(saving):
    assert not saving.panels.unsaved.restore_button.isEnabled()


def test_save_and_export_that_wait_are_cancelled_with_what_is_under_way(
    saving, held, path, tmp_path
):
    saving.annotator.files.export_to("quality", tmp_path / "quality.csv")
    saving.panels.save.cancel_button.click()
    held[1].set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)

    assert list(tmp_path.iterdir()) == []
    assert saving.panels.save.save_button.isEnabled()


def test_save_is_finished_when_the_dock_is_closed(saving, held, path, blobs, tiny_model):
    expected = saving.annotator._viewer.layers[LABELS].data.copy()
    threading.Timer(0.2, held[1].set).start()
    shut(saving)

    np.testing.assert_array_equal(Session.load(path, blobs[0], tiny_model).labels, expected)
    assert find_unsaved() == []


def test_save_of_another_image_does_not_suggest_the_file_of_the_first(
    worked, path, qtbot, blobs, suggested, viewer
):
    worked.annotator.files.save_to(path)
    qtbot.waitUntil(worked.panels.save.save_button.isEnabled, timeout=WAIT)
    first, second = viewer.layers["blobs"], viewer.add_image(blobs[0][:4], name="cells")
    for image in (second, first):
        worked.panels.image.images.pick(image)
        worked.panels.save.save_button.click()

    assert suggested == [str(path.with_name("cells-2.sam2")), str(path)]


def test_save_of_another_session_does_not_suggest_the_file_of_the_first(
    worked, path, qtbot, suggested, blobs, tiny_model
):
    worked.annotator.files.save_to(path)
    qtbot.waitUntil(worked.panels.save.save_button.isEnabled, timeout=WAIT)
    worked.adopt(Session(worked.annotator._viewer.layers["blobs"].data, tiny_model))
    worked.panels.save.save_button.click()

    assert suggested == [str(path.with_name("blobs.sam2"))]


def test_whole_steps_are_finished_by_the_thread_that_is_stopped(qtbot):
    done, entered, free = [], threading.Event(), threading.Event()

    def slow():
        for n in range(3):
            entered.set()
            assert free.wait(20)
            done.append(n)
            yield n

    steps, job = WholeSteps(slow), Job()
    job.start(Call(steps, ignore, ignore))
    assert entered.wait(10)
    job.cancel()
    threading.Timer(0.1, free.set).start()
    steps.finish()

    assert done == [0, 1, 2]
    assert QThreadPool.globalInstance().waitForDone(WAIT)


def test_whole_steps_that_are_called_off_end_where_they_are():
    steps = WholeSteps(partial(iter_three, seen := []))
    under_way = steps()
    next(under_way)
    steps.call_off()
    under_way.close()

    assert seen == [0]


def iter_three(seen):
    for n in range(3):
        seen.append(n)
        yield n
