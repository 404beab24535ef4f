import threading

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2 import MaskPrompt, Session, Settings, View
from napari_sam2.predictors.frames import FrameError


@pytest.fixture
def session(tiny_model, blobs):
    return Session(blobs[0], tiny_model)


def prompted(session):
    """Two objects: one from the first frame, one from the sixth."""
    first, second = session.add_object("first"), session.add_object("second")
    session.add_points(first, 0, [[30, 40]])
    session.add_box(second, 5, [50, 65, 70, 85])
    return first, second


def run(session, *args, **kwargs):
    return [masks.frame for masks in session.propagate(*args, **kwargs)]


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


@pytest.mark.parametrize(
    ("direction", "frames"),
    [
        ("forward", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("backward", [5, 4, 3, 2, 1, 0]),
        ("both", [0, 1, 2, 3, 4, 5, 6, 7, 4, 3, 2, 1, 0]),
    ],
)
def test_direction_says_which_frames_are_visited(session, direction, frames):
    prompted(session)

    assert run(session, direction) == frames


def test_range_leaves_other_frames_alone(session):
    prompted(session)

    assert run(session, "both", start=2, stop=6) == [2, 3, 4, 5, 4, 3, 2]
    assert not session.labels[[0, 1, 6, 7]].any()


def test_one_object_alone_leaves_the_others_bit_for_bit(session):
    first, second = prompted(session)
    run(session)
    before = session.labels == second

    session.add_points(first, 6, [[5, 5]], [False])
    run(session, objects=[first])

    assert np.array_equal(session.labels == second, before)


def test_cancelled_run_keeps_what_was_done(session):
    prompted(session)
    steps = session.propagate()
    for _ in range(3):
        next(steps)
    steps.close()

    assert session.labels[:3].any(axis=(1, 2)).all()
    assert not session.labels[3:].any()


def test_preview_writes_nothing_until_it_is_accepted(session):
    first, _ = prompted(session)

    found = session.segment(first, 0)
    assert not session.labels.any()
    session.accept(found)

    assert np.array_equal(session.labels[0] == first, found.best.full((96, 128)))


def test_removed_object_leaves_the_labels(session):
    first, second = prompted(session)
    run(session)

    session.remove_object(first)

    assert set(np.unique(session.labels)) == {0, second}
    assert list(session.objects) == [second]


def test_removed_object_drops_out_of_a_run(session):
    first, second = prompted(session)
    steps = session.propagate(start=4)
    assert next(steps).object_ids == (first,)
    session.remove_object(first)

    assert [masks.object_ids for masks in steps] == [(second,)] * 3


def test_another_contrast_goes_on_with_what_was_found(tiny_model, blobs, session):
    first, second = prompted(session)
    run(session)
    before = session.labels.copy()

    other = Session(
        blobs[0], tiny_model, view=View(contrast_limits=(0, 100)), labels=session.labels
    )
    other.take_over(session)

    assert np.array_equal(other.labels, before)
    assert [one.name for one in other.objects.values()] == ["first", "second"]
    assert other.prompts(second, 5) == session.prompts(second, 5)
    other.add_points(first, 3, [[5, 5]], [False])  # alone: it corrects what was found
    assert other.segment(first, 3).frame == 3
    other.remove_object(first)
    assert set(np.unique(other.labels)) == {0, second}


def test_another_contrast_corrects_where_the_earlier_session_did(tiny_model, blobs, session):
    first, _ = prompted(session)
    run(session)
    session.add_points(first, 3, [[5, 5]], [False])
    session.segment(first, 3)

    other = Session(
        blobs[0], tiny_model, view=View(contrast_limits=(0, 100)), labels=session.labels
    )
    other.take_over(session)

    assert run(other) == list(range(8))


def test_cleared_correction_leaves_a_mask_that_can_be_corrected(session):
    first, _ = prompted(session)
    run(session)
    session.add_points(first, 3, [[5, 5]], [False])
    session.segment(first, 3)
    session.clear_prompts(first, 3)

    session.add_points(first, 3, [[6, 6]], [False])
    assert session.segment(first, 3).frame == 3


def test_negative_click_corrects_the_mask_that_is_seen(session):
    first, _ = prompted(session)
    run(session)
    session.clear_prompts(first)

    session.add_points(first, 0, [[6, 6]], [False])
    assert session.segment(first, 0).frame == 0


def test_mask_is_written_to_the_labels_as_it_was_given(session):
    one = session.add_object()
    mask = np.zeros((96, 128), bool)
    mask[40, 50] = mask[10:30:3, 60:80:3] = True  # finer than the model sees
    session.add_mask(one, 2, mask)

    run(session, start=2, stop=3)

    assert np.array_equal(session.labels[2] == one, mask)


def test_objects_taken_away_before_a_run_begins_are_passed_over(session):
    first, second = prompted(session)
    third = session.add_object()
    session.add_points(third, 1, [[10, 10]])
    steps = session.propagate()
    session.remove_object(first)
    session.clear_prompts(third)

    assert {i for masks in steps for i in masks.object_ids} == {second}


def test_answer_for_a_removed_object_goes_to_no_other(session):
    session.add_object()
    last = session.add_object()
    session.remove_object(last)

    assert session.add_object() == last + 1
    with pytest.raises(ValueError, match=f"no object {last}"):
        session.segment(last, 0)


def test_same_prompts_again_change_nothing(session):
    first, _ = prompted(session)
    session.add_mask(first, 2, np.eye(96, 128))

    assert not session.set_prompts(first, 0, session.prompts(first, 0))
    assert not session.set_prompts(first, 2, [MaskPrompt(2, np.eye(96, 128))])
    assert session.set_prompts(first, 2, [])


@pytest.mark.parametrize(("object_id", "message"), [(1, "object 1 already"), (0, "no room for 0")])
def test_ids_that_cannot_be_had_are_refused(session, object_id, message):
    session.add_object()

    with pytest.raises(ValueError, match=message):
        session.add_object(object_id=object_id)


def test_ids_count_up_and_names_default_to_them(session):
    assert [session.add_object(), session.add_object("axon")] == [1, 2]
    assert [one.name for one in session.objects.values()] == ["object 1", "axon"]


def test_box_and_mask_replace_points_and_boxes_as_documented(session):
    one = session.add_object()
    session.add_points(one, 0, [[30, 40], [31, 41]])
    session.add_box(one, 0, [10, 10, 20, 20])
    session.add_box(one, 0, [15, 15, 45, 60])
    assert len(session.prompts(one, 0)) == 3

    session.add_mask(one, 0, np.ones((96, 128)))
    assert len(session.prompts(one, 0)) == 1


def test_cleared_prompts_are_forgotten(session):
    first, _ = prompted(session)
    session.add_points(first, 3, [[30, 40]])
    session.clear_prompts(first, 0)
    assert list(session.objects[first].prompts) == [3]
    session.clear_prompts(first)

    with pytest.raises(ValueError, match="Nothing to follow"):
        session.propagate(objects=[first])


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


def test_single_colour_image(tiny_model):
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    session = Session(image, tiny_model)
    one = session.add_object()
    session.add_points(one, 0, [[20, 25]])

    assert run(session) == [0]
    assert session.labels.shape == (40, 50)


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

    with pytest.raises(ValueError, match="uint8 have no room for 256"):
        session.add_object()


@given(
    row=st.floats(allow_nan=False, allow_infinity=False),
    column=st.floats(allow_nan=False, allow_infinity=False),
)
@settings(deadline=None)
def test_points_outside_the_image_are_refused_and_all_others_taken(row, column):
    session = Session(np.zeros((2, 20, 30), np.uint8), _MODEL)
    one = session.add_object()
    inside = -0.5 <= row <= 19.5 and -0.5 <= column <= 29.5
    if inside:
        session.add_points(one, 0, [[row, column]])
    else:
        with pytest.raises(ValueError, match="outside the image of 20 x 30"):
            session.add_points(one, 0, [[row, column]])

    assert len(session.prompts(one, 0)) == inside


def test_box_may_reach_over_the_edge_but_not_lie_beyond(session):
    one = session.add_object()
    session.add_box(one, 0, [-10, -10, 20, 20])
    assert np.isfinite(session.segment(one, 0).best.iou)

    with pytest.raises(ValueError, match="outside the image"):
        session.add_box(one, 0, [-10, -10, -5, 20])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda s: s.add_points(7, 0, [[1, 1]]), "no object 7"),
        (lambda s: s.add_points(1, 0, [[1, 1]], [True, False]), "1 points but 2 signs"),
        (lambda s: s.add_points(1, 0, [[0, 1, 2]]), r"shape \(N, 2\); got shape \(1, 3\)"),
        (lambda s: s.add_box(1, 0, [1, 2, 3]), "row0, column0, row1, column1"),
        (lambda s: s.add_mask(1, 0, np.ones((3, 3))), r"shape \(3, 3\), but a frame has"),
        (lambda s: s.segment(1, 0), "Nothing to segment"),
        (lambda s: s.propagate(), "Nothing to follow"),
        (lambda s: s.propagate(start=5, stop=5), "from frame 5 to 5"),
        (lambda s: s.propagate(stop=9), "stack of 8 frames"),
    ],
)
def test_wrong_call_says_why(session, action, message):
    session.add_object()

    with pytest.raises(ValueError, match=message):
        action(session)


