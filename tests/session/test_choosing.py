"""Another mask than the surest is chosen for a click, and followed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2 import PointPrompt, Session
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.meta.tracker import RuledTracker
from napari_sam2.predictors.postprocess import fill_holes


@pytest.fixture
def clicked(session):
    """A session with one object, clicked on the first frame."""
    session.add_points(session.add_object(), 0, [[30, 40]])
    return session


def followed(session):
    return np.stack([masks.objects[0].full(masks.shape) for masks in session.propagate()])


def test_chosen_mask_is_the_one_that_was_offered(clicked):
    offered = clicked.segment(1, 0)

    chosen = clicked.choose(1, 0, 2)

    assert np.array_equal(chosen.best.logits, offered.masks[2].logits)
    assert chosen.best.iou == offered.masks[2].iou
    assert [one.iou for one in chosen.masks] == [one.iou for one in offered.masks]


def test_surest_can_be_chosen_back(clicked, tiny_model, blobs):
    untouched = Session(blobs[0], tiny_model)
    untouched.add_points(untouched.add_object(), 0, [[30, 40]])
    clicked.choose(1, 0, 1)

    clicked.choose(1, 0, 0)

    assert np.array_equal(followed(clicked), followed(untouched))


def test_chosen_mask_is_accepted_into_the_labels(clicked):
    chosen = clicked.choose(1, 0, 1)

    clicked.accept(chosen)

    assert np.array_equal(clicked.labels[0] == 1, chosen.masks[1].full((96, 128)))


@torch.inference_mode()
def independently(model, images, index):
    """Take a candidate as Meta's predictor takes its best, and follow it: without `choose`."""
    tracker = RuledTracker(model, FrameSource(images))
    tracker.prompt(1, 0, [PointPrompt(0, 30, 40)])
    before = tracker._objects[1].prompted[0]
    clicks = [PointPrompt(0, 30, 40)]
    embedding = tracker.segmenter.embedding(0, before.window)
    decoded = []
    choose = model.choose

    def spy(masks, **kwargs):
        decoded.append(masks)
        return choose(masks, **kwargs)

    model.choose = spy
    tracker.segmenter.decode(0, before.window, embedding, clicks, None)
    del model.choose
    number = before.output.candidate_ious[0].argsort(descending=True, stable=True)[index]
    output = model.choose(decoded[0], multimask=True, index=number[None])
    filled = fill_holes(output.logits, tracker.options.fill_hole_area)
    tracker.take(1, 0, output._replace(logits=filled), prompted=True)
    return [tracker.step([1], frame)[1] for frame in range(8)]


@pytest.mark.parametrize("index", [1, 2])
def test_tracker_goes_on_from_the_mask_and_the_pointer_that_were_chosen(
    clicked, tiny_model, blobs, index
):
    clicked.segment(1, 0)
    clicked.choose(1, 0, index)
    expected = independently(tiny_model, blobs[0], index)

    tracker = clicked._work.tracker
    pointer = tracker._objects[1].prompted[0].output.pointer
    torch.testing.assert_close(pointer, expected[0].pointer, rtol=0, atol=0)
    for frame in range(8):
        found = tracker.step([1], frame)[1]
        torch.testing.assert_close(found.ious, expected[frame].ious, rtol=0, atol=0)


def test_what_is_followed_depends_on_the_choice(clicked, tiny_model, blobs):
    untouched = Session(blobs[0], tiny_model)
    untouched.add_points(untouched.add_object(), 0, [[30, 40]])
    clicked.choose(1, 0, 2)

    assert not np.array_equal(followed(clicked)[1:], followed(untouched)[1:])


def test_further_clicks_correct_the_chosen_mask(clicked, tiny_model, blobs):
    chosen = clicked.choose(1, 0, 2)
    clicked.add_points(1, 0, [[60, 90]], [False])
    step_by_step = clicked.segment(1, 0)

    at_once = Session(blobs[0], tiny_model)
    at_once.add_object()
    number = chosen.numbers[2]
    at_once.set_prompts(1, 0, [PointPrompt(0, 30, 40, True, number), PointPrompt(0, 60, 90, False)])
    surest = Session(blobs[0], tiny_model)
    surest.add_points(surest.add_object(), 0, [[30, 40], [60, 90]], [True, False])

    found = at_once.segment(1, 0).best
    assert np.array_equal(found.logits, step_by_step.best.logits)
    assert found.iou != surest.segment(1, 0).best.iou


def test_choice_outlives_what_the_tracker_forgets(clicked):
    chosen = clicked.choose(1, 0, 2)

    clicked.release()

    assert np.array_equal(clicked.segment(1, 0).best.logits, chosen.best.logits)


@pytest.mark.parametrize("index", [-1, 3])
def test_mask_that_was_not_offered_is_refused(clicked, index):
    with pytest.raises(ValueError, match=f"masks 0 to 2 to choose from; got {index}"):
        clicked.choose(1, 0, index)


def test_box_leaves_no_choice(session):
    session.add_box(session.add_object(), 0, [15, 25, 45, 55])

    with pytest.raises(ValueError, match="Nothing to choose from on frame 0"):
        session.choose(1, 0, 1)


def test_candidate_beyond_those_of_the_network_is_refused():
    with pytest.raises(ValueError, match="numbered 0 to 2; got 3"):
        PointPrompt(0, 30, 40, candidate=3)
