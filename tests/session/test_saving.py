"""A session that was saved and loaded is what it was."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_steps import disc, prompted, run

from napari_sam2 import (
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    Session,
    View,
)

FULL = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.fixture
def followed(session):
    """Two objects in all frames, one of them locked on two."""
    first, _ = prompted(session)
    session.add_mask(first, 3, disc(36, 40, shape=(96, 128)))
    session.add_points(2, 7, [[60, 70], [1.25, 2.5]], [True, False])
    run(session, "both")
    session.lock(first, [2, 5])
    return session


def reload(session, path, **options):
    session.save(path)
    return Session.load(path, session.source.data, session.model, **options)


def test_objects_prompts_locks_and_quality_are_the_same(followed, path):
    loaded = reload(followed, path)

    assert loaded.objects == followed.objects
    assert loaded.quality.rows().tobytes() == followed.quality.rows().tobytes()
    assert list(loaded.objects) == list(followed.objects)


def test_labels_are_the_same_bit_for_bit_and_of_the_same_type(blobs, tiny_model, path):
    labels = np.zeros(blobs[0].shape, np.int32)
    labels[3, 5:9, 7:20] = 70_000
    session = Session(blobs[0], tiny_model, labels=labels)
    prompted(session)
    run(session)

    loaded = reload(session, path)

    assert loaded.labels.dtype == np.int32
    np.testing.assert_array_equal(loaded.labels, session.labels)


def test_following_goes_on_as_it_would_have(followed, path):
    loaded = reload(followed, path)
    followed.release()  # prompts are answered anew in both

    for session in (followed, loaded):
        session.add_points(2, 2, [[58, 80]])
        for _ in session.correct(2, 2):
            pass

    np.testing.assert_array_equal(loaded.labels, followed.labels)
    assert loaded.quality.rows().tobytes() == followed.quality.rows().tobytes()


def test_interrupted_run_goes_on_from_the_file(session, path):
    prompted(session)
    steps = session.propagate()
    for _ in range(4):
        next(steps)
    loaded = reload(session, path)
    session.release()

    run(session, start=3)
    run(loaded, start=3)

    np.testing.assert_array_equal(loaded.labels, session.labels)


def test_divided_objects_keep_parents_and_ends(session, path):
    parent = session.add_object("mother")
    session.add_points(parent, 0, [[30, 40]])
    halves = [disc(40, 30, shape=(96, 128)), disc(40, 60, shape=(96, 128))]
    daughters = session.divide(parent, 4, halves)

    loaded = reload(session, path)

    assert [loaded.objects[i].parent for i in daughters] == [parent, parent]
    assert loaded.objects[parent].end == 4
    with pytest.raises(ValueError, match="divided on frame 4"):
        loaded.add_points(parent, 5, [[30, 40]])


def test_numbers_are_not_used_again(session, path):
    prompted(session)
    session.remove_object(2)

    assert reload(session, path).add_object() == 3


def test_new_objects_are_numbered_past_what_was_painted(session, path):
    prompted(session)
    session.labels[3, 5, 5] = 9
    session.note_edits([3, 5, 5])

    assert reload(session, path).add_object() == 10


def test_view_and_held_positions_are_kept(tiny_model, blobs, path):
    stack = np.stack([blobs[0]] * 3, axis=1).astype(">u2")
    view = View(axis=0, held={1: 2}, contrast_limits=(3, 190), gamma=0.7, inverted=True)
    session = Session(stack, tiny_model, view=view)
    session.add_points(session.add_object(), 0, [[30, 40]])
    run(session)

    loaded = reload(session, path)

    assert (loaded.source.axis, loaded.source.held) == (0, {1: 2})
    np.testing.assert_array_equal(loaded.source.read(4), session.source.read(4))
    np.testing.assert_array_equal(loaded.labels, session.labels)
    assert not loaded.labels[:, 0].any()


@pytest.mark.parametrize("channels", [None, (1, 0)])
def test_colours_and_channels_are_kept(tiny_model, blobs, path, channels):
    if channels is None:
        stack, view = np.repeat(blobs[0][..., None], 3, axis=-1), None
    else:
        stack = np.stack([blobs[0], 255 - blobs[0]], axis=1)
        view = View(channel_axis=1, channels=channels)
    session = Session(stack, tiny_model, view=view)

    loaded = reload(session, path)

    np.testing.assert_array_equal(loaded.source.read(2), session.source.read(2))


def test_limits_that_were_sampled_are_not_sampled_again(session, path, blobs):
    limits = session.source.limits
    session.save(path)
    other = blobs[0].copy()
    other[1] = 255  # not one of the frames that the stack is known by

    assert Session.load(path, other, session.model).source.limits == limits


def test_saving_again_writes_what_changed_only(followed, path):
    followed.save(path)
    before = digests(path)
    followed.labels[6, :4, :4] = 9
    followed.rename_object(1, "renamed")

    followed.save(path)

    changed = {name for name, digest in digests(path).items() if before.get(name) != digest}
    assert changed == {("object", "1"), ("labels", "6"), ("about", "saved")} - unchanged_time(
        before, path
    )
    loaded = Session.load(path, followed.source.data, followed.model)
    assert loaded.objects[1].name == "renamed"
    np.testing.assert_array_equal(loaded.labels, followed.labels)


def digests(path):
    with sqlite3.connect(path) as file:
        rows = file.execute("SELECT kind, key, digest FROM records").fetchall()
    file.close()
    return {(kind, key): digest for kind, key, digest in rows}


def unchanged_time(before, path):
    """Saved within the same second, the time is the same."""
    name = ("about", "saved")
    return {name} if before[name] == digests(path)[name] else set()


def test_what_was_removed_is_gone_from_the_file(followed, path):
    followed.save(path)
    followed.remove_object(2)

    loaded = reload(followed, path)

    assert list(loaded.objects) == [1]
    assert set(np.unique(loaded.labels)) == {0, 1}
    assert set(loaded.quality.rows()["object"]) == {1}


def test_file_of_a_longer_stack_is_replaced(blobs, tiny_model, path):
    for n_frames in (6, 3):
        session = Session(blobs[0][:n_frames], tiny_model)
        session.labels[:] = 7
        session.save(path)

    loaded = Session.load(path, blobs[0][:3], tiny_model)
    np.testing.assert_array_equal(loaded.labels, session.labels)


positions = st.floats(-0.5, 60, allow_nan=False)
points = st.builds(PointPrompt, st.just(1), positions, positions, st.booleans())
boxes = st.builds(
    BoxPrompt, st.just(1), st.floats(0, 20), st.floats(0, 20), st.floats(21, 60), st.floats(21, 60)
)
masks = st.integers(0, 2**32).map(
    lambda seed: MaskPrompt(1, np.random.default_rng(seed).random((96, 128)) > 0.999)
)


@settings(max_examples=25, **FULL)
@given(st.one_of(st.lists(st.one_of(points, boxes), min_size=1, max_size=5), st.tuples(masks)))
def test_prompts_of_all_kinds_come_back_bit_for_bit(session, tmp_path_factory, prompts):
    path = tmp_path_factory.mktemp("any") / "any.sam2"
    for object_id in list(session.objects):
        session.remove_object(object_id)
    session.set_prompts(session.add_object(), 1, prompts)
    session.save(path)
    (loaded,) = Session.load(path, session.source.data, session.model).objects.values()

    assert loaded.prompts == {1: tuple(prompts)}


def test_overlap_rule_is_saved_as_it_was_chosen(followed, path):
    followed.set_overlap("highest")

    assert reload(followed, path).overlap == "highest"
