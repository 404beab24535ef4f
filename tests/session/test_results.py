"""What a session writes, and into what."""

import dask.array as da
import numpy as np
import pytest
import zarr
from session_steps import prompted, run

from napari_sam2 import Session, View


def test_labels_hold_every_object_where_it_was_followed(session):
    first, second = prompted(session)

    frames = run(session)

    assert frames == list(range(8))
    assert session.labels.shape == (8, 96, 128)
    assert all((session.labels[f] == first).any() for f in range(5))
    assert not (session.labels[:5] == second).any()
    assert (session.labels[5] == second).any()


def test_results_given_and_results_kept_are_the_same(tiny_model, blobs):
    session = Session(blobs[0], tiny_model)
    prompted(session)

    for masks in session.propagate():
        assert np.array_equal(session.labels[masks.frame], masks.labels())


def test_removed_object_leaves_the_labels(session):
    first, second = prompted(session)
    run(session)

    session.remove_object(first)

    assert set(np.unique(session.labels)) == {0, second}
    assert list(session.objects) == [second]


def test_mask_is_written_to_the_labels_as_it_was_given(session):
    one = session.add_object()
    mask = np.zeros((96, 128), bool)
    mask[40, 50] = mask[10:30:3, 60:80:3] = True  # finer than the model sees
    session.add_mask(one, 2, mask)

    run(session, start=2, stop=3)

    assert np.array_equal(session.labels[2] == one, mask)


def test_answer_for_a_removed_object_goes_to_no_other(session):
    session.add_object()
    last = session.add_object()
    session.remove_object(last)

    assert session.add_object() == last + 1
    with pytest.raises(ValueError, match=f"no object {last}"):
        session.segment(last, 0)


@pytest.mark.parametrize(
    ("object_id", "message"), [(1, "object 1 already"), (0, "numbered from 1")]
)
def test_ids_that_cannot_be_had_are_refused(session, object_id, message):
    session.add_object()

    with pytest.raises(ValueError, match=message):
        session.add_object(object_id=object_id)


def test_ids_count_up_and_names_default_to_them(session):
    assert [session.add_object(), session.add_object("axon")] == [1, 2]
    assert [one.name for one in session.objects.values()] == ["object 1", "axon"]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_is_played_and_labels_lie_along_it(tiny_model, axis, blobs):
    images = np.moveaxis(blobs[0], 0, axis)
    session = Session(images, tiny_model, axis)
    prompted(session)
    run(session)
    straight = Session(blobs[0], tiny_model)
    prompted(straight)
    run(straight)

    assert session.labels.shape == images.shape
    assert np.array_equal(np.moveaxis(session.labels, axis, 0), straight.labels)


def test_held_axis_keeps_the_rest_of_the_labels_empty(tiny_model, blobs):
    stack = np.stack([blobs[0][::-1], blobs[0]], axis=1)
    session = Session(stack, tiny_model, 0, view=View(held={1: 1}))
    prompted(session)
    run(session)

    assert session.labels[:, 1].any()
    assert not session.labels[:, 0].any()


def test_results_go_into_the_labels_that_are_given(tiny_model, blobs):
    labels = zarr.create_array(store={}, shape=(8, 96, 128), chunks=(1, 96, 128), dtype=np.int32)
    session = Session(blobs[0], tiny_model, labels=labels)
    prompted(session)
    run(session)

    assert session.labels is labels
    assert set(np.unique(labels[:])) == {0, 1, 2}


def test_labels_that_are_there_already_stay(tiny_model, blobs):
    labels = np.zeros((8, 96, 128), np.uint16)
    labels[:, :20, :20] = 7
    session = Session(blobs[0], tiny_model, labels=labels)
    first, second = prompted(session)
    run(session)

    assert (first, second) == (8, 9)
    assert (labels[:, :20, :20] == 7).all()


def _read_only():
    labels = np.zeros((8, 96, 128), int)
    labels.flags.writeable = False
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [(_read_only(), "read-only"), (da.zeros((8, 96, 128), dtype=int), "Array does not")],
)
def test_labels_that_cannot_be_written_are_an_error(tiny_model, blobs, labels, message):
    with pytest.raises(ValueError, match=message):
        Session(blobs[0], tiny_model, labels=labels)


@pytest.mark.parametrize("labels", [np.zeros((8, 96, 9), int), np.zeros((8, 96, 128))])
def test_labels_of_another_shape_or_kind_are_an_error(tiny_model, blobs, labels):
    with pytest.raises(ValueError, match=r"integers of shape \(8, 96, 128\)"):
        Session(blobs[0], tiny_model, labels=labels)


def test_more_objects_than_the_labels_can_hold_are_an_error(tiny_model, blobs):
    session = Session(blobs[0], tiny_model, labels=np.zeros((8, 96, 128), np.uint8))
    for _ in range(255):
        session.add_object()

    with pytest.raises(ValueError, match="uint8 have no room for object 256"):
        session.add_object()
