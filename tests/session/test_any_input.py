"""Whatever the data and the prompts, a session finds something of the right shape, or says why."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import set_presence, small_architecture

from napari_sam2 import BoxPrompt, MaskPrompt, PointPrompt, Session, Settings, TrackerOptions, View
from napari_sam2.model.config import HieraConfig
from napari_sam2.model.sam2 import SAM2


@pytest.fixture(scope="module")
def smallest_model():
    """As few channels as there can be: 5 ms a frame."""
    config = replace(
        small_architecture(),
        image_size=64,
        hiera=HieraConfig(embed_dim=8, stages=(1, 1, 1, 1), windows=(8, 4, 4, 2), global_blocks=()),
        d_model=16,
        memory_mlp_dim=16,
        decoder_mlp_dim=16,
    )
    torch.manual_seed(0)
    return set_presence(SAM2(config)).eval()


DTYPES = [np.bool_, np.uint8, ">u2", np.int32, "<i8", np.float16, np.float32, ">f4", ">f8"]


@st.composite
def stacks(draw):
    """An array of two to five axes with any values, and a way to look at it."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=5, min_side=1, max_side=9))
    data = draw(hnp.arrays(dtype, shape, fill=hnp.from_dtype(dtype)))
    channel_axis = None
    if data.ndim > 2 and draw(st.booleans()):
        channel_axis = draw(st.integers(-data.ndim, data.ndim - 1))
    n_axes = data.ndim - (channel_axis is not None)
    axis = draw(st.integers(0, n_axes - 1))
    others = [i for i in range(n_axes) if i != axis]
    held = {}
    if n_axes > 3:
        hold = draw(st.permutations(others))[: n_axes - 3]
        sizes = shape if channel_axis is None else np.delete(shape, channel_axis).tolist()
        held = {i: draw(st.integers(-sizes[i], sizes[i] - 1)) for i in hold}
    view = View(
        axis=axis,
        held=held,
        rgb=False,
        channel_axis=channel_axis,
        gamma=draw(st.sampled_from([1.0, 0.5, 2.0])),
        inverted=draw(st.booleans()),
    )
    return data, view


def prompts_for(source):
    """One of what a user may say of a frame."""
    height, width = source.shape
    frame = st.integers(0, source.n_frames - 1)
    row, column = st.floats(-0.5, height - 0.5), st.floats(-0.5, width - 0.5)
    corner = st.floats(-5, 20)
    point = st.builds(PointPrompt, frame, row, column, st.sampled_from([True, True, True, False]))
    box = st.tuples(frame, corner, corner, corner, corner).filter(
        lambda b: b[1] != b[3] and b[2] != b[4]
    )
    mask = st.builds(MaskPrompt, frame, hnp.arrays(bool, source.shape))
    return st.one_of(point, box.map(lambda b: BoxPrompt(*b)), mask)


SAYS_WHY = (
    "lies outside|Negative points alone|leaves axes|cannot stand with|one box a frame|"
    "Nothing to follow"
)


def follow(session, prompts, direction):
    """Follow an object for each prompt; nothing, if the session says why not."""
    try:
        for prompt in prompts:
            session.set_prompts(session.add_object(), prompt.frame, [prompt])
        return list(session.propagate(direction))
    except ValueError as error:
        if not re.search(SAYS_WHY, str(error)):
            raise
        event(str(error).partition(" ")[0])
        return []


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_stack_with_any_prompts_is_followed_or_says_why(smallest_model, data):
    array, view = data.draw(stacks())
    with np.errstate(all="ignore"):
        session = Session(array, smallest_model, view=view)
        source = session.source
        wanted = data.draw(st.lists(prompts_for(source), min_size=1, max_size=3))
        direction = data.draw(st.sampled_from(["forward", "backward", "both"]))
        found = follow(session, wanted, direction)

    assert session.labels.shape == source.label_shape
    for masks in found:
        assert masks.labels().shape == source.shape
        assert all(np.isfinite(one.logits).all() for one in masks.objects)
    others = np.ones(session.labels.shape, dtype=bool)
    for frame in range(source.n_frames):
        others[source.index(frame)] = False
    assert not session.labels[others].any()


@pytest.mark.parametrize("value", [0, 5, -1, np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("spread", [0, 1], ids=["constant", "here and there"])
def test_pixels_without_a_meaning_do_no_harm(smallest_model, value, spread):
    stack = np.full((3, 20, 30), value, dtype=np.float32)
    stack[:, ::3, ::4] += spread
    session = Session(stack, smallest_model)
    session.add_points(session.add_object(), 0, [[10, 15]])

    for masks in session.propagate():
        assert np.isfinite(masks.objects[0].iou)
    assert session.labels.shape == stack.shape


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 20, 30)), "with pixels in it, got shape"),
        (np.zeros((3, 20, 0)), "with pixels in it"),
        (np.zeros((3, 20, 30), complex), "Take the magnitude"),
        (np.zeros((3, 20, 30), object), "Expected real numbers, got object"),
        (np.zeros((3, 20, 30), "M8[s]"), "Expected real numbers"),
        ([[1, 2], [3, 4]], "np.asarray"),
    ],
    ids=["no frames", "no columns", "complex", "objects", "dates", "lists"],
)
def test_data_that_are_no_images_say_what_was_expected(smallest_model, data, message):
    with pytest.raises(ValueError, match=message):
        Session(data, smallest_model)


def test_one_frame_is_a_stack_too(smallest_model):
    image = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    flat, stack = Session(image, smallest_model), Session(image[None], smallest_model)
    for session in (flat, stack):
        session.add_points(session.add_object(), 0, [[10, 15]])
        assert [masks.frame for masks in session.propagate("both")] == [0]

    assert np.array_equal(flat.labels, stack.labels[0])


def test_ten_thousand_objects_are_added_in_no_time(smallest_model):
    session = Session(np.zeros((2, 200, 200), np.uint8), smallest_model)
    begun = time.perf_counter()
    for number in range(10_000):
        row, column = divmod(number, 100)
        session.add_points(session.add_object(), 0, [[2 * row, 2 * column]])

    assert time.perf_counter() - begun < 5
    assert len(session.objects) == 10_000


def test_many_objects_are_tracked_in_few_batches(smallest_model, monkeypatch):
    count, batch = 200, 32
    options = TrackerOptions(field="frame", max_objects=batch)
    session = Session(
        np.random.default_rng(0).integers(0, 255, (3, 100, 100), dtype=np.uint8),
        smallest_model,
        settings=Settings(tracker=options),
    )
    for number in range(count):
        row, column = divmod(number, 20)
        session.add_box(
            session.add_object(), 0, [10 * row, 5 * column, 10 * row + 4, 5 * column + 4]
        )
    asked = []
    attend = smallest_model.with_memory
    monkeypatch.setattr(
        smallest_model,
        "with_memory",
        lambda features, memories: (
            asked.append(len(memories.spatial)) or attend(features, memories)
        ),
    )
    found = list(session.propagate())

    assert [len(masks.objects) for masks in found] == [count] * 3
    assert asked == 2 * [32, 32, 32, 32, 32, 32, 8]
