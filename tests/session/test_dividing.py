"""Objects that divide, and those that only seem to."""

import numpy as np
import pytest
from session_steps import disc, ious, render, run

from napari_sam2 import DivisionRule, MaskPrompt, ObjectMask, Session
from napari_sam2.prompts import FrameMasks
from napari_sam2.results.divisions import DivisionWatch

SHAPE = (96, 160)


def parts(*radii):
    """Discs side by side, apart."""
    return np.any([disc(48, 30 + 40 * n, r, SHAPE) for n, r in enumerate(radii)], axis=0)


def see(rule, *masks):
    """Give what a watch says of the masks of one object, frame by frame."""
    watch = DivisionWatch(rule)
    return [
        watch.see(FrameMasks(t, SHAPE, (ObjectMask.given(1, MaskPrompt(t, mask)),)))
        for t, mask in enumerate(masks)
    ]


def test_two_parts_of_like_size_are_a_division_once_they_have_lasted():
    found = see(DivisionRule(frames=2), parts(16), parts(11, 10), parts(10, 11))

    assert found[:2] == [{}, {}]
    larger, smaller = found[2][1]
    assert np.array_equal(larger.mask | smaller.mask, parts(10, 11))
    assert larger.part.sum() > smaller.part.sum()
    assert larger.frame == smaller.frame == 2


@pytest.mark.parametrize(
    "masks",
    [
        pytest.param([parts(16), parts(16, 4)], id="a speck beside it"),
        pytest.param([parts(16), parts(16, 16)], id="a neighbour taken in"),
        pytest.param([parts(16), parts(10, 10, 10)], id="three parts"),
        pytest.param([parts(2), parts(1.5, 1.5)], id="too small"),
        pytest.param([parts(11, 10), parts(11, 10)], id="never was whole"),
        pytest.param([parts(16), parts(11, 0), parts(0, 11)], id="one part at a time"),
        pytest.param([parts(16), np.zeros(SHAPE)], id="gone"),
    ],
)
def test_other_changes_are_no_division(masks):
    assert not any(see(DivisionRule(frames=1), *masks))


def test_parts_that_join_again_have_not_divided():
    masks = [parts(16), parts(11, 10), parts(16), parts(11, 10), parts(16)]

    assert not any(see(DivisionRule(frames=2), *masks))


def test_hidden_object_may_divide_when_it_is_back():
    masks = [parts(16), np.zeros(SHAPE), parts(11, 10)]

    assert see(DivisionRule(frames=1), *masks)[2].keys() == {1}


def test_rule_that_needs_no_frame_is_refused():
    with pytest.raises(ValueError, match="one frame or more; got 0"):
        DivisionRule(frames=0)


@pytest.fixture
def dividing(tiny_model, script):
    """A session in which an object has divided on frame 3 of 6; the tracker follows the truth."""
    truth = np.array([parts(16)] * 2 + [parts(11, 10)] * 4).astype(int)
    script(truth)
    session = Session(render(truth > 0), tiny_model)
    mother = session.add_object("mother")
    session.add_mask(mother, 0, truth[0])
    script(_with_daughters(truth))
    run(session, divisions=DivisionRule())
    return session


def _with_daughters(truth):
    labels = truth.copy()
    labels[4:][parts(11, 0) & (truth[4:] > 0)] = 2
    labels[4:][parts(0, 10) & (truth[4:] > 0)] = 3
    return labels


def test_daughters_are_followed_and_the_parent_ends(dividing):
    assert [set(np.unique(plane)) - {0} for plane in dividing.labels] == [{1}] * 3 + [{2, 3}] * 3
    assert [one.name for one in dividing.objects.values()] == ["mother", "mother.1", "mother.2"]
    assert [one.parent for one in dividing.objects.values()] == [None, 1, 1]
    assert dividing.tracks().graph == {2: [1], 3: [1]}
    assert dividing.quality.rows(1)["frame"].tolist() == [0, 1, 2]


def test_divided_object_is_not_followed_again_beyond_its_end(dividing):
    steps = list(dividing.propagate(divisions=DivisionRule()))

    assert [masks.object_ids for masks in steps] == [(1,)] * 3 + [(2, 3)] * 3
    assert list(dividing.objects) == [1, 2, 3]
    assert not (dividing.labels[3:] == 1).any()


