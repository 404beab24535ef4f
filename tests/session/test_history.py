"""What was changed is undone and redone, bit for bit."""

import numpy as np
import pytest
from session_steps import disc, prompted, run

from napari_sam2 import Session, Settings
from napari_sam2.prompts import Candidates, MaskPrompt, ObjectMask, PointPrompt


def state(session):
    """Give all that a session holds, to be compared."""
    rows = session.quality.rows()
    return (
        dict(session.objects),
        list(session.objects),
        session.labels.tobytes(),
        rows.tobytes(),
    )


def accept(session, object_id, frame, mask):
    """Write a mask to the labels."""
    found = ObjectMask.given(object_id, MaskPrompt(frame, mask))
    session.accept(Candidates(frame, mask.shape, (found,)))


def add_object(session, first):
    session.add_object("third")


def add_points(session, first):
    session.add_points(first, 2, [[30, 30], [31, 31]])


def take_back_point(session, first):
    session.set_prompts(first, 0, [PointPrompt(0, 30, 41)])


def clear(session, first):
    session.clear_prompts(first)


def rename(session, first):
    session.rename_object(first, "nucleus")


def accept_mask(session, first):
    accept(session, first, 3, disc(20, 20, shape=(96, 128)))


def propagate(session, first):
    run(session, "both", 0, 5)


def correct(session, first):
    session.add_points(first, 2, [[5, 5]], [False])
    list(session.correct(first, 2))


def lock(session, first):
    session.lock(first, [1, 2])


def unlock(session, first):
    session.unlock(first, 0)


def divide(session, first):
    session.divide(first, 3, [disc(20, 20, shape=(96, 128)), disc(60, 60, shape=(96, 128))])


def add_labels(session, first):
    labels = np.zeros((96, 128), np.uint8)
    labels[:9], labels[20:30] = 7, first
    session.add_labels(4, labels)


def remove(session, first):
    session.remove_object(first)


CHANGES = {
    add_object: "add third",
    add_points: "prompt first on frame 2",
    take_back_point: "change a prompt of first on frame 0",
    clear: "clear the prompts of first",
    rename: "rename first to nucleus",
    accept_mask: "accept first on frame 3",
    propagate: "propagate 2 objects over 5 frames",
    correct: "correct first over 7 frames",
    lock: "lock first on 2 frames",
    unlock: "unlock first on 1 frame",
    divide: "divide first on frame 3",
    add_labels: "prompt 2 objects on frame 4",
    remove: "remove first",
}


@pytest.fixture
def tracked(session):
    """Two objects, followed; one is locked on a frame."""
    first, _ = prompted(session)
    run(session)
    session.lock(first, 0)
    return session


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_was_changed_is_undone_and_redone(tracked, change):
    before = state(tracked)
    done = len(tracked.history)

    change(tracked, 1)
    after = state(tracked)
    assert tracked.history[0] == CHANGES[change]
    while len(tracked.history) > done:
        tracked.undo()
    assert state(tracked) == before
    assert tracked.undone
    while tracked.undone:
        tracked.redo()

    assert state(tracked) == after != before


def test_history_says_what_is_undone_and_redone(session):
    cell = session.add_object("cell")
    session.add_points(cell, 0, [[30, 40]])
    run(session, stop=3)

    assert session.history == ("propagate cell over 3 frames", "prompt cell on frame 0", "add cell")
    assert session.undo() == "propagate cell over 3 frames"
    assert session.undo() == "prompt cell on frame 0"
    assert session.undone == ("prompt cell on frame 0", "propagate cell over 3 frames")
    assert session.redo() == "prompt cell on frame 0"


def test_there_may_be_nothing_to_undo_or_redo(session):
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo()
    with pytest.raises(ValueError, match="nothing to redo"):
        session.redo()


def test_change_leaves_nothing_to_redo(session):
    session.add_object("one")
    session.undo()
    session.add_object("other")

    assert session.undone == ()
    assert list(session.objects) == [2]  # no number is used again


def test_change_that_changes_nothing_is_no_step(tracked):
    before = tracked.history

    tracked.rename_object(1, "first")
    tracked.set_prompts(1, 0, tracked.prompts(1, 0))
    tracked.unlock(1, 5)
    tracked.clear_prompts(2, 7)

    assert tracked.history == before


def test_change_that_fails_halfway_is_no_change(tracked):
    before, done = state(tracked), tracked.history
    dtype = tracked.labels.dtype
    good, bad = disc(20, 20, shape=(96, 128)), disc(20, 20, shape=(9, 9))

    with pytest.raises(ValueError, match="shape"):
        tracked.divide(1, 2, [good, bad])

    assert state(tracked) == before
    assert tracked.history == done
    assert tracked.labels.dtype == dtype


def test_object_that_was_removed_comes_back_between_the_others(tracked):
    tracked.add_object("third")
    tracked.remove_object(2)
    tracked.undo()

    assert [known.name for known in tracked.objects.values()] == ["first", "second", "third"]


def test_objects_change_only_through_the_session(tracked):
    with pytest.raises(AttributeError):
        tracked.objects[1].name = "other"
    with pytest.raises(TypeError):
        tracked.objects[1].prompts[0] = ()
    with pytest.raises(TypeError):
        del tracked.objects[1]


def test_pixels_painted_by_hand_come_back_with_redo(tracked):
    run(tracked, objects=[1])
    tracked.labels[6, 90:, 120:] = 9
    tracked.labels[0][tracked.labels[0] == 1] = 7
    painted = tracked.labels.copy()

    tracked.undo()
    tracked.undo()
    tracked.redo()
    tracked.redo()

    assert np.array_equal(tracked.labels, painted)


def test_oldest_steps_are_forgotten_beyond_the_budget(tiny_model, blobs):
    session = Session(blobs[0], tiny_model, settings=Settings(history_bytes=20_000))
    cell = session.add_object("cell")
    noise = np.random.default_rng(0).random((96, 128)) > 0.5
    for frame in range(8):
        accept(session, cell, frame, np.roll(noise, frame))

    left = len(session.history)
    assert 0 < left < 8
    assert session.history[0] == "accept cell on frame 7"
    assert session._work.history.nbytes <= 20_000
    for _ in range(left):
        session.undo()
    assert session.labels.any(axis=(1, 2)).tolist() == [True] * (8 - left) + [False] * left


def test_step_larger_than_the_budget_is_done_for_good(tiny_model, blobs):
    session = Session(blobs[0], tiny_model, settings=Settings(history_bytes=500))
    cell = session.add_object("cell")
    accept(session, cell, 0, np.random.default_rng(0).random((96, 128)) > 0.5)

    assert session.history == ()
    assert session.labels.any()


def test_any_array_that_keeps_labels_is_restored(tiny_model, blobs, tmp_path):
    import zarr

    labels = zarr.create_array(tmp_path / "l.zarr", shape=(8, 96, 128), dtype="u4")
    session = Session(blobs[0], tiny_model, labels=labels)
    cell = session.add_object("cell", 70_000)
    accept(session, cell, 2, disc(40, 40, shape=(96, 128)))
    found = labels[2]

    session.undo()
    assert not labels[:].any()
    session.redo()
    assert np.array_equal(labels[2], found)
    assert found.max() == 70_000


def test_step_takes_little_more_room_than_what_it_changed(session):
    cell = session.add_object()
    accept(session, cell, 7, disc(48, 64, 5, shape=(96, 128)))

    assert session._work.history.done[0].nbytes < 300
