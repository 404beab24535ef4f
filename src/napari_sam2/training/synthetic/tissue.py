"""Stained sections and smears: colour by absorption."""

from math import pi

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.painting import (
    backdrop,
    core,
    crowd_map,
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
from napari_sam2.training.synthetic.textures import band_noise, blur

NUCLEI = {Family.ELLIPSE: 5.0, Family.BLOB: 5.0, Family.LOBED: 1.5, Family.ROUND: 1.5}
SQUAMES = {Family.RAGGED: 2.0, Family.LOBED: 2.0, Family.BLOB: 3.0}

#: optical density in red, green, blue of one unit: first what stains nuclei, then the rest
PALETTES = {
    "haematoxylin and eosin": ((0.65, 0.70, 0.29), (0.12, 0.85, 0.25)),
    "cresyl violet": ((0.75, 0.85, 0.25), (0.28, 0.36, 0.10)),
    "haematoxylin alone": ((0.70, 0.60, 0.30), (0.25, 0.22, 0.14)),
    "diaminobenzidine": ((0.35, 0.60, 0.90), (0.30, 0.18, 0.08)),
    "giemsa": ((0.60, 0.90, 0.35), (0.10, 0.18, 0.12)),
}


def tissue(dice: Dice, options: SceneOptions) -> Specimen:
    """Render nuclei stained dark on paler tissue, or whole cells of a smear."""
    is_smear = dice.chance(0.15)
    crowd = draw_crowd(dice, options, SQUAMES if is_smear else NUCLEI, (8, 150 if is_smear else 65))
    scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    if is_smear:
        dark, pale = _squames(dice, scene, diameter)
    else:
        dark = _nuclear_stain(dice, scene, diameter)
        pale = _counterstain(dice, scene, diameter)
    light = _absorb(dice, dark, pale)
    if dice.chance(0.25):
        light = light.mean(1, keepdim=True)
        if dice.chance(0.2):
            light = 1 - light
    return Specimen(
        light=light,
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=0.06,
        max_shading=0.2,
        max_blur=0.06,
    )


def _nuclear_stain(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    inside = (scene.labels > 0).float()
    spread = dice.pick((dice.uniform(0.05, 0.2), dice.uniform(0.2, 0.5)), (1, 1))
    own = (dice.normals(scene.count + 1) * spread).clamp(-0.9, 0.7).exp()
    stain = per_object(scene, own) * inside
    chromatin = object_texture(dice, scene, diameter * dice.uniform(0.1, 0.4))
    stain = stain * (1 + chromatin * dice.uniform(0.05, 0.35)).clamp(min=0.15)
    if dice.chance(0.5):  # vesicular: pale within, a dark rim, perhaps a nucleolus
        width = max(0.8, dice.uniform(0.03, 0.08) * diameter)
        rim = torch.exp(-scene.inside / width) * inside
        stain = stain * dice.uniform(0.4, 1) + rim * dice.uniform(0.2, 0.8)
        dots = object_texture(dice, scene, 0.4 * diameter)
        stain = stain + torch.sigmoid((dots - 1.6) * 6) * inside * dice.uniform(0.0, 0.6)
    stain = stain * (1 + dice.uniform(0, 0.8) * (scene.cover - 1).clamp(0, 2))
    stain = blur(stain, max(0.3, dice.uniform(0, 0.03) * diameter))
    if dice.chance(0.6):
        stain = refocus(dice, scene, stain, diameter)
    if dice.chance(0.5):  # pale nuclei deeper in the section, not objects of interest
        ghosts = torch.relu(backdrop(dice, scene, 2 * diameter) - dice.uniform(1, 1.8))
        stain = stain + dice.uniform(0.05, 0.25) * blur(ghosts, 0.15 * diameter)
    return stain * dice.uniform(0.7, 1.3)


def _counterstain(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    size = (scene.labels.shape[1], scene.labels.shape[2])
    fibres = band_noise(
        dice,
        size,
        max(4.0, dice.log_uniform(0.15, 1.0) * diameter),
        width=0.5,
        stretch=dice.uniform(1.5, 6),
        angle=dice.uniform(0, pi),
    )
    creases = torch.exp(-3 * fibres.abs()) - 0.3
    rough = dice.pick((dice.uniform(0.03, 0.12), dice.uniform(0.12, 0.4)), (3, 2))
    wide = backdrop(dice, scene, dice.uniform(2, 8) * diameter)
    grain = dice.uniform(0, 1) * substrate(dice, scene, diameter)
    relief = rough * (dice.uniform(0, 1) * fibres + dice.uniform(-1, 1) * creases + grain)
    base = dice.pick((dice.uniform(0.02, 0.12), dice.uniform(0.2, 0.9)), (1, 2))
    stain = base * (1 + relief + dice.uniform(0, 0.3) * wide).clamp(min=0.05)
    if dice.chance(0.4):  # holes: lumens and fat
        edge = 2 / dice.uniform(0.05, 0.5)
        hole = torch.sigmoid(edge * (backdrop(dice, scene, 4 * diameter) - dice.uniform(0.4, 1.5)))
        covered = blur((scene.labels > 0).float(), 0.15 * diameter)
        stain = stain * (1 - 0.9 * hole * (1 - covered))
    return stain.expand_as(scene.along)


def _squames(dice: Dice, scene: ObjectMap, diameter: float) -> tuple[Tensor, Tensor]:
    """Flat pale cells with a dark nucleus each, folded, lying over one another."""
    inside = (scene.labels > 0).float()
    own = (dice.normals(scene.count + 1) * 0.3).exp()
    texture = object_texture(dice, scene, 0.3 * diameter)
    folds = torch.exp(-4 * object_texture(dice, scene, 0.8 * diameter).abs())
    body = per_object(scene, own) * (0.6 + 0.1 * texture + dice.uniform(0, 0.4) * folds)
    body = body * (scene.cover.float() * dice.uniform(0.5, 1)).clamp(min=1) * inside
    edge = seams(scene.labels, max(0.6, 0.01 * diameter)) * dice.uniform(0, 0.4)
    nucleus = core(dice, scene, diameter, (0.05, 0.14))
    nucleus = nucleus * (1 + 0.2 * object_texture(dice, scene, 0.08 * diameter))
    speck = torch.relu(object_texture(dice, scene, 4.0) - 1.5)
    return nucleus + 0.1 * speck * inside, (body + edge * inside).clamp(min=0)


def _absorb(dice: Dice, dark: Tensor, pale: Tensor) -> Tensor:
    """Turn two stains into transmitted light, shape (T, 3, H, W)."""
    palette = dice.pick(list(PALETTES.values()), (3, 3, 1, 1, 2))
    jitter = dice.normals(2, 3) * dice.pick((0.05, 0.15), (3, 1))
    stains = (torch.tensor(palette) + jitter).clamp(min=0.02)
    stains = stains.to(dark.device)[:, :, None, None]
    density = dark[:, None] * stains[0] * dice.uniform(0.7, 1.7)
    density = density + pale[:, None] * stains[1] * dice.uniform(0.6, 1.3)
    lamp = 1 + dice.normals(3) * dice.uniform(0, 0.06)
    return torch.exp(-density) * lamp.to(dark.device)[:, None, None]
