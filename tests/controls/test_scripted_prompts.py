"""What a script prompts is drawn, as if a hand had done so."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hand import settle, wait_until
from napari.components import ViewerModel
from napari.layers import Points
from qtpy.QtTest import QTest

from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.session import Session

POINTS, SHAPES, MASKS = "SAM 2 points", "SAM 2 shapes", "SAM 2 masks"


@pytest.fixture
def disc():
    rows, columns = np.mgrid[:96, :128]
    return (rows - 30) ** 2 + (columns - 40) ** 2 < 100


@pytest.fixture
def said(monkeypatch) -> list[tuple[int, int]]:
    """Which prompts a session is told, by object and frame."""
    told: list[tuple[int, int]] = []
    set_prompts = Session.set_prompts

    def noting(self, object_id, frame, prompts):
        told.append((object_id, frame))
        return set_prompts(self, object_id, frame, prompts)

    monkeypatch.setattr(Session, "set_prompts", noting)
    return told


def features(layer) -> list[tuple[int, bool]]:
    return list(zip(layer.features["object"], layer.features["positive"], strict=True))


def test_points_are_drawn_where_they_are(dock, viewer):
    session = dock.session
    cell = session.add_object("of a script")

    session.add_points(cell, 2, [[60, 85], [20.5, 10]], positive=[True, False])

    layer = viewer.layers[POINTS]
    assert layer.data.tolist() == [[2, 60, 85], [2, 20.5, 10]]
    assert features(layer) == [(cell, True), (cell, False)]
    assert layer.scale.tolist() == viewer.layers["blobs"].scale.tolist()


def test_points_are_drawn_beside_those_of_a_hand(dock, hand):
    points = hand.add_points(dock, [0, 30, 40])

    dock.session.add_points(1, 0, [[36, 40]], positive=[False])

    assert points.data.tolist() == [[0, 30, 40], [0, 36, 40]]
    assert features(points) == [(1, True), (1, False)]


def test_box_is_drawn(dock, viewer):
    session = dock.session
    session.add_box(session.add_object(), 3, [20, 30, 40, 50])

    layer = viewer.layers[SHAPES]
    assert layer.shape_type == ["rectangle"]
    assert layer.data[0].min(axis=0).tolist() == [3, 20, 30]
    assert layer.data[0].max(axis=0).tolist() == [3, 40, 50]


def test_box_takes_the_place_of_an_earlier_one(dock, viewer, hand):
    shapes = hand.add_boxes(dock, hand.rectangle(20, 30, 40, 50))

    dock.session.add_box(1, 0, [22, 32, 42, 52])

    assert shapes.nshapes == 1
    assert shapes.data[0].min(axis=0).tolist() == [0, 22, 32]


def test_mask_is_outlined(dock, viewer, disc):
    session = dock.session
    session.add_mask(1, 0, disc)

    outlined = np.argwhere(viewer.layers[MASKS].data)[:, -2:]
    assert disc[tuple(outlined.T)].all()
    assert len(outlined)


def test_mask_takes_the_place_of_what_is_drawn(dock, viewer, hand, disc):
    points = hand.add_points(dock, [0, 30, 40])

    dock.session.add_mask(1, 0, disc)
    settle(dock)

    assert not len(points.data)
    assert dock.session.prompts(1, 0) == (MaskPrompt(0, disc),)


def test_object_that_is_not_there_is_drawn_no_more(dock, hand, disc):
    points = hand.add_points(dock, [0, 30, 40])

    dock.session.add_mask(1, 0, np.zeros_like(disc))
    settle(dock)

    assert not len(points.data)
    assert [one.part.size for one in dock.session.prompts(1, 0)] == [0]


def test_prompts_that_a_script_clears_are_drawn_no_more(dock, hand):
    points = hand.add_points(dock, [0, 30, 40], [3, 36, 40])

    dock.session.clear_prompts(1, 0)
    settle(dock)

    assert points.data.tolist() == [[3, 36, 40]]
    assert list(dock.session.objects[1].prompts) == [3]


def test_session_is_not_told_what_it_has_said(dock, hand, said):
    session = dock.session
    session.add_points(1, 2, [[60, 85]])
    said.clear()

    dock.panels.image.image().visible = True
    settle(dock)
    assert dock.session is session

    assert said == []
    assert session.prompts(1, 2) == (PointPrompt(2, 60, 85),)


def test_point_of_a_hand_does_not_take_that_of_a_script_away(dock, hand):
    session = dock.session
    session.add_points(1, 0, [[30, 40]])
    hand.add_points(dock, [0, 36, 40])

    assert len(dock.session.prompts(1, 0)) == 2


def test_point_on_the_frame_that_is_shown_is_previewed(dock, viewer, hand):
    dock.session.add_points(1, 0, [[30, 40]])

    settle(dock)

    assert hand.previewed(viewer) == {1}


def test_what_is_found_already_is_not_offered(dock, viewer, hand, prompted):
    session = dock.session
    session.add_points(1, 0, [[30, 40]])
    for _ in session.propagate():
        pass
    prompted.clear()
    settle(dock)

    assert prompted == []


def test_current_object_and_tool_stay(dock, viewer, hand):
    dock.panels.prompts.take_up("box")
    session = dock.session
    session.add_points(session.add_object(), 2, [[60, 85]])

    assert dock.panels.objects.current() == 1
    assert dock.annotator.layers.tool == "box"
    next_one = hand.add_points(dock, [0, 30, 40])
    assert features(next_one)[-1] == (1, True)


def test_worker_thread_prompts_and_the_window_draws(dock, viewer, monkeypatch):
    session, threads = dock.session, set()
    add = Points.add
    monkeypatch.setattr(
        Points, "add", lambda *args: (threads.add(threading.current_thread()), add(*args))[1]
    )

    worker = threading.Thread(target=session.add_points, args=(1, 2, [[60, 85]]))
    worker.start()
    worker.join(10)
    wait_until(lambda: POINTS in viewer.layers and len(viewer.layers[POINTS].data) == 1)

    assert threads == {threading.main_thread()}


def test_each_step_of_a_script_is_undone_and_redone(dock, viewer):
    session, timeline = dock.session, dock.annotator.timeline
    session.add_points(1, 2, [[60, 85]])
    session.add_points(1, 3, [[20, 10]])
    points = viewer.layers[POINTS]

    drawn, known = [], []
    for act in (timeline.undo, timeline.undo, timeline.redo, timeline.redo):
        act()
        settle(dock)
        drawn.append(points.data[:, 0].tolist())
        known.append(list(session.objects[1].prompts))

    assert drawn == known == [[2], [], [2], [2, 3]]


def test_labels_of_a_script_are_undone_at_once(dock, viewer, disc):
    session = dock.session
    session.add_labels(0, disc * 4 + np.roll(disc, 40, axis=1) * 5)
    settle(dock)
    assert set(np.unique(viewer.layers[MASKS].data)) == {0, 4, 5}

    dock.annotator.timeline.undo()
    settle(dock)

    assert MASKS not in viewer.layers
    assert list(dock.panels.objects.names()) == [1]


def test_hand_that_draws_is_not_disturbed(dock, viewer, monkeypatch):
    session, layers = dock.session, dock.annotator.layers
    monkeypatch.setattr(type(layers), "is_drawing", True)
    session.add_points(1, 2, [[60, 85]])
    QTest.qWait(150)
    assert POINTS not in viewer.layers

    monkeypatch.setattr(type(layers), "is_drawing", False)

    wait_until(lambda: POINTS in viewer.layers)


def test_prompts_of_another_image_wait_until_it_is_chosen(dock, viewer, blobs):
    session, images = dock.session, dock.panels.image.images
    other = viewer.add_image(blobs[0].copy(), name="other")
    images.pick(other)
    session.add_points(1, 2, [[60, 85]])
    settle(dock)
    assert POINTS not in viewer.layers

    images.pick(viewer.layers["blobs"])

    wait_until(lambda: POINTS in viewer.layers)
    assert viewer.layers[POINTS].data.tolist() == [[2, 60, 85]]


def test_point_is_drawn_on_a_layer_of_the_users_where_it_lies(dock, viewer):
    mine = Points(
        np.empty((0, 3)),
        ndim=3,
        scale=(1, 2, 2),
        translate=(0, 5, 0),
        features={"object": np.empty(0, int), "positive": np.empty(0, bool)},
    )
    viewer.add_layer(mine)
    session = dock.session
    dock.panels.prompts.pickers[Points].pick(mine)

    session.add_points(1, 2, [[60, 85]])

    assert mine.data_to_world(mine.data[0]) == pytest.approx((2, 30, 42.5))
    settle(dock)
    assert session.prompts(1, 2) == (PointPrompt(2, 60, 85),)


def test_layer_that_cannot_say_whose_a_point_is_gets_none(dock, viewer):
    mine = viewer.add_points(np.empty((0, 3)), ndim=3, name="mine")
    session = dock.session
    dock.panels.prompts.pickers[Points].pick(mine)
    session.add_points(session.add_object(), 2, [[60, 85]])

    assert not len(mine.data)
    assert "'mine' has no columns" in dock.panels.status.label.text()
    settle(dock)
    assert session.prompts(2, 2)


def test_point_at_another_place_is_drawn_there(blobs, tiny_model, open_dock):
    viewer = ViewerModel()
    viewer.add_image(np.stack([blobs[0]] * 3))  # (T, Z, Y, X)
    viewer.dims.set_point(0, 1)
    dock = open_dock(viewer)
    dock.panels.image.play(1)
    session = dock.session
    viewer.dims.set_point(0, 2)

    session.add_points(1, 3, [[60, 85]])

    assert viewer.layers[POINTS].data.tolist() == [[1, 3, 60, 85]]


def test_keys_undo_what_a_script_has_prompted(window, docked, keys):
    docked.session.add_points(1, 2, [[60, 85]])
    settle(docked)
    points = window.layers[POINTS]
    assert points.data.tolist() == [[2, 60, 85]]

    keys.undo()
    assert not len(points.data)
    assert not docked.session.objects[1].prompts
    keys.redo()

    assert points.data.tolist() == [[2, 60, 85]]
    assert list(docked.session.objects[1].prompts) == [2]
