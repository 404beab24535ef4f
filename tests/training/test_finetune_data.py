"""Annotations: what cannot be learnt from is named, the rest is split and drawn as it is."""

import numpy as np
import pytest
import torch

from napari_sam2.training.annotated import (
    UNKNOWN,
    AnnotatedStack,
    AnnotationError,
    LabelRule,
    Part,
    check_all,
    is_linked,
)
from napari_sam2.training.holding_out import hold_out
from napari_sam2.training.views import ViewDrawer


def test_labels_of_another_shape_are_refused(blobs):
    images, labels = blobs

    with pytest.raises(AnnotationError, match=r"\(8, 96, 128\).*labels of \(8, 48, 128\)"):
        AnnotatedStack(images, labels[:, ::2])


def test_labels_without_objects_are_refused(blobs):
    with pytest.raises(AnnotationError, match="have no object"):
        AnnotatedStack(blobs[0], np.zeros_like(blobs[1]))


def test_labels_of_specks_alone_are_refused(blobs):
    labels = np.zeros_like(blobs[1])
    labels[0, 3:6, 3:6] = 1

    with pytest.raises(AnnotationError, match="no object of 24 pixels"):
        AnnotatedStack(blobs[0], labels)


def test_labels_in_floats_are_refused(blobs):
    with pytest.raises(AnnotationError, match=r"are float32: expected whole numbers.*astype"):
        AnnotatedStack(blobs[0], blobs[1].astype(np.float32))


def test_image_without_a_finite_pixel_is_named(blobs):
    images = blobs[0].astype(np.float32)
    images[3] = np.nan

    with pytest.raises(AnnotationError, match=r"Frame 3 of cells .* NaN"):
        AnnotatedStack(images, blobs[1], name="cells")


def test_image_with_some_missing_pixels_is_learnt_from(begin, blobs):
    images = blobs[0].astype(np.float32)
    images[:, :20, :30] = np.nan
    run = begin([AnnotatedStack(images, blobs[1])])

    losses = [p.loss for p in run.steps() if p.loss is not None]
    assert np.isfinite(losses).all()


def test_frames_that_are_not_annotated_need_not_be_seen(blobs):
    images, labels = blobs[0].astype(np.float32), blobs[1].copy()
    images[3], labels[3] = np.nan, 0

    assert 3 not in AnnotatedStack(images, labels).frames


def test_one_object_alone_cannot_be_held_out(begin, blobs):
    labels = np.where(blobs[1][0] == 1, 1, 0)
    stack = AnnotatedStack(blobs[0][0], labels)

    with pytest.raises(AnnotationError, match="one annotated object: none can be held out"):
        begin([stack])


def test_one_object_can_be_learnt_where_nothing_is_held_out(begin, blobs):
    labels = np.where(blobs[1][0] == 1, 1, 0)
    run = begin([AnnotatedStack(blobs[0][0], labels)], hold_out=0.0)
    list(run.steps())

    assert not run.result.is_honest


@pytest.fixture
def jumping(blobs):
    labels = blobs[1].copy()
    labels[1::2] = np.array([0, 2, 1])[labels[1::2]]
    return AnnotatedStack(blobs[0], labels, name="jumping")


def test_ids_that_jump_are_refused_where_following_is_to_be_learnt(begin, jumping):
    with pytest.raises(AnnotationError, match=r"ids in the labels of jumping jump: 100%"):
        begin([jumping], sequences="on")


def test_ids_that_jump_are_learnt_from_as_single_images(begin, jumping):
    run = begin([jumping])
    list(run.steps())

    assert not is_linked(jumping)
    assert run.result is not None


def test_ids_that_stay_are_linked(stack):
    assert is_linked(stack)
    assert stack.jumps() == 0


def test_last_frames_of_a_stack_are_held_out(stack):
    split = hold_out([stack], 0.25)

    assert split.training[0].frames == (0, 1, 2, 3, 4, 5)
    assert split.held_out[0].frames == (6, 7)


