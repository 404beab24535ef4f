"""Confluent objects: a warped Voronoi pattern, merged here and there, changing over time."""

from dataclasses import dataclass, replace
from math import cos, pi, sin, sqrt

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.textures import (
    ATLAS_SIZE,
    band_noise,
    look_up,
    power_noise,
    smooth_noise,
)

STRIP = 32_768  #: pixels looked at in one go; what nine neighbours need then fits the cache
WRINKLE_GRID = 12  #: samples of the crumpling field per cell spacing


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A tessellation before its cells are drawn."""

    diameter: float  #: of one unmerged cell, pixels
    jitter: float = 0.38  #: of cell centres, in cell spacings, up to 0.45
    merge: float = 0.0  #: chance that a cell joins its neighbour
    gap: float = 0.0  #: half width of the unlabelled border, pixels
    missing: float = 0.0  #: chance that a cell is background
    uneven: float = 0.0  #: spread of cell sizes, 0 to about 0.5
    stretch: float = 1.0  #: how much longer cells are along one direction
    waviness: float = 0.3  #: of borders, 0 to about 1
    deformation: float = 0.04  #: per frame, in cell spacings
    restlessness: float = 0.05  #: wandering of single cells per frame, in cell spacings
    jump: float = 0.0  #: largest shift of a badly aligned frame, pixels


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Cells on a grid in material coordinates."""

    offset: Tensor  #: (T, R, C, 2) of each cell's centre within its grid square
    weight: Tensor  #: (T, R, C) larger cells win more ground
    group: Tensor  #: (R, C) int64, equal for merged cells; 0 is empty ground
    origin: Tensor  #: (2,) material position of the first grid square


