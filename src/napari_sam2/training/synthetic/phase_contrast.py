"""Phase contrast: transparent objects, shown by how much they delay the light."""

from dataclasses import replace

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import Arrangement, draw_diameter
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.painting import (
    core,
    crowd_map,
    dome,
    draw_crowd,
    object_texture,
    per_object,
    seams,
    specks,
    substrate,
)
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import blur

ADHERENT = {Family.AMOEBOID: 3.0, Family.SPINDLE: 3.0, Family.LOBED: 2.0, Family.BLOB: 2.0}
BACTERIA = {Family.ROD: 4.0, Family.FILAMENT: 0.5}
SMALL = {Family.ROUND: 2.0, Family.ELLIPSE: 3.0, Family.BLOB: 2.0, Family.SPINDLE: 1.0}


def phase_contrast(dice: Dice, options: SceneOptions) -> Specimen:
    """Render adherent cells, a sheet of them, bacteria, or small dense bright cells."""
    style = dice.pick(("adherent", "sheet", "bacteria", "small"), (3, 1.5, 3, 3))
    render = {"adherent": _adherent, "sheet": _sheet, "bacteria": _bacteria, "small": _small}
    scene, light, diameter = render[style](dice, options)
    light = light + dice.uniform(0.0, 0.03) * substrate(dice, scene, dice.uniform(3, 40))
    light = light + specks(dice, scene, diameter)
    return Specimen(
        light=light.clamp(min=0)[:, None],
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=0.08,
        max_shading=0.25,
        max_blur=0.06,
    )


def halo(thickness: Tensor, reach: float, strength: float) -> Tensor:
    """Take from the delay what the phase ring lets through undelayed: its broad part."""
    return thickness - strength * blur(thickness, max(1.2, reach))


def _own(dice: Dice, scene: ObjectMap, spread: float) -> Tensor:
    return per_object(scene, (dice.normals(scene.count + 1) * spread).exp())


