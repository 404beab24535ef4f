"""Previews of many objects are counted once they take long, and can be cancelled."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hand import settle
from qtpy.QtCore import Qt

from napari_sam2._controls import long_preview
from napari_sam2.predictors.tracker import Tracker

WAIT = 10_000  #: ms, for what a worker does
COUNT = 6  #: objects


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(long_preview, "PATIENCE_MS", 50)


@pytest.fixture
def turnstile(monkeypatch):
    """Lets the model answer for so many objects; more when it is released again."""
    passes, prompt = threading.Semaphore(0), Tracker.prompt

    def gated(self, *args):
        assert passes.acquire(timeout=20)
        return prompt(self, *args)

    monkeypatch.setattr(Tracker, "prompt", gated)
    yield passes
    passes.release(100)


@pytest.fixture
def looking(docked, window, hand, qtbot, turnstile):
    """Six objects of a layer of labels are looked for, and two of them were found."""
    labels = np.zeros((96, 128), np.uint8)
    for n in range(COUNT):
        labels[10 + 12 * n :, 20:40] = n + 1
    layer = window.add_labels(labels, name="drawn")
    docked.panels.prompts.labels_wanted.emit(layer, False)
    turnstile.release(2)
    qtbot.waitUntil(lambda: docked.panels.status.bar.value() == 2, timeout=WAIT)
    return docked


def test_objects_are_counted(looking):
    bar = looking.panels.status.bar
    assert not bar.isHidden()
    assert bar.format().startswith(f"2 / {COUNT} objects, ")


def test_bar_is_gone_when_all_are_found(looking, turnstile):
    turnstile.release(COUNT)
    settle(looking)

    assert looking.panels.status.bar.isHidden()
    assert not looking.panels.track.cancel_button.isEnabled()


@pytest.mark.parametrize("how", ["button", "key"])
def test_cancelled_it_keeps_what_was_found(looking, window, hand, turnstile, how):
    if how == "button":
        looking.panels.track.cancel_button.click()
    else:
        hand.press(window, Qt.Key.Key_Escape)
    turnstile.release(COUNT)
    settle(looking)

    assert len(hand.previewed(window)) == 2
    assert looking.panels.status.label.text().startswith(f"Cancelled: 2 of {COUNT} objects in ")
    assert not looking.panels.track.cancel_button.isEnabled()


def test_run_takes_bar_button_and_key_over(looking, window, gate, hand, turnstile, qtbot):
    gate.open.clear()
    looking.annotator.propagate()
    turnstile.release(100)
    assert gate.entered.wait(10)
    qtbot.waitUntil(lambda: "frames" in looking.panels.status.bar.format(), timeout=WAIT)
    assert looking.panels.track.cancel_button.isEnabled()

    hand.press(window, Qt.Key.Key_Escape)
    gate.open.set()
    settle(looking)

    assert looking.panels.status.label.text().startswith("Cancelled: 0 of 8 frames")


def test_single_objects_have_no_bar(dock, hand, turnstile, qtbot):
    hand.add_points(dock, [0, 30, 40])
    qtbot.wait(300)

    assert dock.panels.status.bar.isHidden()
    turnstile.release(1)
