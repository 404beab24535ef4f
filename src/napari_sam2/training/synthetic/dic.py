"""Differential interference contrast: relief, as if lit from one side."""

from math import cos, pi, sin

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import draw_diameter
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.painting import (
    backdrop,
    core,
    crowd_map,
    dome,
    draw_crowd,
    object_texture,
    per_object,
    seams,
    substrate,
)
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import blur

CELLS = {
    Family.BLOB: 3.0,
    Family.LOBED: 3.0,
    Family.AMOEBOID: 2.0,
    Family.ELLIPSE: 2.0,
    Family.ROUND: 1.0,
    Family.SPINDLE: 1.0,
    Family.ROD: 0.5,
}


def relief(dice: Dice, options: SceneOptions) -> Specimen:
    """Render cells by the slope of their optical thickness along one direction."""
    if dice.chance(0.5):
        diameter = draw_diameter(dice, options, 30, 170)
        scene = tessellate(dice, _sheet(dice, diameter), options)
    else:
        crowd = draw_crowd(dice, options, CELLS, (15, 170))
        scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    path = _envelope(dice, scene, diameter) + _contents(dice, scene, diameter)
    slope = _slope(blur(path, dice.uniform(0.4, 1.0)), dice.uniform(0, 2 * pi))
    limit = 3 * slope.std() + 1e-6
    slope = limit * torch.tanh(slope / limit)  # interference is periodic: steep slopes saturate
    light = 1 + 0.12 * slope / (slope.std() + 1e-6)
    light = light + _shading(dice, scene, diameter)
    return Specimen(
        light=light.clamp(min=0)[:, None],
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=0.07,
        max_blur=0.04,
        max_shading=0.2,
    )


def _sheet(dice: Dice, diameter: float) -> Tiling:
    return Tiling(
        diameter=diameter,
        jitter=dice.uniform(0.25, 0.44),
        merge=dice.pick((0.0, 0.15)),
        gap=dice.pick((0.0, dice.uniform(0.5, 0.04 * diameter + 0.6))),
        missing=dice.pick((0.0, dice.uniform(0.1, 0.5))),
        uneven=dice.uniform(0, 0.5),
        stretch=dice.log_uniform(1, 2),
        waviness=dice.uniform(0.3, 1.0),
        deformation=dice.log_uniform(0.01, 0.1),
        restlessness=dice.log_uniform(0.01, 0.08),
    )


def _envelope(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    """Optical thickness of the cells' outer form: steep at the border, gently domed within."""
    own = (dice.normals(scene.count + 1) * 0.3).exp()
    rise = dice.log_uniform(0.03, 0.15) * diameter
    inside = (scene.labels > 0).float()
    wall = (1 - torch.exp(-scene.inside / rise)) * inside
    height = wall * dice.uniform(0.5, 2.5) + dome(scene, 1.0) * diameter * dice.uniform(0.01, 0.06)
    return blur(height, max(0.5, 0.015 * diameter)) * per_object(scene, own)


def _contents(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    """Thickness of what lies within: a smooth nucleus with nucleoli in granular cytoplasm."""
    deep = (scene.inside / (0.06 * diameter)).clamp(max=1) * (scene.labels > 0)
    fine = object_texture(dice, scene, max(3.0, diameter * dice.uniform(0.04, 0.12)))
    coarse = object_texture(dice, scene, diameter * dice.uniform(0.15, 0.4))
    cytoplasm = fine * dice.log_uniform(0.05, 0.4)
    cytoplasm = cytoplasm + coarse * dice.log_uniform(0.002, 0.02) * diameter
    if dice.chance(0.6):
        vesicles = torch.relu(object_texture(dice, scene, max(4.0, 0.1 * diameter)) - 1.2)
        cytoplasm = cytoplasm + vesicles * dice.uniform(0.2, 1.0)
    if dice.chance(0.5):  # crowded around the nucleus, clear towards the border
        cytoplasm = cytoplasm * (1.6 * scene.relative).clamp(max=1)
    if diameter < 20 or dice.chance(0.2):
        return deep * cytoplasm
    nucleus = core(dice, scene, diameter, (0.16, 0.28))
    spots = blur(object_texture(dice, scene, 0.25 * diameter), 0.02 * diameter)
    nucleoli = torch.sigmoid((spots - dice.uniform(0.9, 1.5)) * 6)
    bump = dice.uniform(-1.5, 2.5) + dice.uniform(0.3, 3.0) * nucleoli
    return deep * cytoplasm * (1 - dice.uniform(0.6, 1) * nucleus) + nucleus * bump


def _shading(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    """Give what is brighter or darker without being a slope."""
    inside = (scene.labels > 0).float()
    light = blur(inside, 0.05 * diameter) * dice.uniform(-0.08, 0.08)
    own = dice.normals(scene.count + 1) * dice.uniform(0, 0.04)
    light = light + blur(per_object(scene, own), 1.0)
    if dice.chance(0.5):  # borders seen as fine lines
        line = blur(seams(scene.labels, max(0.6, 0.01 * diameter)), 0.4)
        light = light + line * dice.uniform(-0.25, 0.2)
    light = light + dice.uniform(0, 0.03) * substrate(dice, scene, dice.uniform(5, 50))
    return light + dice.uniform(0, 0.06) * backdrop(dice, scene, max(scene.labels.shape[1:]) / 2)


def _slope(path: Tensor, direction: float) -> Tensor:
    down, right = torch.zeros_like(path), torch.zeros_like(path)
    down[:, 1:-1] = (path[:, 2:] - path[:, :-2]) / 2
    right[:, :, 1:-1] = (path[:, :, 2:] - path[:, :, :-2]) / 2
    return down * sin(direction) + right * cos(direction)