def test_range_without_any_of_the_objects_says_where_they_are(session):
    prompted(session)

    with pytest.raises(ValueError, match=r"forward in frames 0 to 3.*prompted on frames \[5\]"):
        session.propagate(stop=4, objects=[2])


def test_axis_of_the_view_is_played_unless_another_is_given(tiny_model):
    stack = np.zeros((4, 40, 50), np.uint8)

    assert Session(stack, tiny_model, view=View(axis=2)).n_frames == 50
    assert Session(stack, tiny_model, 1, view=View(axis=2)).n_frames == 40


def test_frame_that_is_not_there_is_an_error(session):
    session.add_object()

    with pytest.raises(IndexError, match="no frame 8"):
        session.add_points(1, 8, [[1, 1]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(device="abacus"), "device 'abacus' cannot be used"),
        (Settings(precision="float8"), "no precision 'float8'"),
    ],
)
def test_settings_that_cannot_be_met_say_why(tiny_model, blobs, settings, message):
    with pytest.raises(ValueError, match=message):
        Session(blobs[0], tiny_model, settings=settings)


def test_failing_frame_stops_the_run_and_keeps_what_was_done(tiny_model, blobs):
    class Failing:
        shape, dtype = blobs[0].shape, blobs[0].dtype

        def __getitem__(self, index):
            if index[0] == 4:
                raise OSError("network drive gone")
            return blobs[0][index]

    session = Session(Failing(), tiny_model, view=View(contrast_limits=(0, 255)))
    session.add_points(session.add_object(), 0, [[30, 40]])

    with pytest.raises(FrameError, match="Frame 4 could not be read"):
        run(session)
    assert session.labels[:4].any(axis=(1, 2)).all()


