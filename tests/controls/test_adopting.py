"""A session that a script made is gone on with in the dock."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import Qt

from napari_sam2._controls.object_model import Column
from napari_sam2._widget import AnnotateWidget
from napari_sam2.cli.demo import show
from napari_sam2.predictors.frames import View
from napari_sam2.prompts import MaskPrompt
from napari_sam2.session import Session, Settings

LABELS = "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def session(blobs, tiny_model) -> Session:
    """Two objects, followed through all frames: one clicked, one in a box and clicked."""
    session = Session(blobs[0], tiny_model, settings=Settings(device="cpu"))
    one, other = session.add_object("nucleus A"), session.add_object("nucleus B", 5)
    session.add_points(one, 0, [[30, 40], [80, 10]], [True, False])
    session.add_points(other, 0, [[60, 90]])
    session.add_box(other, 0, [45, 75, 75, 105])
    for _ in session.propagate():
        pass
    return session


@pytest.fixture
def adopted(make_napari_viewer, session, qtbot):
    """The session in a real window that was empty."""
    window = make_napari_viewer(show=True)
    window.window._qt_window.resize(1100, 800)
    widget = AnnotateWidget(window, session=session)
    window.window.add_dock_widget(widget, name="SAM 2")
    qtbot.wait(50)
    yield widget
    widget.annotator.shut()


@pytest.fixture
def bench_session(adopted):
    """What the dock works with by now."""

    def give():
        (made,) = adopted.annotator._bench._made.values()
        return made.session

    return give


def layer_of(widget, kind):
    return next(layer for layer in widget.annotator._viewer.layers if isinstance(layer, kind))


def test_data_and_labels_are_shown_as_they_are(adopted, session):
    layers = adopted.annotator._viewer.layers

    assert layers["image"].data is session.source.data
    assert layers[LABELS].data is session.labels
    assert layers["image"].contrast_limits == list(session.source.contrast_limits)


def test_objects_are_listed_by_name_and_colour(adopted, session):
    labels, objects = layer_of(adopted, Labels), adopted.panels.objects

    assert objects.names() == {1: "nucleus A", 5: "nucleus B"}
    icon = objects.model.index(1, Column.NAME).data(Qt.ItemDataRole.DecorationRole)
    shown = icon.pixmap(14).toImage().pixelColor(7, 7).getRgbF()
    np.testing.assert_allclose(shown, labels.colormap.map(5), atol=0.01)
    assert adopted.annotator.new_object() is None
    assert objects.current() == 6


def test_prompts_are_drawn(adopted):
    points, shapes = layer_of(adopted, Points), layer_of(adopted, Shapes)

    np.testing.assert_array_equal(points.data, [[0, 30, 40], [0, 80, 10], [0, 60, 90]])
    assert points.features["object"].tolist() == [1, 1, 5]
    assert points.features["positive"].tolist() == [True, False, True]
    assert [box.min(axis=0).tolist() for box in shapes.data] == [[0, 45, 75]]
    assert shapes.features["object"].tolist() == [5]


def test_nothing_is_asked_of_the_model_again(adopted, prompted, qtbot):
    qtbot.wait(300)

    assert prompted == []


def test_correction_goes_on_from_what_was_tracked(
    adopted, session, bench_session, prompted, qtbot, hand
):
    viewer, before = adopted.annotator._viewer, session.labels.copy()
    viewer.dims.set_point(0, 4)
    adopted.panels.objects.make_current(5)
    hand.add_points(adopted, [4, 60, 78])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {5}, timeout=WAIT)
    assert prompted == [(5, 4)]  # nothing but the click is new

    adopted.panels.objects.make_current(5)
    adopted.panels.track.objects.setCurrentIndex(1)
    hand.follow(adopted)

    assert bench_session() is session
    assert viewer.layers[LABELS].data is session.labels
    assert sorted(session.objects[5].prompts) == [0, 4]
    assert (session.labels[4:] != before[4:]).any()
    np.testing.assert_array_equal(session.labels == 1, before == 1)


def test_other_contrast_keeps_results_and_settings(adopted, session, bench_session, qtbot, hand):
    viewer = adopted.annotator._viewer
    viewer.layers["image"].contrast_limits = (7, 77)

    adopted.annotator.segment()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1, 5}, timeout=WAIT)

    assert bench_session() is not session
    assert bench_session().labels is session.labels
    assert bench_session().settings.device == "cpu"


def test_image_that_is_open_already_is_used(viewer, session, prompted, qtbot, hand):
    image = viewer.layers["blobs"]
    image.contrast_limits = session.source.contrast_limits
    image.scale, image.rotate = (1, 0.13, 0.13), (0, 0, 17)
    viewer.add_image(np.zeros((8, 96, 128)), name="other")
    widget = AnnotateWidget(viewer)
    qtbot.addWidget(widget)

    widget.adopt(session)
    qtbot.wait(300)
    assert prompted == []  # positions went through the layers' transforms, and are the same
    widget.annotator.segment()
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1, 5}, timeout=WAIT)

    assert widget.panels.image.image() is image
    np.testing.assert_allclose(viewer.layers[LABELS].rotate, image.rotate)
    assert next(iter(widget.annotator._bench._made.values())).session is session
    widget.annotator.shut()


def test_earlier_prompts_stay_out_of_it(dock, viewer, session, hand):
    mine = hand.add_points(dock, [0, 70, 20])

    dock.adopt(session)
    hand.follow(dock)

    assert mine in viewer.layers
    assert len(session.prompts(1, 0)) == 2


def test_depth_of_four_axes_is_played_at_its_time(blobs, tiny_model, qtbot, hand):
    stack = np.stack([blobs[0]] * 3)
    session = Session(stack, tiny_model, 1, view=View(axis=1, held={0: 2}))
    cell = session.add_object("deep")
    session.add_points(cell, 3, [[36, 40]])
    for _ in session.propagate():
        pass
    before = session.labels.copy()
    viewer = ViewerModel()
    widget = AnnotateWidget(viewer, session=session)
    qtbot.addWidget(widget)

    assert widget.panels.image.axes.currentIndex() == 1
    assert viewer.dims.current_step[:2] == (2, 3)
    widget.panels.track.direction.setCurrentText("Forward →")
    hand.follow(widget)

    np.testing.assert_array_equal(session.labels, before)
    assert before[2].any()
    assert not before[:2].any()
    widget.annotator.shut()


def test_masks_come_back_as_they_were(blobs, tiny_model, qtbot):
    holed = blobs[1][0] == 1
    holed[28:33, 38:43] = False
    holed[30, 40] = True
    session = Session(blobs[0], tiny_model)
    one, gone = session.add_object(), session.add_object()
    session.add_mask(one, 0, holed)
    session.add_mask(gone, 3, np.zeros_like(holed))
    viewer = ViewerModel()
    widget = AnnotateWidget(viewer, session=session)
    qtbot.addWidget(widget)
    qtbot.wait(300)

    assert session.prompts(one, 0) == (MaskPrompt(0, holed),)
    assert [len(session.prompts(gone, frame)) for frame in range(8)] == [0, 0, 0, 1, 0, 0, 0, 0]
    task = widget.annotator._read()
    assert task.prompts[one][0] == (MaskPrompt(0, holed),)
    widget.annotator.shut()


def test_demo_opens_napari_with_its_own_session(make_napari_viewer, session, monkeypatch, qtbot):
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr("napari.Viewer", lambda: viewer)
    monkeypatch.setattr("napari.run", lambda: None)

    show(session)
    qtbot.wait(50)

    (widget,) = viewer.window._qt_window.findChildren(AnnotateWidget)
    assert [layer.name for layer in viewer.layers] == [
        "time-lapse",
        LABELS,
        "SAM 2 points",
        "SAM 2 shapes",
    ]
    assert next(iter(widget.annotator._bench._made.values())).session is session
    assert widget.panels.model.model() is session.model
    widget.annotator.shut()


def test_session_that_cannot_be_shown_leaves_paint_as_it_was(blobs, tiny_model, open_dock):
    volumes = np.stack([blobs[0][:3], blobs[0][3:6]])
    viewer = ViewerModel()
    viewer.add_image(volumes, name="volumes")
    dock = open_dock(viewer)
    dock.panels.prompts.take_up("brush")
    layer = dock.annotator.painting.layer
    layer.paint((0, 1, 20, 20), 1)
    viewer.dims.order = (0, 3, 1, 2)

    with pytest.raises(ValueError, match="Show other axes"):
        dock.adopt(Session(volumes, tiny_model, view=View(axis=0, held={1: 1})))

    assert dock.annotator.painting.layer is layer