def test_prompt_behind_the_division_names_the_daughters(dividing):
    with pytest.raises(ValueError, match=r"divided on frame 3 into objects \[2, 3\]"):
        dividing.add_points(1, 4, [[48, 30]])


def test_object_whose_daughters_are_removed_has_not_divided(dividing):
    dividing.remove_object(2)
    assert dividing.objects[1].end == 3
    dividing.remove_object(3)

    assert dividing.objects[1].end is None
    dividing.add_points(1, 4, [[48, 30]])


def test_removed_parent_leaves_orphans(dividing):
    dividing.remove_object(1)

    assert [one.parent for one in dividing.objects.values()] == [None, None]
    assert dividing.tracks().graph == {}


def test_division_is_taken_over(dividing, tiny_model):
    other = Session(dividing.source.data, tiny_model, labels=dividing.labels)
    other.take_over(dividing)

    assert other.objects[1].end == 3
    assert other.tracks().graph == {2: [1], 3: [1]}


@pytest.mark.parametrize("kind", ["prompt", "lock"])
def test_object_that_is_said_to_be_one_later_does_not_divide(tiny_model, script, kind):
    truth = np.array([parts(16)] * 2 + [parts(11, 10)] * 4).astype(int)
    script(truth)
    session = Session(render(truth > 0), tiny_model)
    one = session.add_object()
    session.add_mask(one, 0, truth[0])
    if kind == "prompt":
        session.add_mask(one, 5, truth[5])
    else:
        run(session)
        session.lock(one, 5)

    run(session, divisions=DivisionRule())

    assert list(session.objects) == [one]


def test_nothing_divides_backward_in_time_or_without_a_rule(tiny_model, script):
    truth = np.array([parts(11, 10)] * 4 + [parts(16)]).astype(int)
    script(truth)
    session = Session(render(truth > 0), tiny_model)
    one = session.add_object()
    session.add_mask(one, 4, truth[4])
    run(session, "backward", divisions=DivisionRule())
    assert list(session.objects) == [one]

    script(truth[::-1])
    session.clear_prompts(one)
    session.add_mask(one, 0, truth[4])
    run(session)
    assert list(session.objects) == [one]


def test_division_can_be_said_by_hand(session):
    mother = session.add_object("mother")
    session.add_mask(mother, 0, disc(30, 40, shape=(96, 128)))
    run(session)
    halves = [disc(34, 30, 6, (96, 128)), disc(34, 50, 6, (96, 128))]

    daughters = session.divide(mother, 2, halves)
    assert [(plane == mother).any() for plane in session.labels] == [True] * 2 + [False] * 6
    run(session)

    for daughter, half in zip(daughters, halves, strict=True):
        assert np.array_equal(session.labels[2] == daughter, half)
        assert (session.labels[3] == daughter).any()


def test_division_that_the_labels_have_no_room_for_changes_nothing(tiny_model, blobs):
    session = Session(blobs[0], tiny_model, labels=np.zeros(blobs[0].shape, np.uint8))
    mother = session.add_object(object_id=254)
    half = disc(34, 30, 6, (96, 128))

    with pytest.raises(ValueError, match="no room for object 256"):
        session.divide(mother, 2, [half, ~half])
    assert list(session.objects) == [mother]
    assert session.objects[mother].end is None


def test_dividing_blob_is_found_and_followed_by_the_embedded_model(nano):
    def cell(t):
        if t < 2:
            return disc(48, 80, 16, SHAPE)
        apart = 5 * (t - 1) + 8
        return disc(48, 80 - apart, 10, SHAPE) | disc(48, 80 + apart, 10, SHAPE)

    truth = np.array([cell(t) for t in range(6)])
    session = Session(render(truth), nano)
    mother = session.add_object()
    session.add_mask(mother, 0, truth[0])

    run(session, divisions=DivisionRule())

    first, second = session.tracks().graph
    assert session.objects[mother].end == 3
    assert ious(session.labels > 0, truth).min() > 0.6
    columns = np.arange(SHAPE[1])
    for daughter, side in ((first, columns < 80), (second, columns > 80)):
        inside = session.labels[3:] == daughter
        assert inside.any(axis=(1, 2)).all()
        assert not inside[..., ~side].any() or not inside[..., side].any()