def tessellate(dice: Dice, tiling: Tiling, options: SceneOptions) -> ObjectMap:
    """Fill the field with cells.

    Returns
    -------
    ObjectMap
        `inside` is the distance to the nearest cell border (up to about one spacing), on both
        sides of it, with the gap counted as part of the cell; `along` and `across` are
        positions in the tissue at rest, shared by all cells.
    """
    spacing = tiling.diameter * sqrt(pi / 4)
    tissue = _tissue(dice, tiling, options, spacing)  # (T, 2, H, W)
    material = _material(dice, tiling, tissue, spacing)
    expected = options.size[0] * options.size[1] / spacing**2
    missing = max(tiling.missing, 1 - options.max_objects / expected)
    lattice = _lattice(dice, replace(tiling, missing=missing), material, options.n_frames)
    rows = max(1, STRIP // options.size[1])
    frames = []
    for frame, whole in enumerate(material):
        strips = [_partition(strip, lattice, frame) for strip in whole.split(rows, dim=1)]
        frames.append([torch.cat(maps) for maps in zip(*strips, strict=True)])
    group, border, centre = (torch.stack(maps) for maps in zip(*frames, strict=True))
    border = border * spacing
    labels = torch.where(border > tiling.gap, group, 0).int()
    return ObjectMap(
        labels=labels,
        along=tissue[:, 1],
        across=tissue[:, 0],
        inside=border,
        relative=(border / (0.5 * spacing)).clamp(max=1) * (group > 0),
        from_centre=centre * spacing,
        cover=(labels > 0).int(),
        condensed=torch.zeros(options.n_frames, int(lattice.group.max()) + 1, device=dice.device),
        parents={},
    )


def _tissue(dice: Dice, tiling: Tiling, options: SceneOptions, spacing: float) -> Tensor:
    """Give the position in the tissue at rest seen by every pixel, pixels, shape (T, 2, H, W)."""
    size, n_frames = options.size, options.n_frames
    rows = torch.arange(size[0], device=dice.device).float()[:, None].expand(size)
    columns = torch.arange(size[1], device=dice.device).float().expand(size)
    angle = dice.uniform(0, pi)
    across = rows * cos(angle) - columns * sin(angle)
    along = columns * cos(angle) + rows * sin(angle)
    start = dice.uniforms(0, 50, 2, 1, 1).to(dice.device) * spacing
    base = torch.stack((across, along)) + start
    if n_frames == 1:
        return base[None]
    fields = smooth_noise(dice, 4, size, dice.uniform(2, 8) * spacing).view(2, 2, *size)
    phase = torch.arange(n_frames, device=dice.device) * dice.uniform(0.3, 0.9)
    reach = tiling.deformation / 0.6 * spacing
    moved = [base + reach * (fields[0] * p.sin() + fields[1] * (1 - p.cos())) for p in phase]
    drift = dice.normals(2) * (tiling.deformation * spacing)
    steps = drift + dice.normals(n_frames, 2) * (tiling.jump * 0.3)
    leap = (dice.uniforms(0, 1, n_frames, 1) < 0.15) * dice.uniforms(-1, 1, n_frames, 2)
    shift = (steps + leap * tiling.jump).cumsum(0).to(dice.device)
    return torch.stack(moved) + shift[:, :, None, None]


def _material(dice: Dice, tiling: Tiling, tissue: Tensor, spacing: float) -> Tensor:
    """Stretch and crumple the tissue: coordinates in which cells are regular, in spacings."""
    stretch = sqrt(tiling.stretch)
    scale = torch.tensor([stretch / spacing, 1 / (stretch * spacing)], device=tissue.device)
    material = tissue * scale[:, None, None]
    if tiling.waviness <= 0:
        return material
    edge = (ATLAS_SIZE, ATLAS_SIZE)
    wrinkles = torch.stack(
        [
            0.4 * power_noise(dice, edge, 3.0, 4 * WRINKLE_GRID)
            + 0.12 * band_noise(dice, edge, 1.4 * WRINKLE_GRID)
            + 0.035 * band_noise(dice, edge, 0.6 * WRINKLE_GRID)
            for _ in range(2)
        ]
    )
    place = tissue * (WRINKLE_GRID / spacing)
    bend = look_up(wrinkles, place[:, 0], place[:, 1]).movedim(0, 1)
    return material + tiling.waviness * bend


def _lattice(dice: Dice, tiling: Tiling, material: Tensor, n_frames: int) -> _Lattice:
    low = material.amin((0, 2, 3)).floor() - 2
    count = (material.amax((0, 2, 3)).ceil() + 2 - low).int().tolist()
    start = dice.uniforms(-1, 1, *count, 2) * tiling.jitter
    steps = dice.normals(n_frames, *count, 2) * tiling.restlessness
    wander = (steps.cumsum(0) + start).clamp(-0.47, 0.47)
    group = torch.arange(1, count[0] * count[1] + 1).view(count)
    for axis in (0, 1):
        joins = dice.uniforms(0, 1, *count) < tiling.merge / 2
        joins.select(axis, 0).fill_(False)
        group = torch.where(joins, group.roll(1, axis), group)
    present = dice.uniforms(0, 1, count[0] * count[1] + 1) >= tiling.missing
    group = torch.where(present[group], group, 0)  # empty ground is one region without borders
    change = dice.normals(n_frames, *count) * tiling.restlessness
    weight = dice.normals(*count) * tiling.uneven * 0.5 + change.cumsum(0)
    return _Lattice(
        offset=(wander + 0.5).to(dice.device),
        weight=weight.clamp(-0.7, 0.7).to(dice.device),
        group=group.to(dice.device),
        origin=low,
    )


def _partition(material: Tensor, lattice: _Lattice, frame: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the cell of every pixel, the distance to its border and to its centre, in spacings.

    A merged cell has one centre: that of the cell it took its name from.
    """
    offset = lattice.offset[frame]
    place = material - lattice.origin[:, None, None]
    square = place.floor()
    n_columns = offset.shape[1]
    home = (square[0] * n_columns + square[1]).long()
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    shift = torch.tensor(steps, device=home.device)
    cell = home + (shift[:, 0] * n_columns + shift[:, 1])[:, None, None]  # (9, H, W)
    flat = offset.flatten(0, 1)
    within = place - square
    y = flat[:, 0][cell] + shift[:, 0, None, None] - within[0]
    x = flat[:, 1][cell] + shift[:, 1, None, None] - within[1]
    distance = y.square() + x.square() - lattice.weight[frame].flatten()[cell]
    group = lattice.group.flatten()[cell]
    nearest, first = distance.min(0, keepdim=True)
    winner = group.gather(0, first)
    others = distance.masked_fill(group == winner, torch.inf)
    second_distance, second = others.min(0, keepdim=True)
    # merged cells: the border is where another group becomes nearer than any own cell
    gap_y = y.gather(0, second) - y.gather(0, first)
    gap_x = x.gather(0, second) - x.gather(0, first)
    apart = torch.hypot(gap_y, gap_x).clamp(min=0.2)
    border = ((second_distance - nearest) / (2 * apart)).clamp(0, 2)
    is_root = cell.gather(0, first) == winner - 1
    to_centre = torch.hypot(y.gather(0, first), x.gather(0, first)).masked_fill(~is_root, 9.0)
    return winner[0], border[0], to_centre[0]
