"""The Fine-tune dock: from Labels layers to a model in the list, with the window free."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtCore import QThreadPool, QTimer

from napari_sam2._controls.finetune_dock import FineTuneDock
from napari_sam2._controls.finetune_form import free_name
from napari_sam2._controls.model_picker import ModelPicker
from napari_sam2._layers import Channels
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import EMBEDDED_MODEL, load_config, user_model_names
from napari_sam2.model.locations import find_checkpoint
from napari_sam2.training.learner import Learner
from napari_sam2.training.own_models import write_model

WAIT = 60_000  #: ms


@pytest.fixture
def models(tmp_path, monkeypatch, tiny_config, tiny_model):
    """The folder of the user's models, with the small one in it."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    write_model("tiny", tiny_config, tiny_model.state_dict(), {})
    return tmp_path / "models"


@pytest.fixture
def labelled(viewer, blobs):
    viewer.add_labels(blobs[1].copy(), name="drawn")
    return viewer


@pytest.fixture
def tuner(models, labelled, qtbot):
    dock = FineTuneDock(labelled)
    qtbot.addWidget(dock)
    dock.form.model.names.setCurrentText("tiny")
    dock.form.steps.setValue(3)
    yield dock
    dock.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)


def learn(dock, qtbot):
    dock.start_button.click()
    qtbot.waitUntil(lambda: not dock.is_running, timeout=WAIT)


def test_labels_become_a_model_that_every_picker_offers(tuner, qtbot):
    picker = ModelPicker()
    qtbot.addWidget(picker)
    learn(tuner, qtbot)
    picker.names.opening.emit()

    assert user_model_names() == ["my-cells", "tiny"]
    assert picker.names.findData("my-cells") >= 0
    assert "my-cells is in the list of models" in tuner.status.label.text()


def test_scores_and_pictures_of_the_same_objects_are_shown(tuner, qtbot):
    learn(tuner, qtbot)

    assert not tuner.results.isHidden()
    assert "one click" in tuner.results.scores.text()
    assert "4 held-out objects" in tuner.results.scores.text()
    assert tuner.results.pictures
    assert all(one.pixmap().width() > 90 for one in tuner.results.pictures)


def test_loss_and_scores_are_drawn_as_it_learns(tuner, qtbot):
    learn(tuner, qtbot)
    values = tuner.plot.values()

    assert [step for step, _ in values["loss"]] == [1, 2, 3]
    assert [step for step, _ in values["click"]] == [0, 3]
    assert tuner.plot.grab().toImage().width() > 0


def test_next_name_is_free(tuner, qtbot):
    learn(tuner, qtbot)

    assert tuner.form.name.text() == "my-cells-2"
    assert free_name("my-cells-9") == "my-cells-9"


@pytest.fixture
def slow(monkeypatch):
    """Steps of training wait for a gate."""
    gate, entered, step = threading.Event(), threading.Event(), Learner.learn

    def gated(self, *args):
        entered.set()
        assert gate.wait(30)
        return step(self, *args)

    monkeypatch.setattr(Learner, "learn", gated)
    gate.entered = entered
    yield gate
    gate.set()


def test_stopping_keeps_the_best_so_far(tuner, qtbot, slow):
    tuner.form.steps.setValue(1000)
    tuner.start_button.click()
    qtbot.waitUntil(slow.entered.is_set, timeout=WAIT)
    tuner.cancel_button.click()
    slow.set()
    qtbot.waitUntil(lambda: not tuner.is_running, timeout=WAIT)

    assert "my-cells" in user_model_names()
    assert "(cancelled)" in tuner.status.label.text()
    assert tuner.start_button.isEnabled()


def test_window_is_free_while_a_model_learns(tuner, qtbot):
    tuner.form.steps.setValue(6)
    gaps, last = [], [time.monotonic()]

    def beat():
        now = time.monotonic()
        gaps.append(now - last[0])
        last[0] = now

    timer = QTimer()
    timer.timeout.connect(beat)
    timer.start(5)
    learn(tuner, qtbot)
    timer.stop()

    assert np.percentile(gaps, 95) < 0.05


