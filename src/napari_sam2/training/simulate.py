"""Simulated hands: clicks, boxes, and the corrections a user would make."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, NEGATIVE, PADDING, POSITIVE, TOP_LEFT
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.training.draws import uniforms


@dataclass(frozen=True)
class Clicks:
    """Points of N objects in the network's order and units.

    A box is its two corners, first.
    """

    points: Tensor  #: (N, P, 2), (x, y) in pixels
    labels: Tensor  #: (N, P)

    @classmethod
    def none(cls, count: int, device: torch.device) -> Clicks:
        """Begin without points."""
        labels = torch.zeros(count, 0, dtype=torch.int64, device=device)
        return cls(torch.zeros(count, 0, 2, device=device), labels)

    def then(self, points: Tensor, labels: Tensor) -> Clicks:
        """Add one point to each object; shapes (N, 2) and (N,)."""
        return Clicks(
            torch.cat((self.points, points[:, None]), dim=1),
            torch.cat((self.labels, labels[:, None]), dim=1),
        )

    def as_prompts(self, mask: Tensor | None = None) -> PromptTensors:
        """Hand over to the model, with the logits of an earlier mask if there is one."""
        return PromptTensors(self.points, self.labels, mask)


def pick_pixels(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one pixel of each map with a probability in proportion to its weight.

    Parameters
    ----------
    weights : Tensor, shape (N, H, W)
        Not negative. Where all are 0 any pixel may be given.

    Returns
    -------
    Tensor, shape (N, 2), float32
        (x, y).
    """
    # First the row, then the pixel in it: few numbers to draw and to move to the device.
    rows = _pick(weights.sum(dim=2), generator)
    columns = _pick(weights[torch.arange(len(weights), device=weights.device), rows], generator)
    return torch.stack((columns, rows), dim=1).float()


def _pick(weights: Tensor, generator: torch.Generator) -> Tensor:  # (N, L) -> (N,)
    # The smallest of exponential waiting times with these rates falls on each place with
    # just the wanted probability.
    noise = uniforms(tuple(weights.shape), weights, generator).clamp(min=1e-9)
    return (-noise.log() / weights.clamp(min=1e-12)).argmin(dim=1)


def interior(masks: Tensor, reach: int = 9) -> Tensor:
    """Weigh the pixels of regions by how far inside they lie: where people click.

    Parameters
    ----------
    masks : Tensor, shape (N, H, W), bool
    reach : int
        Odd; pixels further inside than half of this all count the same.
    """
    inside = masks.float()
    surround = F.avg_pool2d(inside[:, None], reach, stride=1, padding=reach // 2)[:, 0]
    return inside * surround**4


def first_clicks(masks: Tensor, generator: torch.Generator) -> Clicks:
    """Click each object once, mostly well inside, sometimes anywhere on it.

    Parameters
    ----------
    masks : Tensor, shape (N, H, W), bool
        None empty.
    """
    anywhere = uniforms((len(masks), 1, 1), masks, generator) < 0.3
    weights = torch.where(anywhere, masks.float(), interior(masks))
    points = pick_pixels(weights, generator)
    labels = torch.full((len(masks), 1), POSITIVE, device=masks.device)
    return Clicks(points[:, None], labels)


def boxes(masks: Tensor, generator: torch.Generator, jitter: float = 0.1) -> Clicks:
    """Draw a box around each object, its sides off by up to `jitter` of its extent.

    Parameters
    ----------
    masks : Tensor, shape (N, H, W), bool
        None empty.
    """
    rows, columns = masks.any(dim=2).float(), masks.any(dim=1).float()  # (N, H), (N, W)
    height, width = masks.shape[1:]
    top, left = rows.argmax(dim=1), columns.argmax(dim=1)
    bottom = height - 1 - rows.flip(1).argmax(dim=1)
    right = width - 1 - columns.flip(1).argmax(dim=1)
    corners = torch.stack((left, top, right, bottom), dim=1).float()  # (N, 4)
    extent = (corners[:, 2:] - corners[:, :2] + 1).repeat(1, 2)
    noise = 2 * uniforms(tuple(corners.shape), corners, generator) - 1
    corners = corners + noise * (jitter * extent).clamp(max=20)
    limit = corners.new_tensor((width - 1, height - 1, width - 1, height - 1))
    corners = torch.minimum(corners.clamp(min=0), limit)
    labels = corners.new_tensor((TOP_LEFT, BOTTOM_RIGHT), dtype=torch.int64)
    return Clicks(corners.view(-1, 2, 2), labels.expand(len(masks), -1))


def corrections(truth: Tensor, found: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Click where a mask is wrong: positive where it misses, negative where it spills.

    Large errors are likelier than small ones, their middle likelier than their edge.

    Parameters
    ----------
    truth, found : Tensor, shape (N, H, W), bool

    Returns
    -------
    points : Tensor, shape (N, 2), float32
        (x, y).
    labels : Tensor, shape (N,)
        `PADDING` where nothing is wrong.
    """
    wrong = truth ^ found
    points = pick_pixels(interior(wrong, reach=7), generator)
    x, y = points.long().unbind(dim=1)
    missed = truth[torch.arange(len(truth), device=truth.device), y, x]
    labels = torch.where(missed, POSITIVE, NEGATIVE)
    return points, torch.where(wrong.flatten(1).any(dim=1), labels, PADDING)
