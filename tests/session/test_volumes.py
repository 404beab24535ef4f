"""Stacks along a further axis: one after another, and volumes through time."""

import numpy as np
import pytest
from session_steps import render, run

from napari_sam2 import MaskPrompt, Session, StackSeries, View
from napari_sam2.results.label_arrays import new_label_file
from napari_sam2.results.labels import StackLabels

PLANES, SHAPE = 5, (96, 112)


def balls(*centres, radius=12):
    """A volume (Z, Y, X) of balls, flat along z, numbered from 1; None is not there."""
    planes, rows, columns = np.mgrid[:PLANES, : SHAPE[0], : SHAPE[1]]
    labels = np.zeros((PLANES, *SHAPE), int)
    for number, centre in enumerate(centres, start=1):
        if centre is not None:
            plane, row, column = centre
            away = ((planes - plane) * 6) ** 2 + (rows - row) ** 2 + (columns - column) ** 2
            labels[away < radius**2] = number
    return labels


def series_of(volumes, model, objects=2, at=0):
    """A series whose first volume has its true masks as prompts and as results."""
    session = Session(render(volumes > 0), model, axis=1, view=View(held={0: at}))
    for plane in range(PLANES):
        if volumes[at, plane].any():
            session.add_labels(plane, volumes[at, plane])
    assert len(session.objects) == objects
    for _ in session.propagate("both"):
        pass
    return StackSeries(session, axis=0)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.fixture(scope="module")
def moving():
    """Two balls in three volumes."""
    return np.array([balls((2, 30 + 4 * t, 30), (2, 65, 80 - 4 * t)) for t in range(3)])


def test_volumes_are_followed_through_time(moving, nano):
    series = series_of(moving, nano)

    steps = list(series.follow())

    # The plane that objects come from, then the planes from there up, and down.
    assert [s.masks.frame for s in steps if s.position == 1] == [2, 2, 3, 4, 1, 0]
    for t in range(3):
        for number in (1, 2):
            assert iou(series[t].labels[t] == number, moving[t] == number) > 0.7
    tracks = series.tracks()
    assert tracks.axes == ("frame", "plane", "row", "column")
    expected = [[1, t, 2, 30 + 4 * t, 30] for t in range(3)]
    expected += [[2, t, 2, 65, 80 - 4 * t] for t in range(3)]
    assert np.allclose(tracks.data, expected, atol=1.5)


@pytest.fixture
def tiny_series(tiny_model, moving):
    return series_of(moving, tiny_model)


def test_volumes_are_followed_back_in_time(tiny_model, moving):
    series = series_of(moving, tiny_model, at=2)

    assert {step.position for step in series.follow(end=0)} == {0, 1}
    assert list(series[0].objects) == [1, 2]


def test_followed_objects_have_the_same_numbers_and_names(tiny_series):
    tiny_series[0].rename_object(2, "the right one")
    for _ in tiny_series.follow(end=1):
        pass

    assert [one.name for one in tiny_series[1].objects.values()] == ["object 1", "the right one"]
    assert set(np.unique(tiny_series[1].labels[1])) == {0, 1, 2}
    assert not tiny_series[1].labels[2].any()


def test_cancelled_series_goes_on_from_the_last_whole_volume(tiny_series, tiny_model, moving):
    whole = series_of(moving, tiny_model)
    for _ in whole.follow():
        pass

    steps = tiny_series.follow()
    for step in steps:
        if step.position == 2:
            break
    steps.close()
    for step in tiny_series.follow(start=1):
        assert step.position == 2

    assert np.array_equal(tiny_series[0].labels, whole[0].labels)


def test_volume_that_was_corrected_is_found_from_its_own_prompts(tiny_series):
    session = tiny_series[1]
    one = session.add_object("moved", 1)
    session.add_points(one, 3, [[50, 50]])

    steps = [s for s in tiny_series.follow(end=1) if s.position == 1]

    assert steps[0].masks.object_ids == (2,)
    assert list(session.objects[1].prompts) == [3]
    assert len(session.objects[2].prompts) == 1


