"""Losses, dense targets, and what one step teaches."""

import pytest
import torch
from training_steps import generator

from napari_sam2.model.mask_decoder import DecodedMasks
from napari_sam2.model.sam2 import SAM2
from napari_sam2.training import steps
from napari_sam2.training.datasets import Sample
from napari_sam2.training.dense import DenseHeads, dense_loss, dense_targets
from napari_sam2.training.initialize import level
from napari_sam2.training.losses import LossWeights, decoder_loss, dice_loss, focal_loss, mask_iou


def test_small_and_large_objects_weigh_alike(discs):
    areas = discs.flatten(1).sum(dim=1)
    small, large = discs[areas.argmin()].float(), discs[areas.argmax()].float()
    assert large.sum() > 10 * small.sum()
    blind = torch.full((2, 64, 80), -3.0)

    losses = focal_loss(blind, torch.stack((small, large)))

    assert losses.max() < 4 * losses.min()


def test_losses_fall_towards_the_truth(discs):
    target = discs.float()
    right, wrong = (12 * (2 * t - 1) for t in (target, 1 - target))

    assert (focal_loss(right, target) < 0.01).all()
    assert (dice_loss(right, target) < 0.05).all()
    assert (focal_loss(wrong, target) > 1).all()
    assert (dice_loss(wrong, target) > 0.9).all()
    assert (mask_iou(right, target) == 1).all()


def test_only_the_best_candidate_is_pulled(discs):
    truth = discs[:1].float()
    logits = torch.stack([truth[0] * 2 - 1, *(-torch.ones(3, 64, 80))])[None]
    logits[0, 2] = 3 * truth[0] - 1  # the best of the three
    logits.requires_grad_()
    decoded = DecodedMasks(logits, torch.rand(1, 4), torch.zeros(1, 4, 8), torch.zeros(1, 1))

    decoder_loss(decoded, truth, LossWeights())[0].backward()

    moved = logits.grad.flatten(2).abs().sum(dim=2)[0] > 0
    assert moved.tolist() == [True, False, True, False]


def test_predicted_iou_of_masks_that_are_right_half_of_the_time_is_pulled_to_half(discs):
    truth = discs[:1].float().expand(2, -1, -1)
    signs = torch.tensor([1.0, -1.0])[:, None, None]
    logits = (signs * (20 * truth - 10))[:, None].expand(-1, 4, -1, -1)
    for predicted, direction in ((0.7, 1), (0.3, -1)):
        ious = torch.full((2, 4), predicted, requires_grad=True)
        decoded = DecodedMasks(logits, ious, torch.zeros(2, 4, 8), torch.zeros(2, 1))

        decoder_loss(decoded, truth, LossWeights())[0].backward()

        assert ious.grad.sum() * direction > 0


def test_of_an_absent_object_masks_are_emptied_and_its_score_lowered():
    logits = torch.zeros(1, 4, 16, 16, requires_grad=True)
    ious = torch.rand(1, 4, requires_grad=True)
    score = torch.ones(1, 1, requires_grad=True)
    decoded = DecodedMasks(logits, ious, torch.zeros(1, 4, 8), score)

    decoder_loss(decoded, torch.zeros(1, 16, 16), LossWeights())[0].backward()

    assert (logits.grad > 0).all(), "a step down empties every mask"
    assert score.grad > 0, "a step down lowers the score"
    assert not ious.grad.any(), "of what is not there no IoU is asked"


def test_dense_targets_point_to_the_centre(blobs):
    labels = torch.from_numpy(blobs[1][:1]).int()
    targets = dense_targets(labels)

    assert targets.foreground.shape == (1, 1, 24, 32)
    diameter = float((labels == 1).sum()) ** 0.5
    row, column = 26, 46  # centre of the pixel at [6, 11], on the first disc
    centre = torch.tensor([30.0, 40.0])
    expected = (centre - torch.tensor([row, column])) / diameter
    torch.testing.assert_close(targets.offset[0, :, 6, 11], expected, atol=0.01, rtol=0)
    assert targets.edge[0, 0, 4, 10] == 1
    assert targets.edge[0, 0, 7, 10] == 0


