"""Electron microscopy of sections: profiles between dark membranes, with organelles."""

from math import pi

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import draw_diameter
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.organelles import draw_organelles
from napari_sam2.training.synthetic.painting import (
    backdrop,
    object_texture,
    per_object,
    sample_objects,
)
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import (
    ATLAS_SIZE,
    band_noise,
    blur,
    look_up,
    power_noise,
)

ATLAS = (ATLAS_SIZE, ATLAS_SIZE)


def electron(dice: Dice, options: SceneOptions) -> Specimen:
    """Render neurites and mitochondria; one or the other is the object of interest."""
    wants_profiles = dice.chance(0.5)
    if wants_profiles:
        diameter = draw_diameter(dice, options, 20, 110)
        size, organelle = diameter, max(5.0, diameter * dice.uniform(0.25, 0.5))
    else:
        diameter = draw_diameter(dice, options, 12, 90)
        size, organelle = diameter * dice.uniform(1.2, 3.5), diameter
    size = min(size, 0.7 * min(options.size))
    tiling = _tiling(dice, size)
    profiles = tessellate(dice, tiling, options)
    coverage = dice.uniform(0.02, 0.15) if wants_profiles else dice.uniform(0.06, 0.3)
    organelles = draw_organelles(dice, options, profiles, (organelle, coverage))
    light = _cytoplasm(dice, profiles, size)
    light = _paint_membranes(dice, profiles, light, tiling.gap)
    light = _paint_organelles(dice, organelles, light)
    light = _section(dice, light)
    return Specimen(
        light=light.clamp(min=0)[:, None],
        labels=profiles.labels if wants_profiles else organelles.labels,
        parents={},
        diameter=diameter,
        max_noise=0.2,
        max_blur=0.03,
        max_shading=0.2,
    )


def _tiling(dice: Dice, diameter: float) -> Tiling:
    return Tiling(
        diameter=diameter,
        jitter=dice.uniform(0.3, 0.45),
        merge=dice.uniform(0.1, 0.55),
        gap=dice.uniform(0.5, 1.0 + 0.03 * diameter),
        uneven=dice.uniform(0.1, 0.7),
        stretch=dice.log_uniform(1, 2.5),
        waviness=dice.uniform(0.3, min(1.1, 0.02 * diameter + 0.35)),
        deformation=dice.log_uniform(0.01, 0.1),
        restlessness=dice.log_uniform(0.01, 0.1),
        jump=dice.pick((0.0, dice.uniform(1, 8))),
    )


def _cytoplasm(dice: Dice, profiles: ObjectMap, size: float) -> Tensor:
    own = 0.68 + dice.uniforms(-1, 1, profiles.count + 1) * dice.uniform(0.02, 0.14)
    light = per_object(profiles, own)
    light = light + 0.04 * dice.uniform(0.3, 1.5) * object_texture(dice, profiles, 0.2 * size)
    # cut filaments: dark dots or dashes, a different lot in every profile
    dots = band_noise(
        dice, ATLAS, dice.uniform(3, 7), width=0.4, stretch=dice.uniform(1, 3), angle=pi / 4
    )
    dots = sample_objects(dice, profiles, torch.relu(dots - dice.uniform(0.3, 1))[None])[0]
    light = light - dice.uniform(0.02, 0.12) * dots
    if dice.chance(0.6):  # vesicles: small dark rings, crowded in some places
        rings = band_noise(dice, ATLAS, dice.uniform(4.5, 9), width=0.15)
        rings = torch.exp(-(((rings - dice.uniform(0.6, 1.4)) / 0.35) ** 2))[None]
        field = sample_objects(dice, profiles, rings)[0]
        where = torch.sigmoid(4 * (backdrop(dice, profiles, 1.5 * size) - 0.5))
        light = light - dice.uniform(0.1, 0.35) * field * where
    return light


def _paint_organelles(dice: Dice, organelles: ObjectMap, light: Tensor) -> Tensor:
    """Dark matrix, a double membrane, and cristae across."""
    inside = organelles.labels > 0
    own = dice.uniform(0.3, 0.62) + 0.06 * dice.normals(organelles.count + 1)
    matrix = per_object(organelles, own)
    wavelength = dice.uniform(4, 10)
    cristae = band_noise(
        dice, ATLAS, wavelength, width=0.25, stretch=dice.uniform(1, 4), angle=pi / 2
    )
    cristae = torch.exp(-cristae.abs() * dice.uniform(1.5, 4))[None]
    cristae = look_up(cristae, organelles.across + 37, organelles.along + 11)[0]
    matrix = matrix + (cristae - 0.4) * dice.uniform(-0.3, 0.3)
    matrix = matrix + 0.03 * object_texture(dice, organelles, 4)
    width = dice.uniform(0.8, 1.8)
    wall = torch.exp(-(((organelles.inside - 0.8) / width) ** 2))
    matrix = matrix - (matrix - 0.18) * wall * dice.uniform(0.5, 1)
    if dice.chance(0.4):
        wall = torch.exp(-(((organelles.inside - 0.8 - 2.6 * width) / width) ** 2))
        matrix = matrix - 0.15 * wall
    return torch.where(inside, matrix, light)


def _paint_membranes(dice: Dice, profiles: ObjectMap, light: Tensor, gap: float) -> Tensor:
    """Darken the borders, more or less blurred where the membrane is cut at a slant."""
    width = max(0.7, gap * dice.uniform(0.8, 1.2))
    slant = 1 + 0.8 * torch.relu(backdrop(dice, profiles, 40) - 0.5)
    wall = torch.exp(-((profiles.inside / (width * slant)).clamp(max=6) ** 2) * 0.7)
    wall = wall * (1 + 0.2 * backdrop(dice, profiles, 15)).clamp(0.3, 1.2) / slant.sqrt()
    dark = dice.uniform(0.1, 0.3)
    light = light - (light - dark) * wall.clamp(max=1)
    if dice.chance(0.3):  # a pale cleft between two membranes
        light = light + 0.3 * torch.exp(-((profiles.inside / 0.7) ** 2))
    return light


def _section(dice: Dice, light: Tensor) -> Tensor:
    """Add what every section has of its own: thickness, stain, grain."""
    n_frames, height, width = light.shape
    light = blur(light, dice.uniform(0.3, 0.9))
    grain = power_noise(dice, (height, width), 0.8, 20)
    for frame in range(n_frames):
        light[frame] += 0.02 * grain.roll(frame * 71 % width, -1).roll(frame * 37 % height, -2)
    stain = dice.normals(2, n_frames, 1, 1).to(light.device) * dice.uniform(0, 0.06)
    return (light - 0.5) * (1 + stain[0]) + 0.5 + stain[1]
