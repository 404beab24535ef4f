"""Where objects lie: scattered, in clusters, in colonies, or evenly packed."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, pi, sqrt

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.shapes import Family

N_DISCS = 3  #: by which a long body is represented when bodies push each other apart
PUSH_BUDGET = 6_000_000  #: disc pairs looked at in one relaxation


class Arrangement(StrEnum):
    """How objects are spread over the field."""

    SCATTERED = "scattered"
    CLUSTERED = "clustered"
    COLONY = "colony"
    PACKED = "packed"
    CHAINED = "chained"


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """A population before its members are drawn."""

    family: Family
    arrangement: Arrangement
    diameter: float  #: median, area-equivalent, pixels
    spread: float  #: standard deviation of the logarithm of the diameter
    coverage: float  #: share of the area under objects
    contact: float = 1.0  #: distance kept, in sums of radii; below 1 objects overlap
    groups: int | None = None  #: number of clusters or colonies; None draws it


def draw_diameter(dice: Dice, options: SceneOptions, low: float, high: float) -> float:
    """Draw a typical diameter, within what was asked, what is usual, and what fits the image."""
    fits = 0.6 * min(options.size)
    smallest = min(max(low, options.diameters[0]), options.diameters[1], fits)
    largest = max(smallest, min(high, options.diameters[1], fits))
    return dice.log_uniform(smallest, largest)


def draw_spread(dice: Dice) -> float:
    """Draw how much diameters differ: usually little, sometimes a lot."""
    return dice.pick((dice.uniform(0.03, 0.15), dice.uniform(0.15, 0.4)), (2, 1))


def draw_diameters(dice: Dice, crowd: Crowd, options: SceneOptions) -> Tensor:
    """Draw the diameters of all members, shape (N,), pixels."""
    margin = 0.6 * crowd.diameter
    height, width = (edge + 2 * margin for edge in options.size)
    member = pi / 4 * crowd.diameter**2 * (1 + 2 * crowd.spread**2)
    visible_share = options.size[0] * options.size[1] / (height * width)
    count = min(crowd.coverage * height * width / member, options.max_objects / visible_share)
    count = max(1, round(count))
    scale = (dice.normals(count) * crowd.spread).clamp(-1.2, 1.2).exp()
    return (crowd.diameter * scale).clamp(*options.diameters)


def place(
    dice: Dice, crowd: Crowd, size: tuple[int, int], diameters: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw first positions and directions.

    Returns
    -------
    Tensor, shape (N, 2)
        Row and column, pixels; up to 0.6 diameters outside the image.
    Tensor, shape (N,)
        Angle of the long axis, radians.
    """
    count, margin = diameters.shape[0], 0.6 * crowd.diameter
    field = torch.tensor([edge + 2 * margin for edge in size])
    if crowd.arrangement is Arrangement.PACKED:
        centre = _even(dice, count, field)
    elif crowd.arrangement is Arrangement.SCATTERED:
        centre = dice.uniforms(0, 1, count, 2) * field
    elif crowd.arrangement is Arrangement.CHAINED:
        centre, angle = _chained(dice, crowd, diameters, field)
        return centre - margin, angle
    else:
        centre = _grouped(dice, crowd, diameters, field)
    # neighbours point the same way where the field of directions is smooth
    wave = dice.uniforms(-1.5, 1.5, 2) / field * pi
    common = dice.uniform(0, pi) + (centre @ wave)
    is_colony = crowd.arrangement is Arrangement.COLONY
    disorder = dice.pick((pi, dice.uniform(0.1, 0.8)), (1, 4) if is_colony else (2, 1))
    angle = common + dice.uniforms(-disorder, disorder, count)
    return centre - margin, angle


def _even(dice: Dice, count: int, field: Tensor) -> Tensor:
    height, width = field.tolist()
    columns = max(1, round(sqrt(count * width / height)))
    rows = ceil(count / columns)
    order = dice.uniforms(0, 1, rows * columns).argsort()[:count]
    row = torch.div(order, columns, rounding_mode="floor")
    column = order - row * columns + 0.5 * (row % 2)
    cell = torch.stack((row + 0.5, column + 0.25), dim=-1)
    jitter = dice.normals(count, 2) * dice.uniform(0.15, 0.5)
    return (cell + jitter) * field / torch.tensor([rows, columns])