def test_labels_painted_meanwhile_do_not_count(tuner, labelled, qtbot, slow):
    tuner.start_button.click()
    qtbot.waitUntil(slow.entered.is_set, timeout=WAIT)
    labelled.layers["drawn"].data[:] = 0
    slow.set()
    qtbot.waitUntil(lambda: not tuner.is_running, timeout=WAIT)

    assert "my-cells is in the list" in tuner.status.label.text()


def test_closing_the_dock_stops_and_saves(tuner, qtbot, slow, models):
    tuner.form.steps.setValue(1000)
    tuner.start_button.click()
    qtbot.waitUntil(slow.entered.is_set, timeout=WAIT)
    tuner.close()
    slow.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)

    assert (models / "runs" / "my-cells" / "finetune.pt").is_file()


def test_missing_labels_are_told(models, viewer, qtbot):
    dock = FineTuneDock(viewer)
    qtbot.addWidget(dock)
    dock.start_button.click()

    assert "There are no labels to learn from" in dock.status.label.text()
    assert not dock.is_running
    dock.shut()


def test_labels_of_another_shape_are_told(tuner, labelled, blobs, qtbot, told):
    labelled.add_labels(blobs[1][:, ::2].copy(), name="small")
    tuner.form.labels.pick(labelled.layers["small"])
    learn(tuner, qtbot)

    assert "expected labels of (8, 96, 128)" in tuner.status.label.text()
    assert len(told) == 1
    assert tuner.start_button.isEnabled()


def test_folders_are_learnt_from(tuner, tmp_path, blobs, qtbot):
    for kind, frames in zip(("images", "labels"), blobs, strict=True):
        (tmp_path / kind).mkdir()
        for number, frame in enumerate(frames):
            tifffile.imwrite(tmp_path / kind / f"{number}.tif", frame)
    tuner.form.tabs.setCurrentIndex(1)
    tuner.form.image_folder.line.setText(str(tmp_path / "images"))
    tuner.form.label_folder.line.setText(str(tmp_path / "labels"))
    learn(tuner, qtbot)

    assert "my-cells" in user_model_names()


def test_napari_opens_the_dock_from_its_menu(models, make_napari_viewer):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2", "Fine-tune")

    assert isinstance(dock, FineTuneDock)
    assert isinstance(dock.form._viewer, ViewerModel)


def test_weights_from_a_file_are_what_a_model_begins_with(tuner, qtbot, tmp_path):
    weights = tmp_path / "from elsewhere.safetensors"
    weights.write_bytes(find_checkpoint(load_config(EMBEDDED_MODEL)).read_bytes())
    tuner.form.model.use_file(weights)
    qtbot.waitUntil(lambda: tuner.form.model.names.currentText() == weights.name, timeout=WAIT)

    options = tuner.form.options()
    assert (options.model, options.checkpoint) == (EMBEDDED_MODEL, weights)
    assert load_model(options.model, options.checkpoint).config.name


def test_it_learns_on_the_device_that_is_chosen(tuner):
    tuner.form.model.devices.addItem("a GPU", "cuda:7")
    tuner.form.model.devices.setCurrentText("a GPU")

    assert tuner.form.options().device == "cuda:7"
    assert tuner.form.model.precisions.isHidden()


def test_labels_with_an_axis_for_channels_are_learnt_from(models, blobs, qtbot):
    viewer = ViewerModel()
    image = viewer.add_image(np.stack([blobs[0]] * 2, axis=1), axis_labels=("t", "c", "y", "x"))
    viewer.add_labels(blobs[1][:, None], name="drawn")
    dock = FineTuneDock(viewer)
    qtbot.addWidget(dock)
    dock.form.image.choose(image, 0, Channels(1, (0, 1)))

    stacks = dock.form.source().read()
    dock.shut()

    assert len(stacks) == 1


def test_file_that_is_no_weights_is_told(tuner, told, tmp_path, qtbot):
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    tuner.form.model.use_file(tmp_path / "bad.pt")
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT)

    assert "bad.pt cannot be read as weights" in tuner.status.label.text()


def test_image_that_changes_after_the_dock_was_closed_is_not_followed(tuner, viewer):
    tuner.shut()
    axes = [tuner.form.image.axes.itemText(i) for i in range(3)]

    viewer.layers["blobs"].data = viewer.layers["blobs"].data[:5]

    assert [tuner.form.image.axes.itemText(i) for i in range(3)] == axes
