"""Simulated hands."""

import pytest
import torch
from training_steps import generator, gpu

from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, NEGATIVE, PADDING, POSITIVE, TOP_LEFT
from napari_sam2.training.simulate import boxes, corrections, first_clicks, pick_pixels


def test_pixels_are_drawn_in_proportion_to_their_weight():
    weights = torch.tensor([[[0.0, 1.0], [0.0, 3.0]]]).expand(4000, -1, -1)

    x, y = pick_pixels(weights, generator()).unbind(dim=1)

    assert (x == 1).all()
    assert 0.7 < y.mean() < 0.8


def test_rows_and_columns_of_drawn_pixels_belong_together():
    weights = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 1.0]])

    x, y = pick_pixels(weights.expand(4000, -1, -1), generator()).long().unbind(dim=1)

    shares = torch.bincount(3 * y + x, minlength=6).view(2, 3) / 4000
    torch.testing.assert_close(shares, weights / 4, atol=0.03, rtol=0)
    assert (shares[weights == 0] == 0).all()


@pytest.mark.parametrize("device", [gpu])
def test_hands_do_the_same_on_every_device(discs, device):
    there = discs.to(device)
    for draw in (first_clicks, boxes):
        here, other = draw(discs, generator()), draw(there, generator())
        assert other.points.device.type == device
        torch.testing.assert_close(other.points.cpu(), here.points)
    for one, other in zip(
        corrections(discs, discs.roll(4, 2), generator()),
        corrections(there, there.roll(4, 2), generator()),
        strict=True,
    ):
        assert torch.equal(one, other.cpu())


def test_first_click_is_on_the_object(discs):
    clicks = first_clicks(discs, generator())
    x, y = clicks.points[:, 0].long().unbind(dim=1)

    assert discs[torch.arange(20), y, x].all()
    assert (clicks.labels == POSITIVE).all()


def test_box_without_jitter_is_the_extent(discs):
    drawn = boxes(discs, generator(), jitter=0)
    for mask, corners in zip(discs, drawn.points, strict=True):
        rows, columns = mask.nonzero().unbind(dim=1)
        expected = [[columns.min(), rows.min()], [columns.max(), rows.max()]]
        assert corners.tolist() == expected
    assert drawn.labels[0].tolist() == [TOP_LEFT, BOTTOM_RIGHT]


def test_jittered_box_stays_near_and_on_the_image(discs):
    exact, jittered = boxes(discs, generator(), jitter=0), boxes(discs, generator())
    extent = (exact.points[:, 1] - exact.points[:, 0] + 1)[:, None]

    assert ((exact.points - jittered.points).abs() <= 0.1 * extent + 1e-4).all()
    assert not torch.equal(exact.points, jittered.points)


def test_corrections_fall_into_the_error_with_its_sign(discs):
    found = discs.roll(4, dims=2)
    points, labels = corrections(discs, found, generator())
    x, y = points.long().unbind(dim=1)
    index = torch.arange(20)

    assert (discs ^ found)[index, y, x].all()
    assert torch.equal(labels == POSITIVE, discs[index, y, x])
    assert {POSITIVE, NEGATIVE} == set(labels.tolist())


def test_perfect_mask_gets_no_correction(discs):
    assert (corrections(discs, discs, generator())[1] == PADDING).all()
