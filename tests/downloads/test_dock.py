"""Models are fetched from the dock, from a real server."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtCore import QThreadPool

from napari_sam2._controls import download_bar
from napari_sam2._controls.download_bar import DownloadBar
from napari_sam2._controls.model_picker import ModelPicker

pytestmark = pytest.mark.usefixtures("one_thread")
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def picker(model, qtbot):
    picker = ModelPicker()
    qtbot.addWidget(picker)
    picker.show()
    yield picker
    picker.shut()
    assert QThreadPool.globalInstance().waitForDone(WAIT)


def choose(picker, model):
    picker.names.setCurrentIndex(picker.names.findData(model.name))


def test_models_that_are_here_offer_no_download(picker):
    assert not picker.download.isVisible()


def test_missing_model_offers_its_download_with_its_size(picker, model):
    choose(picker, model)

    assert picker.download.button.isVisible()
    assert "156 MB" in picker.download.button.text()


def test_downloaded_model_can_be_used_at_once(picker, model, kept, content, qtbot):
    choose(picker, model)
    with qtbot.waitSignal(picker.changed, timeout=WAIT):
        picker.download.button.click()

    assert kept() == {model.file: len(content)}
    assert "not here" not in picker.names.currentText()
    assert picker.model() == model.name
    assert not picker.download.isVisible()


def test_transfer_that_breaks_off_is_told_and_goes_on(picker, model, server, kept, content, qtbot):
    choose(picker, model)
    server.sends = 100_000
    picker.download.button.click()
    qtbot.waitUntil(picker.download.message.isVisible, timeout=WAIT)
    assert "cannot be fetched" in picker.download.message.text()
    server.sends = None

    with qtbot.waitSignal(picker.download.done, timeout=WAIT):
        picker.download.button.click()

    assert kept() == {model.file: len(content)}
    assert server.asked[-1][1] is not None  # only the rest was asked for


def test_cancelled_download_keeps_what_came(model, kept, qtbot, monkeypatch):
    bar = DownloadBar()
    qtbot.addWidget(bar)
    bar.offer(model)
    arrived, cancelled = threading.Event(), threading.Event()
    report = download_bar._Transfer.report

    def slow(self, here, total):
        if here > 100_000:
            arrived.set()
            assert cancelled.wait(10)
        report(self, here, total)

    monkeypatch.setattr(download_bar._Transfer, "report", slow)
    bar.start()
    assert arrived.wait(10)

    bar.cancel()
    cancelled.set()

    qtbot.waitUntil(lambda: not bar.bar.isVisibleTo(bar), timeout=WAIT)
    assert bar.button.isVisibleTo(bar)
    ((name, size),) = kept().items()
    assert name.endswith(".partial")
    assert 100_000 < size < 300_000


def test_weights_of_a_file_find_their_model(picker, tmp_path, qtbot):
    from napari_sam2.model.checkpoint import weights_of
    from napari_sam2.model.config import load_config

    path = tmp_path / "cells.safetensors"
    path.write_bytes(weights_of(load_config("sam2.1_hiera_nano")).read_bytes())

    with qtbot.waitSignal(picker.changed, timeout=WAIT):
        picker.use_file(path)

    assert picker.names.currentText() == "cells.safetensors"
    assert picker.model().config.name == load_config("sam2.1_hiera_nano").name


def test_file_that_is_no_model_is_refused(picker, tmp_path, qtbot):
    path = tmp_path / "notes.pt"
    path.write_text("not weights")

    with qtbot.waitSignal(picker.failed, timeout=WAIT) as told:
        picker.use_file(path)

    assert "cannot be read as weights" in str(told.args[0])
    assert picker.model() == "sam2.1_hiera_nano"


def test_device_and_precision_are_settings(picker):
    assert (picker.settings().device, picker.settings().precision) == (None, None)

    picker.devices.setCurrentIndex(picker.devices.findData("cpu"))
    picker.precisions.setCurrentIndex(picker.precisions.findData("bfloat16"))

    assert (picker.settings().device, picker.settings().precision) == ("cpu", "bfloat16")
