"""The dock that segments everything: what it finds is chosen live, copied, and followed."""

from __future__ import annotations

import threading
from time import perf_counter

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import Qt, QThreadPool

from napari_sam2._everything import EverythingWidget
from napari_sam2._widget import AnnotateWidget
from napari_sam2.automatic import Everything, Selection
from napari_sam2.predictors.pieces import Piece
from napari_sam2.predictors.sweep import Sweep

FOUND = "SAM 2 everything"
WAIT = 10_000  #: ms, for what a worker does
KEEP_ALL = Selection(min_iou=0, min_stability=0)


class Truth:
    """Finds the blobs as they are, a step a call; waits where it is told to."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.open.set()
        self.frames: list[int] = []
        self.error: Exception | None = None

    def look(self, labels, frame, tile):
        self.frames.append(frame)
        if not self.open.is_set():
            self.entered.set()
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error
        plane = (labels[frame] if labels.ndim == 3 else labels)[tile.region]
        one, other = (Piece.of(plane == i, tile, iou, 0.9) for i, iou in ((1, 0.9), (2, 0.6)))
        yield None
        yield [one, other]


@pytest.fixture
def truth(monkeypatch, blobs):
    truth = Truth()
    monkeypatch.setattr(Sweep, "look", lambda self, f, tile, p: truth.look(blobs[1], f, tile))
    monkeypatch.setattr(Sweep, "batches", lambda self, n: 2)
    yield truth
    truth.open.set()


def make_dock(viewer, model, qtbot):
    widget = EverythingWidget(viewer, model=model)
    qtbot.addWidget(widget, before_close_func=lambda widget: widget.runner.shut())
    widget.filter.use(KEEP_ALL)
    return widget


@pytest.fixture
def everything(viewer, tiny_model, truth, qtbot):
    """The dock without a window."""
    widget = make_dock(viewer, tiny_model, qtbot)
    yield widget
    widget.runner.shut()
    truth.open.set()
    assert QThreadPool.globalInstance().waitForDone(WAIT)


@pytest.fixture
def done(qtbot):
    def wait(widget):
        qtbot.waitUntil(lambda: not widget.runner.is_busy, timeout=WAIT)

    return wait


def shown(viewer, frame=0):
    plane = viewer.layers[FOUND].data[frame]
    return set(np.unique(plane[plane > 0]).tolist())


def test_everything_on_the_frame_is_shown_on_a_layer_placed_like_the_image(
    everything, viewer, blobs, done
):
    everything.panel.frame_button.click()
    done(everything)

    layer = viewer.layers[FOUND]
    assert layer.scale.tolist() == [1, 0.5, 0.5]
    np.testing.assert_array_equal(layer.data[0], blobs[1][0])
    assert not layer.data[1:].any()
    assert everything.filter.count.text() == "2 of 2 found on this frame"


def test_each_frame_is_looked_at_on_its_own_the_shown_one_first(
    everything, viewer, blobs, truth, done
):
    viewer.dims.set_point(0, 3)
    everything.panel.each_button.click()
    done(everything)

    np.testing.assert_array_equal(viewer.layers[FOUND].data, blobs[1])
    assert truth.frames == [3, 0, 1, 2, 4, 5, 6, 7]


def test_sliders_choose_without_asking_the_model_again(everything, viewer, truth, done):
    everything.panel.frame_button.click()
    done(everything)
    asked = len(truth.frames)

    everything.filter.iou.setValue(70)
    done(everything)
    assert shown(viewer) == {1}
    assert everything.filter.count.text() == "1 of 2 found on this frame"
    everything.filter.iou.setValue(0)
    done(everything)

    assert shown(viewer) == {1, 2}
    assert len(truth.frames) == asked


def test_size_slider_leaves_out_what_is_larger(everything, viewer, blobs, done):
    everything.panel.frame_button.click()
    done(everything)
    low, high = everything.filter.sizes.value()

    everything.filter.sizes.setValue((low, (low + high) // 2))
    done(everything)

    assert shown(viewer) == {2}
    assert (blobs[1][0] == 2).sum() < (blobs[1][0] == 1).sum()


def test_objects_keep_their_numbers_whatever_is_chosen(everything, viewer, blobs, done):
    everything.panel.frame_button.click()
    done(everything)
    low, high = everything.filter.sizes.value()

    everything.filter.sizes.setValue((low, (low + high) // 2))
    done(everything)

    np.testing.assert_array_equal(viewer.layers[FOUND].data[0] == 2, blobs[1][0] == 2)


def test_hundreds_of_objects_do_not_hold_up_the_window(everything, viewer, qtbot, done):
    everything.panel.frame_button.click()
    done(everything)
    many = [
        Piece((row, column), np.ones((3, 3), bool), 0.9, 0.9)
        for row in range(0, 92, 4)
        for column in range(0, 124, 4)
    ]
    everything.runner.results.found[0] = Everything(0, (96, 128), tuple(many))

    longest = 0.0
    for value in range(0, 80, 4):
        began = perf_counter()
        everything.filter.iou.setValue(value)
        longest = max(longest, perf_counter() - began)
        qtbot.wait(1)
    done(everything)

    assert longest < 0.05
    assert len(shown(viewer)) == len(many)


def test_cancelled_it_keeps_what_was_found(everything, viewer, truth, qtbot, done):
    everything.panel.frame_button.click()
    done(everything)
    truth.open.clear()
    everything.panel.each_button.click()
    assert truth.entered.wait(10)

    everything.runner.cancel()
    truth.open.set()
    done(everything)

    assert shown(viewer) == {1, 2}
    assert everything.panel.frame_button.isEnabled()
    assert not viewer.layers[FOUND].data[1:].any()


def test_copied_objects_are_numbered_anew_and_stay_as_they_are(everything, viewer, blobs, done):
    everything.panel.frame_button.click()
    done(everything)
    everything.filter.sizes.setValue((0, 200))
    done(everything)

    everything.filter.labels_button.click()
    done(everything)
    everything.filter.sizes.setValue((0, 400))
    done(everything)

    copy = viewer.layers["SAM 2 everything (copy)"]
    np.testing.assert_array_equal(copy.data[0], blobs[1][0] == 2)


def test_failure_is_told_and_frees_the_buttons(everything, truth, told, qtbot):
    truth.error = MemoryError("no room")

    everything.panel.frame_button.click()
    qtbot.waitUntil(everything.panel.frame_button.isEnabled, timeout=WAIT)

    assert "out of memory" in told[0]
    assert everything.status.bar.isHidden()


def test_without_an_image_it_says_what_to_do(tiny_model, qtbot):
    widget = make_dock(ViewerModel(), tiny_model, qtbot)

    widget.panel.frame_button.click()

    assert "open one first" in widget.status.label.text()
    widget.runner.shut()


def test_image_removed_while_it_runs_stops_the_run(everything, viewer, truth, qtbot, done):
    truth.open.clear()
    everything.panel.each_button.click()
    assert truth.entered.wait(10)

    viewer.layers.remove("blobs")
    truth.open.set()
    done(everything)

    assert truth.frames == [0]
    assert "the image was removed" in everything.status.label.text()
    assert not everything.filter.track_button.isEnabled()


def test_image_that_is_opened_while_it_runs_does_not_stop_it(everything, viewer, truth, done):
    truth.open.clear()
    everything.panel.each_button.click()
    assert truth.entered.wait(10)

    viewer.add_image(np.zeros((8, 96, 128), np.uint8), name="beside")
    truth.open.set()
    done(everything)

    assert truth.frames == list(range(8))


def test_file_that_is_no_weights_is_told(everything, told, tmp_path, qtbot):
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    everything.model.use_file(tmp_path / "bad.pt")
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT)

    assert "bad.pt cannot be read as weights" in everything.status.label.text()


@pytest.fixture
def endless(everything, viewer, blobs, monkeypatch):
    """An image whose labels fit in no memory."""
    monkeypatch.setattr(Sweep, "look", lambda self, f, tile, p: Truth().look(blobs[1][0], 0, tile))
    planes = np.broadcast_to(blobs[0][0], (10**10, 96, 128))
    image = viewer.add_image(planes, name="endless", contrast_limits=(0, 255), multiscale=False)
    everything.image.images.pick(image)
    return everything


def test_labels_that_do_not_fit_in_memory_are_on_the_disk(endless, viewer, blobs, done):
    frame = viewer.dims.current_step[0]
    endless.panel.frame_button.click()
    done(endless)

    layer = viewer.layers[FOUND]
    assert not isinstance(layer.data, np.ndarray)
    np.testing.assert_array_equal(layer.data[frame], blobs[1][0])


def test_objects_are_copied_where_labels_do_not_fit_in_memory(endless, viewer, blobs, done):
    frame = viewer.dims.current_step[0]
    endless.panel.frame_button.click()
    done(endless)
    endless.filter.labels_button.click()
    done(endless)

    copy = viewer.layers["SAM 2 everything (copy)"]
    np.testing.assert_array_equal(copy.data[frame] > 0, blobs[1][0] > 0)


def test_layer_removed_by_the_user_comes_back_with_the_next_run(everything, viewer, done):
    everything.panel.frame_button.click()
    done(everything)
    viewer.layers.remove(FOUND)
    everything.filter.iou.setValue(10)
    done(everything)

    everything.panel.frame_button.click()
    done(everything)

    assert shown(viewer) == {1, 2}


def test_two_docks_have_a_layer_each(everything, viewer, tiny_model, qtbot, done):
    other = make_dock(viewer, tiny_model, qtbot)
    for widget in (everything, other):
        widget.panel.frame_button.click()
        done(widget)
    other.filter.iou.setValue(70)
    done(other)

    first, second = (layer for layer in viewer.layers if isinstance(layer, Labels))
    assert {len(np.unique(first.data)), len(np.unique(second.data))} == {2, 3}
    other.runner.shut()


def test_two_dimensional_images_have_no_frames_to_run_on(tiny_model, blobs, qtbot, monkeypatch):
    viewer = ViewerModel()
    viewer.add_image(blobs[0][0])

    widget = make_dock(viewer, tiny_model, qtbot)

    assert not widget.panel.each_button.isEnabled()
    widget.runner.shut()


@pytest.fixture
def in_window(window, tiny_model, truth, qtbot):
    """The dock in a real window."""
    widget = EverythingWidget(window, model=tiny_model)
    window.window.add_dock_widget(widget, name="Segment everything")
    widget.filter.use(KEEP_ALL)
    qtbot.wait(50)
    return widget


def test_escape_cancels(in_window, window, truth, hand, qtbot, done):
    truth.open.clear()
    in_window.panel.each_button.click()
    assert truth.entered.wait(10)

    hand.press(window, Qt.Key.Key_Escape)
    truth.open.set()
    done(in_window)

    assert truth.frames == [0]
    assert "Cancelled" in in_window.status.label.text()


def test_all_are_tracked_in_the_dock_that_is_open(
    in_window, docked, window, blobs, qtbot, hand, done
):
    in_window.panel.frame_button.click()
    done(in_window)

    in_window.filter.track_button.click()
    qtbot.waitUntil(lambda: len(docked.panels.objects.names()) == 2, timeout=WAIT)
    qtbot.waitUntil(lambda: not docked.annotator.is_busy, timeout=WAIT)
    hand.follow(docked)

    labels = next(layer.data for layer in window.layers if layer.name == "SAM 2 labels")
    np.testing.assert_array_equal(labels[0], blobs[1][0])
    assert labels[-1].any()


def test_the_other_dock_is_opened_where_there_is_none(in_window, window, qtbot, done):
    in_window.panel.frame_button.click()
    done(in_window)

    in_window.filter.track_button.click()
    main = window.window._qt_window
    qtbot.waitUntil(lambda: len(main.findChildren(AnnotateWidget)) == 1, timeout=WAIT)

    (dock,) = main.findChildren(AnnotateWidget)
    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
    assert len(dock.panels.objects.names()) == 2
    dock.annotator.shut()


def test_window_closed_while_it_runs_ends_the_work(in_window, window, truth, qtbot):
    truth.open.clear()
    in_window.panel.each_button.click()
    assert truth.entered.wait(10)

    window.close()
    truth.open.set()

    assert QThreadPool.globalInstance().waitForDone(WAIT)
    assert truth.frames == [0]


def test_precision_that_is_chosen_is_computed_in(everything, viewer, truth, done):
    model = everything.model
    model.precisions.setCurrentIndex(model.precisions.findData("bfloat16"))

    everything.panel.frame_button.click()
    done(everything)

    assert everything.runner._bench._session.settings.precision == "bfloat16"
