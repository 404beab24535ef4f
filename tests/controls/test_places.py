"""Work at one place in an image outlives a look at another plane, or along another axis."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle, shut
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_sam2.autosave import Autosave, find_unsaved
from napari_sam2.predictors.frames import View
from napari_sam2.session import Session

WAIT = 10_000  #: ms, for what a worker does
POINTS, LABELS = "SAM 2 points", "SAM 2 labels"
AT_0 = View(held={1: 0})


@pytest.fixture
def volumes(blobs):
    """Four frames of three planes, (T, Z, Y, X)."""
    return np.stack([blobs[0][:4]] * 3, axis=1)


@pytest.fixture
def tzyx(volumes):
    viewer = ViewerModel()
    viewer.add_image(volumes, name="volumes")
    go(viewer, 0, 0)
    return viewer


@pytest.fixture
def planes(tzyx, open_dock):
    """A dock on volumes through time, at frame 0 of plane 0."""
    return open_dock(tzyx)


def go(viewer, frame, plane):
    viewer.dims.set_point(0, frame)
    viewer.dims.set_point(1, plane)


def play(dock, axis):
    dock.panels.image.axes.setCurrentIndex(axis)
    dock.panels.image.axes.activated.emit(axis)


def session(dock):
    """The session at hand."""
    return dock.annotator._bench._made[dock.panels.image.image()].session


def follow(dock, hand, qtbot, point, lock=True):
    """Prompt an object, follow it, and lock it on the frame that is shown."""
    hand.follow(dock, point)
    if lock:
        dock.annotator.reviewer.toggle_lock()
    settle(dock)


def known(one):
    return {
        "objects": {i: (o.prompts, o.frames, o.locked) for i, o in one.objects.items()},
        "quality": len(one.quality.rows()),
        "history": one.history,
    }


def test_a_look_at_another_plane_costs_nothing(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    first = session(planes)
    before = known(first)
    assert before["objects"][1][1:] == ({0, 1, 2, 3}, {0})

    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 60, 90])
    second = session(planes)
    go(tzyx, 0, 0)
    planes.annotator.segment()
    settle(planes)

    assert session(planes) is first is not second
    assert known(first) == before
    assert second.labels is first.labels
    assert second.source.held == {1: 1}


def test_playing_along_another_axis_and_back_costs_nothing(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    first = session(planes)
    before = known(first)

    play(planes, 1)
    go(tzyx, 0, 2)
    follow(planes, hand, qtbot, [0, 2, 60, 90])
    assert (session(planes).source.axis, session(planes).source.held) == (1, {0: 0})
    play(planes, 0)
    go(tzyx, 0, 0)
    planes.annotator.segment()
    settle(planes)

    assert session(planes) is first
    assert known(first) == before


def test_what_was_found_is_shown_again_as_soon_as_the_slider_is_back(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    reviewer = planes.annotator.reviewer
    qtbot.waitUntil(lambda: reviewer.summary.locked.get(1) is not None, timeout=WAIT)

    go(tzyx, 0, 1)
    qtbot.waitUntil(lambda: not reviewer.summary.rows, timeout=WAIT)
    go(tzyx, 0, 0)

    qtbot.waitUntil(lambda: bool(reviewer.summary.rows), timeout=WAIT)
    assert list(reviewer.summary.locked[1]) == [0]


def test_an_object_that_is_removed_is_erased_on_every_plane(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40], lock=False)
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 34, 40], lock=False)
    labels = tzyx.layers[LABELS].data
    assert (labels[:, 0] == 1).any()
    assert (labels[:, 1] == 1).any()

    go(tzyx, 0, 2)
    planes.panels.objects.begin()
    planes.panels.objects.remove([1])
    settle(planes)

    assert not labels.any()


def test_undo_goes_to_where_it_was_done(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40], lock=False)
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 60, 90], lock=False)
    play(planes, 1)
    labels = tzyx.layers[LABELS].data
    after = labels.copy()

    for _ in range(3):  # the run on plane 1, the point that led to it, the run on plane 0
        planes.annotator.timeline.undo()
        settle(planes)

    assert not labels.any()
    assert len(tzyx.layers[POINTS].data) == 1
    assert planes.panels.image.stack().held == {1: 0}
    for _ in range(3):
        planes.annotator.timeline.redo()
        settle(planes)
    np.testing.assert_array_equal(labels, after)
    assert planes.panels.image.stack().held == {1: 1}


def test_an_object_removed_on_several_planes_is_there_again_when_that_is_undone(
    planes, tzyx, qtbot, hand
):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    before = {i: (o.frames, o.locked) for i, o in session(planes).objects.items()}
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 34, 40])
    labels = tzyx.layers[LABELS].data
    found = labels.copy()
    planes.panels.objects.begin()
    planes.panels.objects.remove([1])
    settle(planes)
    assert not labels.any()

    planes.annotator.timeline.undo()
    settle(planes)

    np.testing.assert_array_equal(labels, found)
    go(tzyx, 0, 0)
    planes.annotator.segment()
    settle(planes)
    assert {1: before[1]} == {i: (o.frames, o.locked) for i, o in session(planes).objects.items()}


def test_objects_are_merged_on_every_plane(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40], lock=False)
    planes.panels.objects.begin()
    follow(planes, hand, qtbot, [0, 0, 60, 90], lock=False)
    first = session(planes)
    go(tzyx, 0, 1)
    planes.panels.objects.make_current(1)
    follow(planes, hand, qtbot, [0, 1, 34, 40], lock=False)
    labels = tzyx.layers[LABELS].data
    before = labels.copy()
    assert (before[:, 0] == 2).any()

    planes.panels.objects.merge_wanted.emit((1, 2))
    settle(planes)
    np.testing.assert_array_equal(labels, np.where(before == 2, 1, before))
    assert planes.panels.objects.names() == {1: "object 1"}
    assert list(first.objects) == [1]

    planes.annotator.timeline.undo()
    settle(planes)
    np.testing.assert_array_equal(labels, before)
    assert sorted(first.objects) == [1, 2]


def test_places_left_long_ago_take_no_room_and_go_on_as_before(planes, tzyx, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40], lock=False)
    first = session(planes)
    tracker = first._work.tracker
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 34, 40], lock=False)
    assert first._work.tracker is tracker
    go(tzyx, 0, 2)
    follow(planes, hand, qtbot, [0, 2, 34, 40], lock=False)
    assert first._work.tracker is not tracker

    labels = tzyx.layers[LABELS].data
    before = labels.copy()
    go(tzyx, 0, 0)
    hand.follow(planes)

    assert session(planes) is first
    np.testing.assert_array_equal(labels, before)


def test_another_model_goes_on_with_what_is_known_at_each_place(
    planes, tzyx, tiny_config, qtbot, hand
):
    from random_models import set_presence

    from napari_sam2.model.sam2 import SAM2

    follow(planes, hand, qtbot, [0, 0, 30, 40])
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 60, 90])
    planes.panels.model.use(set_presence(SAM2(tiny_config)).eval(), "another")
    planes.annotator.segment()
    settle(planes)
    second = session(planes)
    go(tzyx, 0, 0)
    planes.annotator.segment()
    settle(planes)

    for one in (second, session(planes)):
        assert one.model is planes.panels.model.model()
        assert one.locked(1) == [0]
        assert one.objects[1].frames == {0, 1, 2, 3}
        assert one.labels is second.labels


def test_all_places_are_restored(planes, tzyx, volumes, open_dock, qtbot, hand):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    first = known(session(planes))
    go(tzyx, 0, 1)
    planes.panels.objects.begin()
    follow(planes, hand, qtbot, [0, 1, 60, 90])
    second = known(session(planes))
    labels = np.array(tzyx.layers[LABELS].data)
    shut(planes)
    assert len(find_unsaved()) == 1

    viewer = ViewerModel()
    viewer.add_image(volumes)
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)
    settle(dock)

    np.testing.assert_array_equal(viewer.layers[LABELS].data, labels)
    assert len(viewer.layers[POINTS].data) == 2
    assert viewer.dims.current_step[1] == 1
    again = [session(dock)]
    go(viewer, 0, 0)
    dock.annotator.segment()
    settle(dock)
    again.append(session(dock))
    for one, before in zip(again, (second, first), strict=True):
        for i, (_, frames, locked) in before["objects"].items():
            if frames:
                assert (one.objects[i].frames, one.objects[i].locked) == (frames, locked)
        assert len(one.quality.rows()) == before["quality"]


def test_a_session_that_is_saved_has_every_place(
    planes, tzyx, volumes, tiny_model, qtbot, hand, tmp_path
):
    follow(planes, hand, qtbot, [0, 0, 30, 40])
    go(tzyx, 0, 1)
    follow(planes, hand, qtbot, [0, 1, 60, 90])
    planes.annotator.files.save_to(tmp_path / "cells.sam2")
    qtbot.waitUntil(lambda: "Saved" in planes.panels.status.label.text(), timeout=WAIT)

    loaded = Session.load(tmp_path / "cells.sam2", volumes, tiny_model)
    (other,) = loaded.load_others(tmp_path / "cells.sam2")
    np.testing.assert_array_equal(loaded.labels, tzyx.layers[LABELS].data)
    assert [one.source.held for one in (loaded, other)] == [{1: 1}, {1: 0}]
    assert [one.locked(1) for one in (loaded, other)] == [[0], [0]]


def test_work_that_is_restored_outlives_a_session_that_is_being_made(
    viewer, tiny_model, qtbot, hand, monkeypatch, blobs, open_dock
):
    import threading

    from napari_sam2._controls import session_making

    unsaved = Session(viewer.layers["blobs"].data, tiny_model)
    unsaved.add_points(unsaved.add_object("mine"), 0, [[30, 40]])
    list(unsaved.propagate())
    file = Autosave()
    file.save(unsaved)
    file.close()
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.panels.unsaved.isHidden(), timeout=WAIT)
    entered, go_on, real = threading.Event(), threading.Event(), session_making.Session

    def slow(*args, **kwargs):  # as a large model that is loaded for the first click
        entered.set()
        assert go_on.wait(30)
        return real(*args, **kwargs)

    monkeypatch.setattr(session_making, "Session", slow)
    hand.add_points(dock, [0, 60, 90])
    qtbot.waitUntil(entered.is_set, timeout=WAIT)
    dock.panels.unsaved.restore_button.click()
    qtbot.waitUntil(lambda: "objects of" in dock.panels.status.label.text(), timeout=WAIT)
    go_on.set()
    settle(dock)
    shut(dock)

    after = Session.load(file.path, blobs[0], tiny_model)
    np.testing.assert_array_equal(after.labels, unsaved.labels)
    assert after.objects[1].frames == unsaved.objects[1].frames


@pytest.mark.usefixtures("docked")
def test_keys_undo_on_the_plane_where_it_was_done(window, docked, volumes, qtbot, hand):
    image = window.add_image(volumes, name="volumes")
    docked.panels.image.images.pick(image)
    go(window, 0, 0)
    follow(docked, hand, qtbot, [0, 0, 30, 40], lock=False)
    go(window, 0, 2)
    qtbot.wait(50)

    hand.press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(docked)

    assert window.dims.current_step[1] == 0
    assert not window.layers[LABELS].data.any()


def test_masks_that_were_given_at_one_place_outlive_those_at_another(planes, tzyx, blobs, qtbot):
    given = planes.annotator.layers.given
    session_of_masks = Session(tzyx.layers["volumes"].data, planes.panels.model.model(), view=AT_0)
    elsewhere = session_of_masks.at({1: 1})
    session_of_masks.add_labels(0, blobs[1][0])
    elsewhere.add_mask(elsewhere.add_object(), 0, blobs[1][1] == 1)
    planes.annotator.adopt(session_of_masks, others=[elsewhere])
    stack = planes.panels.image.stack()
    go(tzyx, 0, 1)
    settle(planes)
    planes.annotator.segment()
    settle(planes)
    go(tzyx, 0, 0)
    planes.annotator.segment()
    settle(planes)

    assert sorted(given.of(stack)) == [1, 2]
    other = planes.annotator._bench._made.find(stack.elsewhere(0, {1: 1})).session
    known = *(session(planes).objects[i] for i in (1, 2)), other.objects[3]
    assert all(one.prompts for one in known)
    planes.panels.objects.remove([3])
    settle(planes)
    assert sorted(given.of(stack)) == [1, 2]
    assert not given.of(stack.elsewhere(0, {1: 1}))
