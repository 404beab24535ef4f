"""Fluorescence: bright labelled structures on a dark ground."""

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
    refocus,
    seams,
    substrate,
)
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import blur

NUCLEI = {Family.ROUND: 2.0, Family.ELLIPSE: 5.0, Family.BLOB: 4.0, Family.LOBED: 1.5}
#: red, green, blue of the dye in the cell body and of the one in the nucleus
COLOURS = (
    ((0.1, 1.0, 0.1), (0.2, 0.3, 1.0)),
    ((1.0, 0.1, 0.1), (0.2, 0.3, 1.0)),
    ((0.1, 1.0, 0.1), (1.0, 0.1, 0.1)),
    ((0.1, 1.0, 0.1), (1.0, 0.1, 1.0)),
    ((1.0, 0.9, 0.1), (0.1, 0.5, 1.0)),
)
CELLS = {
    Family.BLOB: 3.0,
    Family.AMOEBOID: 3.0,
    Family.SPINDLE: 2.0,
    Family.LOBED: 2.0,
    Family.ELLIPSE: 1.0,
    Family.ROD: 1.0,
}


def fluorescence(dice: Dice, options: SceneOptions) -> Specimen:
    """Render nuclei, whole cells, labelled membranes, a confluent sheet, or two dyes at once."""
    style = dice.pick(("nuclei", "cells", "rims", "sheet", "two dyes"), (6, 2.2, 1, 1.2, 1.2))
    if style == "two dyes":
        return _two_dyes(dice, options)
    if style == "sheet":
        diameter = draw_diameter(dice, options, 14, 90)
        scene, signal = _sheet(dice, options, diameter)
    else:
        families = NUCLEI if style == "nuclei" else CELLS
        widest = 70 if style == "nuclei" else 130
        crowd = draw_crowd(dice, options, families, (6, widest))
        diameter = crowd.diameter
        scene = crowd_map(dice, crowd, options)
        paint = {"nuclei": _nuclei, "cells": _cells, "rims": _rims}[style]
        signal = paint(dice, scene, diameter)
    light = _surroundings(dice, scene, signal, diameter)
    return Specimen(
        light=light[:, None],
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=min(0.25, 0.04 + 0.004 * diameter),
        max_shading=0.6,
    )


def _two_dyes(dice: Dice, options: SceneOptions) -> Specimen:
    """Render cells and their nuclei in two colours; one or the other is of interest."""
    if dice.chance(0.4):
        diameter = draw_diameter(dice, options, 20, 110)
        scene, body = _sheet(dice, options, diameter)
    else:
        crowd = draw_crowd(dice, options, CELLS, (18, 130))
        diameter = crowd.diameter
        scene = crowd_map(dice, crowd, options)
        body = dice.pick((_cells, _rims), (3, 1))(dice, scene, diameter)
    nucleus = core(dice, scene, diameter, (0.14, 0.3))
    chromatin = 1 + dice.uniform(0.05, 0.3) * object_texture(dice, scene, 0.1 * diameter)
    signal = nucleus * chromatin.clamp(min=0.2) * _brightness(dice, scene)
    labels = scene.labels
    if dice.chance(0.5):
        labels = torch.where(nucleus > 0.5, labels, 0)
    light = torch.stack(
        [_surroundings(dice, scene, dye, diameter) for dye in (body, signal)], dim=1
    )
    if dice.chance(0.3):  # both dyes in one grey channel
        light = light[:, :1] * dice.uniform(0.3, 1) + light[:, 1:]
    else:
        tints = dice.pick(COLOURS)
        dimmed = torch.tensor(tints) * dice.uniforms(0.5, 1, 2, 1)
        light = torch.einsum("tdhw,dc->tchw", light, dimmed.to(dice.device))
    return Specimen(
        light=light,
        labels=labels,
        parents=scene.parents,
        diameter=0.4 * diameter,
        max_noise=0.1,
        max_shading=0.5,
    )


def _brightness(dice: Dice, scene: ObjectMap) -> Tensor:
    """Each object's own brightness, fading over the frames, condensed ones brighter."""
    spread = dice.pick((dice.uniform(0.03, 0.25), dice.uniform(0.25, 0.8)), (2, 1))
    own = (dice.normals(scene.count + 1) * spread).clamp(-1.2, 1.4).exp()
    n_frames = scene.labels.shape[0]
    fading = dice.pick((0.0, dice.uniform(0.0, 0.08)), (2, 1))
    fade = torch.exp(-fading * torch.arange(n_frames))[:, None]
    flicker = (dice.normals(n_frames, scene.count + 1) * dice.uniform(0, 0.05)).exp()
    glow = 1 + scene.condensed.cpu() * dice.uniform(0.3, 1.5)
    return per_object(scene, own * fade * flicker * glow)