def test_dense_loss_is_lowest_at_the_targets(blobs):
    targets = dense_targets(torch.from_numpy(blobs[1][:2]).int())
    sure = [30 * (t.round() - 0.5) for t in targets[:2]]
    exact = torch.cat([*sure, targets.offset, targets.size], dim=1)

    assert dense_loss(exact, targets) < 0.3 < dense_loss(torch.zeros_like(exact), targets)


@pytest.fixture
def parts(tiny_config):
    torch.manual_seed(0)
    return SAM2(tiny_config).train(), DenseHeads(tiny_config.d_model)


@pytest.mark.parametrize("step", [steps.image_step, steps.sequence_step])
def test_every_part_that_a_step_uses_learns(step, parts, batch):
    model, heads = parts
    for seed in range(6):
        options = steps.StepOptions(dense_weight=0.1)
        step(model, heads, batch, options, generator(seed)).loss.backward()

    def part(name):
        return name.split(".")[0]

    names = [name for name, _ in model.named_parameters()]
    learning = {part(n) for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    idle = {part(name) for name in names} - learning
    idle -= {"no_obj_ptr", "no_obj_embed_spatial"}  # for objects that leave: these do not
    expected = {"no_mem_pos_enc"}  # which no model reads
    if step is steps.image_step:
        expected |= {"memory_attention", "memory_encoder", "maskmem_tpos_enc", "mask_downsample"}
        expected |= {"obj_ptr_proj", "obj_ptr_tpos_proj"}
    assert idle == expected


@pytest.mark.parametrize("step", [steps.image_step, steps.sequence_step])
def test_batch_without_objects_is_passed_over(step, parts, batch):
    empty = Sample(batch.images, torch.zeros_like(batch.labels))

    assert step(*parts, empty, steps.StepOptions(), generator()) is None


def test_levelled_features_are_of_unit_size_and_mean_the_same(parts):
    pixels = torch.randn(2, 3, 64, 64, generator=generator())
    model, heads = parts
    encoder = model.image_encoder
    for lateral in encoder.neck.convs:
        lateral[0].weight.data *= 30
    before = heads(encoder(pixels))

    level(encoder, heads, pixels)

    pyramid = encoder(pixels)
    torch.testing.assert_close(torch.stack([x.std() for x in pyramid]), torch.ones(3))
    torch.testing.assert_close(heads(pyramid), before, atol=1e-3, rtol=1e-3)


def test_unknown_pixels_teach_nothing(discs):
    truth = discs[:1].float()
    known = torch.ones_like(truth)
    known[..., 40:] = 0
    logits = torch.zeros(1, 4, 64, 80, requires_grad=True)
    decoded = DecodedMasks(logits, torch.rand(1, 4), torch.zeros(1, 4, 8), torch.zeros(1, 1))

    decoder_loss(decoded, truth, LossWeights(), known)[0].backward()

    assert not logits.grad[..., 40:].any()
    assert logits.grad[..., :40].any()


def test_unknown_pixels_leave_open_whether_an_object_is_there():
    score = torch.zeros(1, 1, requires_grad=True)
    decoded = DecodedMasks(torch.zeros(1, 4, 16, 16), torch.rand(1, 4), torch.zeros(1, 4, 8), score)
    known = torch.ones(1, 16, 16)
    known[0, 0] = 0

    decoder_loss(decoded, torch.zeros(1, 16, 16), LossWeights(), known)[0].backward()

    assert not score.grad.any()


def test_nobody_corrects_where_nothing_is_known(parts, batch):
    labels = batch.labels.clone()
    labels[labels == 0] = -1
    labels[..., 96:, :] = 0
    objects = steps.pick_objects(labels, steps.StepOptions(), generator())
    truth, known = objects.masks[:, 0], objects.known_at(0)
    everywhere = torch.full((len(truth), 4, 32, 32), 9.0)
    decoded = DecodedMasks(
        everywhere,
        torch.rand(len(truth), 4),
        torch.zeros(len(truth), 4, 8),
        torch.zeros(len(truth), 1),
    )
    clicks = steps.Clicks.none(len(truth), truth.device)
    for seed in range(5):
        clicked, _ = steps._correct(truth, decoded, clicks, generator(seed), known)
        x, y = clicked.points[:, 0].long().unbind(dim=1)
        assert known[torch.arange(len(truth)), y, x].all()