def test_preview_can_be_asked_for_while_frames_are_tracked(session):
    first, second = prompted(session)
    steps = session.propagate(objects=[first])
    next(steps)
    found = []
    thread = threading.Thread(target=lambda: found.append(session.segment(second, 5)))
    thread.start()
    thread.join(timeout=20)

    assert found[0].best.object_id == second
    assert len(list(steps)) == 7


def test_everything_but_labels_is_read_one_frame_at_a_time(tiny_model):
    class Once:
        shape, dtype = (50, 40, 60), np.dtype(np.uint8)

        def __init__(self):
            self.reads = []

        def __getitem__(self, index):
            assert isinstance(index[0], int)
            self.reads.append(index[0])
            return np.random.default_rng(index[0]).integers(0, 255, (40, 60), dtype=np.uint8)

    stack = Once()
    session = Session(stack, tiny_model, view=View(contrast_limits=(0, 255)))
    session.add_points(session.add_object(), 0, [[20, 20]])
    assert stack.reads == []

    run(session)

    assert stack.reads == list(range(50))


def _model():
    from napari_sam2.model.config import HieraConfig, SAM2Config
    from napari_sam2.model.sam2 import SAM2

    hiera = HieraConfig(embed_dim=8, stages=(1, 1, 1, 1), windows=(8, 4, 4, 2), global_blocks=())
    torch.manual_seed(0)
    return SAM2(
        SAM2Config(name="x", checkpoint="x", image_size=64, hiera=hiera, d_model=16, memory_dim=16)
    ).eval()


_MODEL = _model()