def _nuclei(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    flatness = dice.log_uniform(1, 6)
    body = dome(scene, flatness)
    chromatin = object_texture(dice, scene, diameter * dice.uniform(0.15, 0.6))
    body = body * (1 + chromatin * dice.uniform(0.02, 0.3)).clamp(min=0.25)
    kind = dice.pick(("plain", "nucleoli", "chromocentres", "rim"), (4, 4, 1.5, 1))
    if kind in ("nucleoli", "chromocentres"):
        field = object_texture(dice, scene, diameter * dice.uniform(0.3, 0.6))
        field = blur(field, max(0.4, 0.03 * diameter))
        spots = torch.sigmoid((field - dice.uniform(0.9, 1.7)) * 6)
        spots = spots * (scene.relative * 4 - 0.6).clamp(0, 1)
        change = -dice.uniform(0.2, 0.7) if kind == "nucleoli" else dice.uniform(0.4, 1.6)
        body = body * (1 + change * spots)
    elif kind == "rim":
        width = max(1.0, dice.uniform(0.05, 0.12) * diameter)
        edge = torch.exp(-((scene.inside / width - 0.8) ** 2)) * (scene.labels > 0)
        body = body * dice.uniform(0.4, 1) + edge * dice.uniform(0.3, 1)
    if dice.chance(0.3):
        body = refocus(dice, scene, body, diameter)
    overlap = dice.uniform(0, 0.8) * (scene.cover - 1).clamp(min=0)
    return body * (1 + overlap) * _brightness(dice, scene)


def _cells(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    body = dome(scene, dice.log_uniform(0.5, 3))
    texture = object_texture(dice, scene, diameter * dice.uniform(0.05, 0.4))
    body = body * (1 + texture * dice.uniform(0.05, 0.4)).clamp(min=0.1)
    if dice.chance(0.6):  # a dark or bright nucleus inside
        inner = core(dice, scene, diameter, (0.15, 0.28))
        body = body * (1 + dice.pick((-0.75, -0.4, 0.5, 1.5), (3, 2, 1, 1)) * inner)
    if dice.chance(0.3):
        granules = torch.relu(object_texture(dice, scene, max(3.0, 0.1 * diameter)) - 0.8)
        body = body * dice.uniform(0.4, 1) + granules * (scene.labels > 0) * dice.uniform(0.1, 0.5)
    return body * _brightness(dice, scene)


def _rims(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    width = max(0.9, dice.uniform(0.02, 0.08) * diameter)
    edge = torch.exp(-scene.inside / width) * (scene.labels > 0)
    ragged = (1 + 0.4 * object_texture(dice, scene, 0.5 * diameter)).clamp(min=0.15)
    fill = dome(scene, 2) * dice.uniform(0.0, 0.35)
    fill = fill * (1 + 0.3 * object_texture(dice, scene, 0.2 * diameter)).clamp(min=0)
    seam = seams(scene.labels, width * 0.7) * (scene.labels > 0) * dice.uniform(0.3, 0.8)
    return (edge * ragged + fill + seam) * _brightness(dice, scene)


def _sheet(dice: Dice, options: SceneOptions, diameter: float) -> tuple[ObjectMap, Tensor]:
    """Render a confluent layer: membranes labelled, or nuclei packed in tissue."""
    outlined = dice.chance(0.6)
    tiling = Tiling(
        diameter=diameter,
        jitter=dice.uniform(0.15, 0.42),
        merge=dice.pick((0.0, 0.1)),
        gap=0.0 if outlined else dice.uniform(0.3, 0.12 * diameter),
        missing=dice.pick((0.0, dice.uniform(0.05, 0.5))),
        uneven=dice.uniform(0, 0.4),
        stretch=dice.log_uniform(1, 2.2),
        waviness=dice.uniform(0.1, 0.7),
        deformation=dice.log_uniform(0.01, 0.12),
        restlessness=dice.log_uniform(0.01, 0.06),
    )
    scene = tessellate(dice, tiling, options)
    level = _brightness(dice, scene)
    inside = (scene.labels > 0).float()
    texture = object_texture(dice, scene, diameter * dice.uniform(0.1, 0.4))
    if not outlined:
        edge = (1 - torch.exp(-(scene.inside - tiling.gap).clamp(min=0) * (4 / diameter))) * inside
        return scene, edge * (1 + 0.25 * texture).clamp(min=0.2) * level
    width = max(0.8, dice.uniform(0.02, 0.07) * diameter)
    wall = torch.exp(-0.5 * (scene.inside / width) ** 2)
    wall = wall * (1 + 0.35 * backdrop(dice, scene, 1.5 * diameter)).clamp(min=0.2)
    fill = dice.uniform(0.02, 0.4) * inside * level * (1 + 0.3 * texture).clamp(min=0)
    return scene, wall + fill


def _surroundings(dice: Dice, scene: ObjectMap, signal: Tensor, diameter: float) -> Tensor:
    """Add what else glows: haze, light from other planes, debris, medium."""
    level = dice.pick((dice.uniform(0.0, 0.08), dice.uniform(0.08, 0.4)), (2, 1))
    size = max(scene.labels.shape[1:])
    uneven = 1 + dice.uniform(0, 0.5) * backdrop(dice, scene, size * dice.uniform(0.2, 1))
    ground = level * uneven.clamp(min=0.1)
    if dice.chance(0.3):
        ground = ground * (1 + 0.4 * substrate(dice, scene, diameter)).clamp(min=0)
    light = signal + ground
    light = light + dice.uniform(0, 0.35) * blur(signal, dice.uniform(0.3, 1.2) * diameter)
    if dice.chance(0.25):
        ghosts = torch.relu(backdrop(dice, scene, 2.5 * diameter) - dice.uniform(0.8, 1.6))
        light = light + blur(ghosts, 0.2 * diameter) * dice.uniform(0.05, 0.25)
    if dice.chance(0.25):
        dust = (dice.noise(1, *scene.labels.shape[1:]) > dice.uniform(3.3, 4.2)).float()
        width = dice.uniform(0.6, 1.6)
        light = light + blur(dust, width) * (6.3 * width**2 * dice.uniform(0.1, 1.0))
    return light
