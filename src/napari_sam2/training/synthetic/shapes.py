"""Outlines of single objects: a segment swept by a star-shaped blob, and bent."""

from dataclasses import dataclass
from enum import StrEnum
from math import pi

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice

N_ANGLES = 128  #: directions in which an outline is tabulated
N_MODES = 9  #: Fourier modes 2 to 10
N_SPIKES = 6


class Family(StrEnum):
    """What kind of outline."""

    ROUND = "round"
    ELLIPSE = "ellipse"
    BLOB = "blob"
    LOBED = "lobed"
    AMOEBOID = "amoeboid"
    SPINDLE = "spindle"
    ROD = "rod"
    FILAMENT = "filament"
    RAGGED = "ragged"


@dataclass(frozen=True, kw_only=True)
class FamilyTraits:
    """Ranges that make up a family; each object draws its own numbers within."""

    elongation: tuple[float, float]  #: long over short axis of the swept blob
    roughness: tuple[float, float]  #: root mean square of the Fourier modes
    smoothness: float  #: power by which modes fall with their number
    spikes: tuple[float, float] = (0.0, 0.0)  #: length of protrusions, in radii
    segment: tuple[float, float] = (0.0, 0.0)  #: half length of the swept segment, in radii
    bend: float = 0.0  #: largest sag, in half lengths


TRAITS = {
    Family.ROUND: FamilyTraits(elongation=(1.0, 1.15), roughness=(0.0, 0.02), smoothness=2.0),
    Family.ELLIPSE: FamilyTraits(
        elongation=(1.05, 2.2), roughness=(0.0, 0.03), smoothness=2.0, bend=0.2
    ),
    Family.BLOB: FamilyTraits(
        elongation=(1.0, 1.8), roughness=(0.02, 0.09), smoothness=1.8, bend=0.3
    ),
    Family.LOBED: FamilyTraits(
        elongation=(1.0, 1.7), roughness=(0.07, 0.2), smoothness=2.0, bend=0.5
    ),
    Family.AMOEBOID: FamilyTraits(
        elongation=(1.0, 2.2), roughness=(0.04, 0.13), smoothness=1.6, spikes=(0.15, 1.0), bend=0.4
    ),
    Family.SPINDLE: FamilyTraits(
        elongation=(2.0, 5.0), roughness=(0.02, 0.1), smoothness=1.8, spikes=(0.0, 0.4), bend=0.4
    ),
    Family.ROD: FamilyTraits(
        elongation=(1.0, 1.1), roughness=(0.0, 0.02), smoothness=2.0, segment=(0.6, 3.5), bend=0.15
    ),
    Family.FILAMENT: FamilyTraits(
        elongation=(1.0, 1.1), roughness=(0.0, 0.05), smoothness=2.0, segment=(3.5, 8.0), bend=0.4
    ),
    Family.RAGGED: FamilyTraits(
        elongation=(1.0, 1.8), roughness=(0.06, 0.2), smoothness=0.9, spikes=(0.0, 0.7), bend=0.3
    ),
}


@dataclass(slots=True)
class Outlines:
    """Shape numbers of N objects, free of size and pose."""

    modes: Tensor  #: (N, N_MODES, 2) cosine and sine amplitudes
    elongation: Tensor  #: (N,)
    spikes: Tensor  #: (N, N_SPIKES, 3) direction, height in radii, width in radians
    segment: Tensor  #: (N,) half length of the swept segment, in radii
    bend: Tensor  #: (N,) sag in half lengths, signed


def draw_outlines(dice: Dice, family: Family, count: int) -> Outlines:
    """Draw `count` outlines of one family."""
    traits = TRAITS[family]
    falloff = torch.arange(2, N_MODES + 2).float().pow(-traits.smoothness)
    falloff = falloff / falloff.square().sum().sqrt()
    roughness = dice.uniforms(*traits.roughness, count, 1, 1)
    spikes = torch.stack(
        (
            dice.uniforms(-pi, pi, count, N_SPIKES),
            dice.uniforms(*traits.spikes, count, N_SPIKES),
            dice.uniforms(0.12, 0.45, count, N_SPIKES),
        ),
        dim=-1,
    )
    spikes[..., 1] *= dice.uniforms(0, 1, count, N_SPIKES) < 0.45
    low, high = (dice.uniform(*traits.segment) for _ in range(2))
    return Outlines(
        modes=dice.normals(count, N_MODES, 2) * falloff[:, None] * roughness,
        elongation=dice.uniforms(*traits.elongation, count),
        spikes=spikes,
        segment=dice.uniforms(min(low, high), max(low, high), count),
        bend=dice.uniforms(-traits.bend, traits.bend, count),
    )


def tabulate(outlines: Outlines) -> Tensor:
    """Give the radius of every outline in N_ANGLES directions.

    Returns
    -------
    Tensor, shape (N, N_ANGLES)
        In units of the area-equivalent radius; direction i is ``2 * pi * i / N_ANGLES``.
    """
    angle = torch.arange(N_ANGLES) * (2 * pi / N_ANGLES)
    wave = torch.arange(2, N_MODES + 2)[:, None] * angle  # (N_MODES, N_ANGLES)
    ripple = outlines.modes[..., 0] @ wave.cos() + outlines.modes[..., 1] @ wave.sin()
    axis = outlines.elongation.sqrt()[:, None]
    ellipse = ((angle.cos() / axis) ** 2 + (angle.sin() * axis) ** 2).rsqrt()
    direction, height, width = outlines.spikes[..., None].unbind(2)  # (N, N_SPIKES, 1) each
    offset = (angle - direction + pi).remainder(2 * pi) - pi
    bumps = (height * torch.exp(-0.5 * (offset / width) ** 2)).sum(1)
    radius = (ellipse * (1 + ripple) + bumps).clamp(min=0.25)
    return radius / radius.square().mean(1, keepdim=True).sqrt()
