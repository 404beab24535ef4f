"""Labels as they were before a run can be seen again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2.results.earlier import EarlierLabels
from napari_sam2.results.pixels import Pixels
from napari_sam2.session import Session

SMALL = arrays(np.uint16, (4, 5), elements=st.integers(0, 3))


@given(st.lists(SMALL, min_size=2, max_size=5))
def test_however_often_a_frame_is_changed_it_is_given_as_it_was(states):
    earlier = EarlierLabels()
    for before, after in pairwise(states):
        if changed := Pixels.that_differ(before, after):
            earlier.note(7, changed)

    np.testing.assert_array_equal(earlier.restore(7, states[-1]), states[0])


def test_frame_that_was_not_changed_is_given_as_it_is():
    now = np.eye(4, dtype=np.uint16)

    np.testing.assert_array_equal(EarlierLabels().restore(0, now), now)


def test_frames_that_were_changed_first_are_given_up_for_room():
    before, after = np.zeros((8, 8), np.uint16), np.ones((8, 8), np.uint16)
    room_for_one = Pixels.that_differ(before, after).nbytes
    earlier = EarlierLabels(limit=room_for_one)
    for frame in range(3):
        earlier.note(frame, Pixels.that_differ(before, after))

    assert [earlier.restore(frame, after).any() for frame in range(3)] == [True, True, False]


def test_only_what_changed_is_kept():
    before = np.random.default_rng(0).integers(0, 1000, (100, 100), dtype=np.uint16)
    after = before.copy()
    after[50, 50] += 1
    earlier = EarlierLabels(limit=40)

    earlier.note(0, Pixels.that_differ(before, after))

    np.testing.assert_array_equal(earlier.restore(0, after), before)


def test_objects_in_every_corner_of_a_frame_take_little():
    before = np.zeros((512, 512), np.uint16)
    after = before.copy()
    for row, column in ((10, 10), (10, 470), (470, 10), (470, 470)):
        after[row : row + 30, column : column + 30] = 1

    assert Pixels.that_differ(before, after).nbytes < 1000


def test_session_gives_labels_before_its_last_run(blobs, tiny_model):
    session = Session(blobs[0], tiny_model)
    cell = session.add_object()
    session.add_points(cell, 0, [[30, 40]])
    for _ in session.propagate():
        pass
    first = session.labels.copy()
    session.add_points(cell, 4, [[70, 20]])
    for _ in session.correct(cell, 4):
        pass

    assert (session.labels != first).any()
    for frame in range(session.n_frames):
        np.testing.assert_array_equal(session.labels_before(frame), first[frame])
