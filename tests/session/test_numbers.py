"""Numbers of objects and frames: numpy's integers are as good as Python's, others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from session_steps import disc, prompted, run

from napari_sam2 import PointPrompt, Session, View

HALVES = [disc(40, 30, shape=(96, 128)), disc(40, 60, shape=(96, 128))]


def lock_worst(session):
    session.add_points(session.add_object(), 0, [[30, 40]])
    run(session)
    session.lock(1, session.quality.worst()[0]["frame"])
    session.lock(1, session.quality.worst()["frame"])
    session.unlock(1, np.int64(session.locked(1)[0]))


def divide(session):
    session.add_points(session.add_object(), 0, [[30, 40]])
    session.divide(np.int64(1), np.int64(4), HALVES)


def work(session):
    one, two = (session.add_object(object_id=i) for i in np.array([4, 2]))
    session.add_points(np.int64(one), np.int64(0), [[30, 40]])
    session.add_box(np.uint8(two), np.uint8(5), [50, 65, 70, 85])
    session.add_mask(np.int64(one), np.int64(3), HALVES[0])
    session.accept(session.segment(np.int64(two), np.int64(5)))
    run(session, "both", np.int64(0), np.int64(8), np.array([4, 2]))
    session.merge(np.int64(4), np.int64(2))
    list(session.correct(np.int64(4), np.int64(5)))


@pytest.mark.parametrize("action", [lock_worst, divide, work])
def test_work_with_numpys_integers_can_be_saved(session, blobs, tmp_path, action):
    action(session)

    session.save(tmp_path / "cells.sam2")

    loaded = Session.load(tmp_path / "cells.sam2", blobs[0], session.model)
    assert loaded.objects == session.objects
    assert all(type(i) is int for i in session.objects)


def test_position_that_is_numpys_integer_can_be_saved(blobs, tiny_model, tmp_path):
    view = View(axis=np.int64(1), held={np.int64(0): np.int64(1)})
    session = Session(np.stack([blobs[0]] * 2), tiny_model, view=view)

    session.save(tmp_path / "cells.sam2")

    again = Session.load(tmp_path / "cells.sam2", session.source.data, tiny_model)
    assert (again.source.view.axis, again.source.view.held) == (1, {0: 1})


def test_view_and_settings_of_numpys_numbers_can_be_saved(blobs, tiny_model, tmp_path):
    data = np.stack([blobs[0]] * 3, axis=1)
    view = View(channel_axis=np.int64(1), channels=np.arange(2), gamma=np.float32(0.5))
    session = Session(data, tiny_model, view=view)

    session.save(tmp_path / "cells.sam2")

    again = Session.load(tmp_path / "cells.sam2", data, tiny_model)
    np.testing.assert_array_equal(again.source.read(0), session.source.read(0))


def test_everything_is_looked_for_on_a_frame_of_numpys(session):
    assert next(session.segment_everything(np.int64(0))).found.frame == 0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda s: s.add_points(1, 2.5, [[30, 40]]), r"frame is a whole number; got 2\.5"),
        (lambda s: PointPrompt(2.5, 1, 1), r"frame is a whole number; got 2\.5"),
        (lambda s: s.add_object(object_id=3.0), r"object is a whole number; got 3\.0"),
        (lambda s: s.lock(1, 2.5), r"frame is a whole number; got 2\.5"),
        (lambda s: s.lock(1, [0, "1"]), "frame is a whole number; got '1'"),
        (lambda s: s.divide(1, 2.5, HALVES), r"frame is a whole number; got 2\.5"),
        (lambda s: s.segment_everything(0.5), r"frame is a whole number; got 0\.5"),
        (lambda s: s.propagate(start=1.5), r"frame is a whole number; got 1\.5"),
        (lambda s: s.set_prompts(1, 0, [[1, 2]]), r"a BoxPrompt or a MaskPrompt; got \[1, 2\]"),
    ],
)
def test_other_numbers_are_refused(session, action, message):
    prompted(session)

    with pytest.raises(TypeError, match=message):
        action(session)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            256,
            r"uint8 have no room for object 256.*up to 255\. Give labels of type uint16 or int32",
        ),
        (70_001, r"up to 255\. Give labels of type int32\."),
        (0, "numbered from 1.*0 is the background; got 0"),
        (-3, "numbered from 1.*got -3"),
    ],
)
def test_numbers_that_labels_cannot_hold_say_what_to_do(blobs, tiny_model, number, message):
    session = Session(blobs[0], tiny_model, labels=np.zeros(blobs[0].shape, np.uint8))

    with pytest.raises(ValueError, match=message):
        session.add_object(object_id=number)
