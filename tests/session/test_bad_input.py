"""What a session refuses, and what it says then."""

import errno

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from session_steps import prompted, run

from napari_sam2 import Session, Settings, View
from napari_sam2.predictors.frames import FrameError
from napari_sam2.results.label_arrays import new_label_file


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
        (lambda s: s.divide(1, 4, []), "masks of its daughters"),
        (
            lambda s: s.set_overlap("foo"),
            "rule 'foo' for overlaps: expected keep, highest or overwrite",
        ),
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


def test_frame_that_is_not_there_is_an_error(session):
    session.add_object()

    with pytest.raises(IndexError, match="no frame 8"):
        session.add_points(1, 8, [[1, 1]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(device="abacus"), "device 'abacus' cannot be used"),
        (Settings(precision="float8"), "no precision 'float8'"),
        (Settings(overlap="foo"), "rule 'foo' for overlaps: expected keep, highest or overwrite"),
        (Settings(image_size=100), "image_size must be a positive multiple of 32, got 100"),
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


def _model():
    from napari_sam2.model.config import HieraConfig, SAM2Config
    from napari_sam2.model.sam2 import SAM2

    hiera = HieraConfig(embed_dim=8, stages=(1, 1, 1, 1), windows=(8, 4, 4, 2), global_blocks=())
    torch.manual_seed(0)
    return SAM2(
        SAM2Config(name="x", checkpoint="x", image_size=64, hiera=hiera, d_model=16, memory_dim=16)
    ).eval()


_MODEL = _model()


def test_labels_that_are_no_array_say_what_to_give(tiny_model, blobs):
    with pytest.raises(ValueError, match=r"Labels must be an array of integers.*got a list"):
        Session(blobs[0], tiny_model, labels=[1, 2])


def test_full_disk_during_a_run_says_what_to_do_and_keeps_what_was_done(
    tiny_model, blobs, tmp_path
):
    labels = new_label_file(tmp_path / "labels.zarr", blobs[0].shape, np.dtype(np.uint16), (1, 2))

    class Full:
        shape, dtype = labels.shape, labels.dtype

        def __getitem__(self, index):
            return labels[index]

        def __setitem__(self, index, values):
            if index[0] == 4:
                raise OSError(errno.EFBIG, "File too large")
            labels[index] = values

    session = Session(blobs[0], tiny_model, labels=Full())
    session.add_points(session.add_object(), 0, [[30, 40]])

    with pytest.raises(OSError, match=r"no room .*frame 4.*Make room.*from frame 4"):
        list(session.propagate())
    assert session.objects[1].frames == set(range(4))
