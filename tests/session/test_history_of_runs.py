"""Runs in the history: whole, cancelled, with others in between, and undone while under way."""

from itertools import islice

import numpy as np
import pytest
from session_steps import prompted, run

from napari_sam2 import Session


@pytest.fixture
def fresh(tiny_model, blobs):
    """Sessions that all begin alike."""

    def begin():
        session = Session(blobs[0], tiny_model)
        prompted(session)
        return session

    return begin


def test_cancelled_run_is_one_step_of_what_it_did(session):
    prompted(session)
    steps = session.propagate()
    list(islice(steps, 3))
    steps.close()

    # The second object's prompt, on frame 5, was answered first.
    assert session.history[0] == "propagate 2 objects over 3 frames"
    session.undo()
    assert not session.labels.any()
    assert all(not known.frames for known in session.objects.values())


def test_what_others_do_during_a_run_is_undone_on_its_own(session):
    first, second = prompted(session)
    steps = session.propagate(objects=[first])
    list(islice(steps, 3))
    session.add_points(second, 0, [[5, 5]])
    list(steps)

    assert session.history[:3] == (
        "propagate first over 5 frames",
        "prompt second on frame 0",
        "propagate first over 3 frames",
    )
    found = session.labels.copy()
    session.undo()
    assert session.prompts(second, 0)
    assert session.labels.any(axis=(1, 2)).sum() == 3
    session.undo()
    session.undo()
    assert not session.labels.any()
    for _ in range(3):
        session.redo()
    assert np.array_equal(session.labels, found)


def test_undo_ends_a_run_that_is_under_way(session):
    prompted(session)
    steps = session.propagate()
    list(islice(steps, 3))
    session.undo()

    assert list(steps) == []
    assert not session.labels.any()
    assert session.undone[0].startswith("propagate")


def test_run_after_undo_finds_what_a_first_one_finds(fresh):
    other, session = fresh(), fresh()
    run(other)
    run(session, "both")
    session.undo()
    run(session)

    assert np.array_equal(session.labels, other.labels)
    assert session.quality.rows().tobytes() == other.quality.rows().tobytes()


def test_run_after_undone_prompts_finds_what_it_did_without_them(fresh):
    other, session = fresh(), fresh()
    run(other)
    session.add_points(1, 0, [[80, 10]], [False])
    session.add_points(1, 4, [[60, 60]])
    run(session)
    for _ in range(3):
        session.undo()
    run(session)

    assert np.array_equal(session.labels, other.labels)


def test_run_after_a_removed_object_has_come_back_finds_it_again(fresh):
    other, session = fresh(), fresh()
    run(other)
    run(other)
    run(session)
    session.remove_object(1)
    session.undo()
    run(session)

    assert np.array_equal(session.labels, other.labels)


def test_click_on_a_frame_whose_tracking_was_undone_begins_anew(fresh):
    other, session = fresh(), fresh()
    run(session)
    session.undo()

    for one in (other, session):
        one.add_points(1, 3, [[35, 40]])
    assert len(session.segment(1, 3).masks) == len(other.segment(1, 3).masks) == 3


def test_history_goes_on_with_another_model(tiny_model, blobs, fresh):
    session = fresh()
    run(session)
    found = session.labels.copy()
    other = Session(blobs[0], tiny_model, labels=session.labels)
    other.take_over(session)

    assert other.history[0] == "propagate 2 objects over 8 frames"
    other.undo()
    assert not other.labels.any()
    other.redo()
    assert np.array_equal(other.labels, found)
    while other.history:
        other.undo()
    assert not other.objects


def test_released_session_can_be_undone(fresh):
    session = fresh()
    run(session)
    session.release()
    session.undo()
    assert not session.labels.any()
    session.redo()
    assert session.labels.any()