def _grouped(dice: Dice, crowd: Crowd, diameters: Tensor, field: Tensor) -> Tensor:
    count = diameters.shape[0]
    is_colony = crowd.arrangement is Arrangement.COLONY
    n_groups = dice.integer(1, 4) if is_colony else max(1, round(count / dice.uniform(3, 15)))
    n_groups = crowd.groups or n_groups
    group = (dice.uniforms(0, 1, count) * n_groups).long()
    area = torch.zeros(n_groups).index_add(0, group, diameters.square() * (pi / 4))
    radius = (area / pi / (0.85 if is_colony else 0.6)).sqrt()
    home = (0.15 + 0.7 * dice.uniforms(0, 1, n_groups, 2)) * field
    direction = dice.uniforms(0, 2 * pi, count)
    distance = dice.uniforms(0, 1, count).sqrt() * radius[group]
    offset = torch.stack((direction.sin(), direction.cos()), dim=-1) * distance[:, None]
    return home[group] + offset


def _chained(dice: Dice, crowd: Crowd, diameters: Tensor, field: Tensor) -> tuple[Tensor, Tensor]:
    """Lay objects along winding lines, across or along them, as in an epithelium."""
    count = diameters.shape[0]
    n_chains = max(1, round(count / dice.uniform(6, 30)))
    chain = (torch.arange(count) * n_chains) // count
    step = diameters * dice.uniform(0.8, 1.3)
    turns = dice.normals(count) * dice.uniform(0.02, 0.3)
    heading = turns.cumsum(0) + dice.uniforms(0, 2 * pi, n_chains)[chain]
    moves = torch.stack((heading.sin(), heading.cos()), dim=-1) * step[:, None]
    path = moves.cumsum(0)
    # each chain is centred on a place of its own
    total = torch.zeros(n_chains, 2).index_add(0, chain, path)
    mean = total / torch.bincount(chain, minlength=n_chains)[:, None].clamp(min=1)
    home = dice.uniforms(0, 1, n_chains, 2) * field
    centre = path - mean[chain] + home[chain]
    across = dice.pick((0.0, pi / 2))
    jitter = dice.normals(count, 2) * (0.15 * crowd.diameter)
    return centre + jitter, heading + across + 0.2 * dice.normals(count)


def push_apart(
    centre: Tensor,
    angle: Tensor,
    radius: Tensor,
    segment: Tensor,
    contact: float,
    iterations: int,
) -> tuple[Tensor, Tensor]:
    """Move and turn bodies until they hardly overlap.

    Long bodies count as discs in a row, so that neighbours in a colony align.

    Parameters
    ----------
    centre : Tensor, shape (N, 2)
    angle, radius, segment : Tensor, shape (N,)
        Radians; pixels; pixels from the centre to the last disc.
    contact : float
        Distance kept, in sums of radii.
    iterations : int
        Fewer are done when there are many bodies.

    Returns
    -------
    Tensor, shape (N, 2)
    Tensor, shape (N,)
    """
    n_bodies = centre.shape[0]
    n_discs = N_DISCS if bool((segment > 0.3 * radius).any()) else 1
    pairs = (n_bodies * n_discs) ** 2
    place_on_axis = torch.linspace(-1, 1, n_discs) if n_discs > 1 else torch.zeros(1)
    owner = torch.arange(n_bodies).repeat_interleave(n_discs)
    reach = contact * (radius[owner][:, None] + radius[owner])
    reach.masked_fill_(owner[:, None] == owner, 0)
    for _ in range(min(iterations, max(2, PUSH_BUDGET // pairs))):
        axis = torch.stack((angle.sin(), angle.cos()), dim=-1)
        arm = (axis * segment[:, None])[:, None] * place_on_axis[:, None]  # (N, D, 2)
        disc = (centre[:, None] + arm).flatten(0, 1)
        distance = torch.cdist(disc, disc).clamp(min=1e-3)
        strength = (reach - distance).clamp(min=0) / distance * 0.5
        push = disc * strength.sum(1, keepdim=True) - strength @ disc  # (N * D, 2)
        push = push.view(n_bodies, n_discs, 2)
        centre = centre + 0.7 * push.sum(1) / max(1.0, 0.6 * n_discs)
        if n_discs > 1:
            torque = (arm[..., 1] * push[..., 0] - arm[..., 0] * push[..., 1]).sum(1)
            inertia = (segment.square() + radius.square()) * n_discs
            angle = angle + (torque / inertia).clamp(-0.4, 0.4)
    return centre, angle
