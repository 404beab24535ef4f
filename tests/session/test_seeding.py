"""Objects begun from labels that are there already."""

import numpy as np
import pytest
from session_steps import run

from napari_sam2 import MaskPrompt, Session


def test_labels_become_objects_with_the_same_numbers(session, blobs):
    labels = np.where(blobs[1][2] == 2, 40, blobs[1][2]).astype(np.int64)

    assert session.add_labels(2, labels, {40: "the other"}) == [1, 40]
    run(session, start=2, stop=3)

    assert [one.name for one in session.objects.values()] == ["object 1", "the other"]
    assert np.array_equal(session.labels[2], labels)
    assert session.add_object() == 41


def test_labels_of_several_frames_prompt_the_same_objects(session, blobs):
    for frame in (0, 4, 7):
        session.add_labels(frame, blobs[1][frame])

    assert [sorted(one.prompts) for one in session.objects.values()] == [[0, 4, 7]] * 2
    assert run(session) == [0, 4, 7, *range(8)]
    for frame in (0, 4, 7):
        assert np.array_equal(session.labels[frame], blobs[1][frame])


def test_known_objects_are_prompted_and_others_stay_as_they_are(session, blobs):
    known, other = session.add_object("known"), session.add_object("other")
    session.add_points(known, 0, [[5, 5]])
    session.add_points(other, 0, [[6, 6]])

    session.add_labels(0, (blobs[1][0] == 1).astype(np.uint8))

    assert session.prompts(known, 0) == (MaskPrompt(0, blobs[1][0] == 1),)
    assert len(session.prompts(other, 0)) == 1
    assert [one.name for one in session.objects.values()] == ["known", "other"]


@pytest.mark.parametrize(
    ("frame", "labels", "message"),
    [
        (0, np.ones((96, 9), int), r"shape \(96, 9\), but a frame has \(96, 128\)"),
        (0, np.ones((96, 128)), "integers, .*got float64"),
        (0, np.ones((2, 96, 128), int), r"of shape \(2, 96, 128\)"),
        (0, np.eye(96, 128, dtype=int) * 70_000 + 1, "uint16 have no room for object 70001"),
        (0, -np.eye(96, 128, dtype=int), "some are negative"),
    ],
)
def test_labels_that_cannot_be_used_add_nothing(session, frame, labels, message):
    with pytest.raises(ValueError, match=message):
        session.add_labels(frame, labels)
    assert session.objects == {}


def test_labels_for_no_frame_of_the_stack_add_nothing(session, blobs):
    with pytest.raises(IndexError, match="no frame 8"):
        session.add_labels(8, blobs[1][0])
    assert session.objects == {}


def test_thousand_objects_take_the_room_of_one_frame(tiny_model):
    labels = np.kron(np.arange(1, 1025).reshape(32, 32), np.ones((16, 16), int))
    session = Session(np.zeros((2, 512, 512), np.uint8), tiny_model)

    session.add_labels(0, labels)

    assert len(session.objects) == 1024
    kept = [p for one in session.objects.values() for p in one.prompts[0]]
    assert sum(prompt.part.nbytes for prompt in kept) == labels.size
    assert all(prompt.part.base is None for prompt in kept), "a view would keep the whole frame"