def test_correction_where_an_object_was_taken_over_is_kept(tiny_series):
    list(tiny_series.follow(end=1))
    session = tiny_series[1]
    (plane,) = session.objects[1].prompts
    session.clear_prompts(1, plane)
    session.add_points(1, plane, [[50, 50]])
    corrected = session.prompts(1, plane)

    steps = [s for s in tiny_series.follow(end=1) if s.position == 1]

    assert steps[0].masks.object_ids == (2,), "the first is not taken over again"
    assert session.prompts(1, plane) == corrected


@pytest.mark.parametrize("planes", [[2], [1], [1, 3]])
def test_locked_object_is_found_from_what_was_accepted(tiny_series, planes):
    list(tiny_series.follow())
    session = tiny_series[1]
    accepted = {plane: session.labels[1, plane] == 1 for plane in planes}
    assert all(mask.any() for mask in accepted.values())
    session.lock(1, planes)

    steps = [s.masks for s in tiny_series.follow() if s.position == 1]

    assert steps[0].object_ids == (2,), "the first is not taken over again"
    sought = {masks.frame for masks in steps if 1 in masks.object_ids}
    assert sought >= set(range(PLANES)) - set(planes)
    assert list(session.objects[1].prompts) == planes
    for plane, mask in accepted.items():
        assert session.prompts(1, plane) == (MaskPrompt(plane, mask),)
        np.testing.assert_array_equal(session.labels[1, plane] == 1, mask)


def test_object_that_is_unlocked_is_taken_over_again(tiny_series):
    list(tiny_series.follow(end=1))
    session = tiny_series[1]
    taken_over = dict(session.objects[1].prompts)
    session.lock(1, [0])
    list(tiny_series.follow(end=1))
    assert list(session.objects[1].prompts) == [0]
    session.unlock(1)

    list(tiny_series.follow(end=1))

    assert session.objects[1].prompts == taken_over


def test_volume_that_was_accepted_as_a_whole_stays_and_is_gone_on_from(tiny_series):
    list(tiny_series.follow())
    for object_id in (1, 2):
        tiny_series[1].lock(object_id, range(PLANES))
    accepted = tiny_series[1].labels[1].copy()

    positions = {step.position for step in tiny_series.follow()}

    assert positions == {2}
    np.testing.assert_array_equal(tiny_series[1].labels[1], accepted)


def test_objects_cancelled_before_they_were_taken_over_are_taken_over_later(tiny_model):
    apart = np.array([balls((1, 30, 30), (3, 65, 80)) for _ in range(3)])
    series = series_of(apart, tiny_model)
    list(series.follow())
    whole = series[0].labels.copy()

    steps = series.follow()
    assert next(steps).masks.object_ids == (1,), "the second comes from another plane"
    steps.close()
    for number in (1, 2):
        assert series[1].objects[number].prompts
    list(series.follow())

    np.testing.assert_array_equal(series[0].labels, whole)


def test_new_object_goes_along_from_its_volume(tiny_series):
    session = tiny_series[1]
    new = session.add_object("new")
    session.add_points(new, 2, [[50, 50]])
    assert new == 3
    assert tiny_series[2].add_object() == 4

    for _ in tiny_series.follow():
        pass

    assert session.objects[3].name == tiny_series[2].objects[3].name == "new"


def test_object_that_is_lost_is_in_no_later_volume(tiny_model, moving, script):
    series = series_of(moving, tiny_model)
    for _ in series.follow():
        pass
    assert (series[2].labels[2] == 2).any()
    script(np.ones((PLANES, *SHAPE), int))  # of any frame: the first object is everywhere

    for _ in series.follow():
        pass

    assert list(series[1].objects) == list(series[2].objects) == [1]
    assert not (series[0].labels[1:] == 2).any()


