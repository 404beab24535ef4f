"""Accepted frames, and corrections between them."""

import numpy as np
import pytest
from session_steps import disc, ious, prompted, render, run

from napari_sam2 import Session
from napari_sam2.predictors.tracker import Tracker


def test_locked_frames_are_never_written(session):
    first, _ = prompted(session)
    run(session)
    session.lock(first, [3, 4])
    before = session.labels.copy()

    session.add_points(first, 0, [[50, 60]])
    steps = list(session.propagate(objects=[first]))

    assert [first in masks.object_ids for masks in steps] == [f not in {3, 4} for f in range(8)]
    assert np.array_equal(session.labels[3:5] == first, before[3:5] == first)
    assert not np.array_equal(session.labels == first, before == first)


def test_object_is_followed_from_a_prompt_on_a_frame_that_was_locked_since(session):
    first, _ = prompted(session)
    run(session)
    session.lock(first, 0)
    session.release()  # as a session that was loaded

    steps = list(session.propagate(objects=[first]))

    assert [masks.frame for masks in steps if first in masks.object_ids] == list(range(1, 8))


def test_objects_go_on_from_the_masks_that_were_accepted(session, monkeypatch):
    first, _ = prompted(session)
    run(session)
    session.lock(first, range(1, 4))
    taken, go_on = {}, Tracker.go_on_from

    def noted(self, object_id, masks):
        taken[object_id] = list(masks)
        go_on(self, object_id, taken[object_id])

    monkeypatch.setattr(Tracker, "go_on_from", noted)
    run(session, objects=[first])

    assert [mask.frame for mask in taken[first]] == [1, 2, 3]
    for mask in taken[first]:
        assert np.array_equal(mask.mask, session.labels[mask.frame] == first)


def test_what_lies_before_a_lock_does_not_change_what_is_behind_it(session, tiny_model, blobs):
    first, _ = prompted(session)
    run(session, objects=[first])
    session.lock(first, range(2, 5))
    run(session, objects=[first])
    before = session.labels[5:].copy()

    other = Session(blobs[0], tiny_model, labels=session.labels)  # knows nothing of frame 1
    other.take_over(session)
    run(other, start=5, objects=[first])

    assert np.array_equal(other.labels[5:], before)


def test_unlocked_frames_are_written_again(session):
    first, _ = prompted(session)
    run(session)
    session.lock(first, range(8))
    with pytest.raises(ValueError, match="locked or have divided there"):
        session.propagate(objects=[first])
    session.unlock(first, [2, 3])
    assert session.locked(first) == [0, 1, 4, 5, 6, 7]
    session.unlock(first)

    assert session.locked(first) == []
    assert run(session, objects=[first]) == list(range(8))


def test_frame_without_a_result_cannot_be_locked(session):
    first, _ = prompted(session)
    run(session, stop=3)

    with pytest.raises(ValueError, match=r"no result to lock on frames \[3, 5\]"):
        session.lock(first, [2, 3, 5])
    assert session.locked(first) == []


@pytest.mark.parametrize(
    ("frame", "locked", "visited"),
    [
        (4, [], [4, 5, 6, 7, 3, 2, 1, 0]),
        (4, [2, 6], [4, 5, 3]),
        (4, [3, 5], [4]),
        (0, [5], [0, 1, 2, 3, 4]),
    ],
)
def test_correction_is_followed_up_to_the_next_locked_frames(session, frame, locked, visited):
    first, second = prompted(session)
    run(session, "both")
    session.lock(first, locked)
    before = session.labels.copy()

    session.add_points(first, frame, [[5, 5]], [False])
    session.segment(first, frame)
    assert [m.frame for m in session.correct(first, frame)] == visited

    others = [f for f in range(8) if f not in visited]
    assert np.array_equal(session.labels == second, before == second)
    assert np.array_equal(session.labels[others], before[others])
    assert sum(len(one.frames) for one in session.plan_correction(first, frame)) == len(visited)


def test_correction_that_cannot_be_followed_says_why(session):
    first, _ = prompted(session)
    run(session)

    with pytest.raises(ValueError, match=r"no prompts on frame 3\. Click it there"):
        session.correct(first, 3)
    session.lock(first, 0)
    with pytest.raises(ValueError, match="locked on frame 0; unlock it"):
        session.correct(first, 0)


def test_correction_mends_a_run_that_has_lost_its_object(nano):
    jumping = [disc(40, 35 + 4 * t) if t < 3 else disc(36 + 2 * t, 311 + 3 * t) for t in range(7)]
    resting = [disc(70, 90, 9)] * 7
    session = Session(render(np.array(jumping) | resting), nano)
    one, other = session.add_object(), session.add_object()
    session.add_points(one, 0, [[40, 35]])
    session.add_points(other, 0, [[70, 90]])
    run(session)
    assert ious(session.labels == one, jumping)[3:].max() < 0.1
    session.lock(one, range(3))
    before = session.labels.copy()

    session.add_points(one, 4, [[44, 323]])
    steps = session.correct(one, 4)

    assert [masks.frame for masks in steps] == [4, 5, 6, 3]
    assert ious(session.labels == one, jumping).min() > 0.8
    assert np.array_equal(session.labels == other, before == other)
    assert np.array_equal(session.labels[:3], before[:3])


def test_locks_are_taken_over(tiny_model, blobs, session):
    first, _ = prompted(session)
    run(session)
    session.lock(first, [1, 2])
    other = Session(blobs[0], tiny_model, labels=session.labels)

    other.take_over(session)
    session.unlock(first)

    assert other.locked(first) == [1, 2]