def test_objects_of_a_single_image_are_held_out(blobs):
    stack = AnnotatedStack(blobs[0][0], blobs[1][0])
    (training,), (held,) = hold_out([stack], 0.5)

    assert len(training.ids) == len(held.ids) == 1
    assert not training.ids & held.ids
    (kept,) = training.ids
    assert set(np.unique(training.codes(0))) == {0, stack.code_of(kept)}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_images_held_out_are_not_learnt_from(blobs, share):
    stacks = [
        AnnotatedStack(i, m, name=str(n)) for n, (i, m) in enumerate(zip(*blobs, strict=True))
    ]
    split = hold_out(stacks, share)
    names = [[part.stack.name for part in parts] for parts in split]

    assert sorted(names[0] + names[1]) == [str(n) for n in range(8)]
    assert all(names)


def test_unlabelled_pixels_can_be_ignored(blobs):
    labels = blobs[1].astype(np.int16)
    labels[:, 80:] = 9
    stack = AnnotatedStack(blobs[0], labels, rule=LabelRule(unlabelled="ignored", background=9))
    codes = stack.codes(0)

    assert (codes[80:] == 0).all()
    assert codes[0, 0] == UNKNOWN
    assert codes[30, 40] == stack.code_of(1) > 0
    assert 9 not in stack.objects[0]


def test_negative_labels_are_unknown(blobs):
    labels = blobs[1].astype(np.int16)
    labels[:, :5] = -1

    assert (AnnotatedStack(blobs[0], labels).codes(0)[:5] == UNKNOWN).all()


def test_lone_object_without_background_says_nothing(blobs):
    labels = np.where(blobs[1] == 1, 1, 0)
    stack = AnnotatedStack(blobs[0], labels, rule=LabelRule(unlabelled="ignored"))

    with pytest.raises(AnnotationError, match="nothing says where the object ends"):
        check_all([stack])


def test_run_learns_from_sparse_labels(begin, blobs):
    labels = blobs[1].astype(np.int16)
    labels[:, 88:] = 9
    rule = LabelRule(unlabelled="ignored", background=9)
    run = begin([AnnotatedStack(blobs[0], labels, rule=rule)])
    losses = [p.loss for p in run.steps() if p.loss is not None]

    assert np.isfinite(losses).all()
    assert run.result is not None


@pytest.mark.parametrize("n_frames", [1, 3])
@pytest.mark.parametrize("linked", [(), {0}])
def test_views_show_an_object_on_their_first_frame(stack, n_frames, linked):
    drawer = ViewDrawer([Part(stack, stack.frames)], 64, linked)
    shown = 0
    for seed in range(20):
        images, labels = drawer.draw(seed, n_frames)
        assert images.shape == (n_frames, 3, 64, 64)
        assert labels.shape == (n_frames, 64, 64)
        shown += bool((labels[0] > 0).any())

    assert shown >= 18


def test_view_is_the_same_for_the_same_seed(stack):
    drawer = ViewDrawer([Part(stack, stack.frames)], 64, {0})

    assert all(torch.equal(a, b) for a, b in zip(drawer.draw(5, 2), drawer.draw(5, 2), strict=True))
    assert not torch.equal(drawer.draw(5, 2).images, drawer.draw(6, 2).images)


def test_images_and_labels_of_a_view_fit(stack):
    drawer = ViewDrawer([Part(stack, stack.frames)], 96, {0})
    fits = []
    for seed in range(30):
        images, labels = drawer.draw(seed)
        light = images[0].float().mean(dim=0)
        inside, outside = light[labels[0] > 0], light[labels[0] == 0]
        if len(inside) and len(outside):
            fits.append(abs(float(inside.mean() - outside.mean())))

    assert np.median(fits) > 80, "the discs are bright on dark, or inverted"