def test_positions_are_propagated_one_after_the_other(tiny_model, blobs):
    stack = np.stack([blobs[0], blobs[0][::-1], blobs[0]])  # (P, T, Y, X)
    session = Session(stack, tiny_model, axis=1, view=View(held={0: 0}))
    series = StackSeries(session, axis=0)
    for position in (0, 2):
        one = series[position].add_object()
        series[position].add_points(one, 5, [[40, 40]])

    steps = [(step.position, step.masks.frame) for step in series.propagate("both")]

    frames = [5, 6, 7, 4, 3, 2, 1, 0]
    assert steps == [(0, f) for f in frames] + [(2, f) for f in frames]
    assert [sorted(np.unique(plane)) for plane in session.labels] == [[0, 1], [0], [0, 2]]
    assert {s.position for s in series.propagate(positions=[2])} == {2}


def test_series_along_an_axis_that_is_not_held_says_how(tiny_model, blobs):
    session = Session(blobs[0], tiny_model)

    for axis in (0, 7):
        with pytest.raises(ValueError, match=rf"Axis {axis} is not held .* view=View"):
            StackSeries(session, axis)


def test_volume_that_is_not_there_is_an_error(tiny_series):
    with pytest.raises(IndexError, match="no position 3; the series has 3"):
        tiny_series.follow(end=3)


def test_series_keeps_no_history_of_stacks_that_are_done(tiny_series):
    for _ in tiny_series.follow(end=1):
        pass

    assert tiny_series[0].history == ()
    assert tiny_series[1].history


def test_series_keeps_no_earlier_labels_of_stacks_that_are_done(tiny_series):
    before, now = tiny_series[0].labels_before(2), tiny_series[0].labels[0, 2]
    assert not np.array_equal(before, now)

    list(tiny_series.follow(end=1))

    np.testing.assert_array_equal(tiny_series[0].labels_before(2), now)


@pytest.fixture
def labelled(tiny_model, blobs):
    """The first of two stacks; in the second there is an object 1 already, of nobody."""
    labels = np.zeros((2, *blobs[0].shape), np.uint16)
    labels[1, 3, :9, :9] = 1
    stacks = np.stack([blobs[0]] * 2)
    return Session(stacks, tiny_model, axis=1, view=View(held={0: 0}), labels=labels)


def test_new_objects_are_numbered_past_labels_at_all_positions(labelled):
    assert labelled.add_object() == 2
    assert labelled.at({0: 1}).add_object() == 3


def test_labels_that_were_there_stay_as_objects_are_followed_through_positions(labelled, blobs):
    labelled.add_mask(labelled.add_object(), 3, blobs[1][3] == 1)
    run(labelled, "both")
    before = labelled.labels[1] == 1

    list(StackSeries(labelled, axis=0).follow())

    np.testing.assert_array_equal(labelled.labels[1] == 1, before)


def test_labels_are_read_through_once_for_all_positions(labelled, monkeypatch):
    read = []
    highest = StackLabels.highest
    monkeypatch.setattr(
        StackLabels, "highest", lambda self, *planes: read.append(planes) or highest(self, *planes)
    )
    series = StackSeries(labelled, axis=0)

    for position in (0, 1):
        series[position].add_object()

    assert read.count(()) == 1


def test_labels_that_were_just_made_are_not_read_through(blobs, tiny_model, tmp_path, monkeypatch):
    labels = new_label_file(tmp_path / "l.zarr", blobs[0].shape, np.dtype(np.uint16), (1, 2))
    session = Session(blobs[0], tiny_model, labels=labels)
    monkeypatch.setattr(type(labels), "__getitem__", None)

    assert session.add_object() == 1


def test_new_objects_are_numbered_past_what_was_painted(labelled):
    labelled.add_object()
    labelled.labels[1, 5, 4, 4] = 9
    labelled.note_edits([[1, 5, 4, 4]])

    assert labelled.add_object() == 10