def _contents(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    """Thickness of granules, nucleus and nucleoli of a cell that is flat enough to show them."""
    inside = (scene.labels > 0).float()
    deep = (scene.inside / (0.08 * diameter)).clamp(max=1) * inside
    grain = object_texture(dice, scene, max(2.5, diameter * dice.uniform(0.05, 0.2)))
    granules = torch.relu(object_texture(dice, scene, max(3.0, 0.1 * diameter)) - 1)
    cytoplasm = dice.log_uniform(0.03, 0.25) * grain + dice.uniform(0, 0.5) * granules
    if diameter < 20 or dice.chance(0.2):
        return deep * cytoplasm
    nucleus = core(dice, scene, diameter, (0.14, 0.26))
    spots = blur(object_texture(dice, scene, 0.25 * diameter), 0.02 * diameter)
    nucleoli = torch.sigmoid((spots - dice.uniform(0.9, 1.5)) * 6)
    body = nucleus * (dice.uniform(-0.2, 0.25) + dice.uniform(0.1, 0.6) * nucleoli)
    rim = nucleus * (1 - nucleus) * 4 * dice.uniform(0, 0.2)
    return deep * cytoplasm * (1 - 0.7 * nucleus) + body + rim


def _adherent(dice: Dice, options: SceneOptions) -> tuple[ObjectMap, Tensor, float]:
    crowd = draw_crowd(dice, options, ADHERENT, (18, 140))
    scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    height = dome(scene, dice.log_uniform(0.5, 2)) * _own(dice, scene, dice.uniform(0.05, 0.4))
    thickness = height * dice.uniform(0.3, 1) + _contents(dice, scene, diameter)
    rounded = per_object(scene, scene.condensed)  # dividing cells round up and shine
    delay = halo(thickness, dice.log_uniform(0.1, 0.5) * diameter, dice.uniform(0.6, 1.05))
    light = 1 - dice.log_uniform(0.15, 0.7) * delay * (1 - 2.5 * rounded)
    rim = seams(scene.labels, max(0.6, dice.uniform(0.01, 0.05) * diameter))
    return scene, light + dice.uniform(-0.1, 0.3) * rim, diameter


def _sheet(dice: Dice, options: SceneOptions) -> tuple[ObjectMap, Tensor, float]:
    diameter = draw_diameter(dice, options, 18, 110)
    tiling = Tiling(
        diameter=diameter,
        jitter=dice.uniform(0.2, 0.44),
        merge=dice.pick((0.0, 0.15)),
        gap=dice.pick((0.0, dice.uniform(0.3, 0.06 * diameter))),
        missing=dice.pick((0.0, dice.uniform(0.05, 0.4))),
        uneven=dice.uniform(0, 0.4),
        stretch=dice.log_uniform(1, 3),
        waviness=dice.uniform(0.2, 0.9),
        deformation=dice.log_uniform(0.01, 0.12),
        restlessness=dice.log_uniform(0.01, 0.06),
    )
    scene = tessellate(dice, tiling, options)
    height = dome(scene, dice.log_uniform(0.6, 2)) * _own(dice, scene, dice.uniform(0.05, 0.3))
    thickness = height * dice.uniform(0.3, 1) + _contents(dice, scene, diameter)
    delay = halo(thickness, dice.log_uniform(0.1, 0.4) * diameter, dice.uniform(0.6, 1.0))
    width = max(0.7, dice.uniform(0.01, 0.05) * diameter)
    line = torch.exp(-0.5 * (scene.inside / width) ** 2)
    line = line * dice.pick((-0.2, 1.0), (1, 3)) * dice.uniform(0.15, 0.5)
    return scene, 1 - dice.log_uniform(0.15, 0.6) * delay + line, diameter


def _bacteria(dice: Dice, options: SceneOptions) -> tuple[ObjectMap, Tensor, float]:
    crowd = draw_crowd(dice, options, BACTERIA, (8, 45))
    crowd = replace(crowd, contact=dice.uniform(0.95, 1.15))
    whole_colony = dice.chance(0.08)
    if whole_colony:
        crowd = replace(
            crowd,
            arrangement=Arrangement.COLONY,
            groups=1,
            diameter=min(crowd.diameter, min(options.size) / 12),
            coverage=options.coverage or dice.uniform(0.05, 0.3),
            family=Family.ROD,
        )
    scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    thickness = dome(scene, dice.log_uniform(0.6, 2.5)) * _own(dice, scene, dice.uniform(0.0, 0.2))
    ripple = object_texture(dice, scene, 0.5 * diameter)
    thickness = thickness * (1 + dice.uniform(0, 0.15) * ripple)
    # closely packed cells share one halo; alone, each has its own
    reach = dice.log_uniform(0.1, 0.5) * diameter
    delay = halo(thickness, reach, dice.uniform(0.5, 1.1))
    sign = dice.pick((1.0, -1.0), (6, 1))
    light = 1 - sign * dice.log_uniform(0.2, 0.8) * delay
    if dice.chance(0.3):
        rim = seams(scene.labels, max(0.6, 0.08 * diameter))
        light = light + sign * dice.uniform(0.05, 0.3) * rim
    if whole_colony:
        scene = replace(scene, labels=_merged(scene.labels, 0.4 * diameter), parents={})
    return scene, light, diameter


def _merged(labels: Tensor, reach: float) -> Tensor:
    """Make one object of all, filling gaps of about twice `reach` pixels."""
    mask = labels > 0
    grown = blur(mask.float(), reach) > 0.15
    closed = blur(grown.float(), reach) > 0.85
    return (closed | mask).int()


def _small(dice: Dice, options: SceneOptions) -> tuple[ObjectMap, Tensor, float]:
    """Small cells that focus the light: bright in the middle, dark around."""
    crowd = draw_crowd(dice, options, SMALL, (6, 40))
    scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    height = dome(scene, dice.log_uniform(0.4, 2)) * _own(dice, scene, dice.uniform(0.05, 0.4))
    grain = object_texture(dice, scene, max(2.5, 0.3 * diameter))
    height = height * (1 + dice.uniform(0.0, 0.3) * grain).clamp(min=0)
    sign = dice.pick((-1.0, 1.0), (3, 1))
    delay = halo(height, dice.log_uniform(0.15, 0.6) * diameter, dice.uniform(0.6, 1.2))
    light = 1 - sign * dice.log_uniform(0.15, 0.8) * delay
    rim = blur(seams(scene.labels, max(0.6, 0.05 * diameter)), 0.4)
    return scene, light + sign * dice.uniform(-0.05, 0.4) * rim, diameter
