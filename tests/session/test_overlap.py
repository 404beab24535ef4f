"""Who has the pixels that several objects claim, and that nothing is lost by changing it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_steps import disc

from napari_sam2 import Candidates, FrameMasks, MaskPrompt, ObjectMask, Overlap, Session, Settings

SHAPE = (48, 64)
LEFT, RIGHT = disc(24, 24, 12, SHAPE), disc(24, 36, 12, SHAPE)
BOTH = LEFT & RIGHT
RULES = list(Overlap)


def found(object_id, mask, score, frame=0):
    """An object as the model might have found it."""
    one = ObjectMask.given(object_id, MaskPrompt(frame, mask))
    logits = np.sign(one.logits) * np.float16(score)
    return ObjectMask(object_id, one.origin, logits, 0.9, 3.0)


def write(session, *objects, frame=0):
    """Write objects together, as a run does."""
    with session._work.step("find"):
        session._work.write(FrameMasks(frame, SHAPE, objects))


def accept(session, one, frame=0):
    session.accept(Candidates(frame, SHAPE, (one,)))


def begin(model, rule=Overlap.HIGHEST, **kwargs):
    settings = Settings(overlap=rule, **kwargs)
    session = Session(np.zeros((3, *SHAPE), np.uint8), model, settings=settings)
    for name in ("one", "two", "three"):
        session.add_object(name)
    return session


@pytest.mark.parametrize(
    ("rule", "scores", "winner"),
    [
        (Overlap.HIGHEST, (2, 3), 2),
        (Overlap.HIGHEST, (3, 2), 1),
        (Overlap.KEEP, (2, 3), 1),
        (Overlap.OVERWRITE, (3, 2), 2),
    ],
)
def test_rule_says_who_has_the_pixels_of_both(tiny_model, rule, scores, winner):
    session = begin(tiny_model, rule)
    accept(session, found(1, LEFT, scores[0]))
    accept(session, found(2, RIGHT, scores[1]))

    assert (session.labels[0][BOTH] == winner).all()
    assert (session.labels[0][LEFT & ~RIGHT] == 1).all()
    assert (session.labels[0][RIGHT & ~LEFT] == 2).all()


@pytest.mark.parametrize("rule", RULES)
def test_of_objects_found_together_the_surer_wins_whatever_the_rule(tiny_model, rule):
    session = begin(tiny_model, rule)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))

    assert (session.labels[0][BOTH] == 2).all()


@pytest.mark.parametrize("rule", RULES)
def test_finding_the_same_again_changes_nothing(tiny_model, rule):
    session = begin(tiny_model, rule)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))
    accept(session, found(3, disc(30, 30, 9, SHAPE), 2.5))
    once = session.labels.copy()
    accept(session, found(3, disc(30, 30, 9, SHAPE), 2.5))

    assert np.array_equal(session.labels, once)


def test_kept_pixels_stay_bit_for_bit_as_another_object_is_found_anew(tiny_model):
    session = begin(tiny_model, Overlap.KEEP)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))
    accept(session, found(3, disc(30, 30, 9, SHAPE), 9))
    others = np.isin(session.labels[0], [2, 3])
    before = session.labels[0][others]
    accept(session, found(1, disc(26, 26, 16, SHAPE), 9))

    assert np.array_equal(session.labels[0][others], before)
    assert (session.labels[0] == 1).sum() > (LEFT & ~RIGHT).sum()


@pytest.mark.parametrize("rule", [Overlap.HIGHEST, Overlap.OVERWRITE])
def test_pixels_go_back_to_who_lost_them(tiny_model, rule):
    session = begin(tiny_model, rule)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))

    session.remove_object(2)

    assert np.array_equal(session.labels[0] == 1, LEFT)


def test_pixels_that_an_object_leaves_are_nobodys_where_what_is_there_is_kept(tiny_model):
    session = begin(tiny_model, Overlap.KEEP)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))
    before = session.labels[0] == 1

    accept(session, found(2, RIGHT & ~LEFT, 3))

    assert np.array_equal(session.labels[0] == 1, before)
    session.set_overlap("highest")
    assert np.array_equal(session.labels[0] == 1, LEFT)


masks = st.builds(disc, st.integers(5, 40), st.integers(5, 60), st.integers(3, 18), st.just(SHAPE))
writings = st.lists(
    st.lists(
        st.tuples(st.integers(1, 3), masks, st.sampled_from([0.5, 1.0, 2.0, 3.0])),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one[0],
    ),
    min_size=1,
    max_size=6,
)


@given(written=writings, rules=st.lists(st.tuples(st.sampled_from(RULES), st.integers(0, 5))))
@settings(deadline=None, max_examples=60)
def test_changing_the_rule_gives_bit_for_bit_what_it_gives_from_the_start(
    blank_model, written, rules
):
    sessions = {rule: begin(blank_model, rule) for rule in RULES}
    changing = begin(blank_model)
    for n, objects in enumerate(written):
        for rule in [rule for rule, at in rules if at == n]:
            changing.set_overlap(rule)
        for session in (*sessions.values(), changing):
            write(session, *(found(i, mask, score) for i, mask, score in objects))

    for rule, session in sessions.items():
        changing.set_overlap(rule)
        assert np.array_equal(changing.labels, session.labels)


@pytest.fixture(scope="module")
def blank_model():
    """A model that is asked nothing."""
    import torch
    from random_models import set_presence, small_architecture

    from napari_sam2.model.sam2 import SAM2

    torch.manual_seed(0)
    return set_presence(SAM2(small_architecture())).eval()


def test_changing_the_rule_is_undone(tiny_model):
    session = begin(tiny_model)
    accept(session, found(1, LEFT, 3))
    accept(session, found(2, RIGHT, 2))
    before = session.labels.copy()
    session.set_overlap("overwrite")
    after = session.labels.copy()

    assert session.history[0] == "have the last overwrite where objects overlap"
    session.undo()
    assert session.overlap is Overlap.HIGHEST
    assert np.array_equal(session.labels, before)
    session.redo()
    assert session.overlap is Overlap.OVERWRITE
    assert np.array_equal(session.labels, after)
    session.set_overlap("overwrite")
    assert len(session.undone) == 0


def test_rule_goes_on_after_undo(tiny_model):
    """What is claimed is undone, too."""
    session, other = begin(tiny_model), begin(tiny_model)
    for one in (session, other):
        accept(one, found(1, LEFT, 2))
    accept(session, found(1, RIGHT, 9))
    session.undo()
    for one in (session, other):
        accept(one, found(2, RIGHT, 3))
        one.set_overlap("keep")

    assert np.array_equal(session.labels, other.labels)


@pytest.mark.parametrize("rule", RULES)
def test_locked_results_neither_lose_nor_gain_pixels(tiny_model, rule):
    session = begin(tiny_model)
    write(session, found(1, LEFT, 2), found(2, RIGHT, 3))
    session.lock(1, 0)
    accepted = session.labels[0] == 1
    session.set_overlap(rule)
    accept(session, found(3, disc(24, 20, 15, SHAPE), 9))
    session.remove_object(2)

    assert np.array_equal(session.labels[0] == 1, accepted)


@pytest.mark.parametrize("rule", RULES)
def test_what_belongs_to_nobody_here_stays(tiny_model, rule):
    labels = np.zeros((3, *SHAPE), np.uint16)
    labels[0][RIGHT] = 40
    session = Session(
        np.zeros(labels.shape, np.uint8), tiny_model, labels=labels, settings=Settings(overlap=rule)
    )
    accept(session, found(session.add_object(), LEFT, 9))
    session.set_overlap("overwrite")

    assert (labels[0][RIGHT] == 40).all()
    assert (labels[0][LEFT & ~RIGHT] == 41).all()


def test_what_was_painted_by_hand_stays(tiny_model):
    session = begin(tiny_model)
    accept(session, found(1, LEFT, 2))
    session.labels[0][:, :20] = 3
    session.labels[0][20:22] = 0
    painted = session.labels[0].copy()
    accept(session, found(2, RIGHT, 3))
    session.set_overlap("keep")

    assert (session.labels[0][:, :20] == painted[:, :20]).all()
    assert not session.labels[0][20:22, 20:24].any()


def test_frames_found_longest_ago_stay_as_they_are_beyond_the_budget(tiny_model):
    session = begin(tiny_model, overlap_bytes=1500)
    for frame in range(3):
        accept(session, found(1, LEFT, 2, frame), frame)
        accept(session, found(2, RIGHT, 3, frame), frame)
    session.set_overlap("keep")

    kept = [(session.labels[frame][BOTH] == 1).all() for frame in range(3)]
    assert kept[-1]
    assert not kept[0]
    assert (session.labels[0][BOTH] == 2).all()


def test_merged_objects_claim_what_both_did(tiny_model):
    session = begin(tiny_model, Overlap.OVERWRITE)
    accept(session, found(1, LEFT, 2))
    accept(session, found(2, RIGHT, 2))
    accept(session, found(3, disc(24, 30, 9, SHAPE), 1))
    session.merge(1, 2)
    session.remove_object(3)

    assert np.array_equal(session.labels[0] == 1, LEFT | RIGHT)


def test_rule_is_taken_over(tiny_model):
    session = begin(tiny_model)
    accept(session, found(1, LEFT, 3))
    accept(session, found(2, RIGHT, 2))
    session.set_overlap("overwrite")
    other = Session(session.source.data, tiny_model, labels=session.labels)
    assert other.overlap is Overlap.KEEP
    other.take_over(session)

    assert other.overlap is Overlap.OVERWRITE
    other.set_overlap("highest")
    assert (other.labels[0][BOTH] == 1).all()


def test_unknown_rule_is_refused(tiny_model):
    with pytest.raises(
        ValueError, match="rule 'biggest' for overlaps: expected keep, highest or overwrite"
    ):
        begin(tiny_model).set_overlap("biggest")
