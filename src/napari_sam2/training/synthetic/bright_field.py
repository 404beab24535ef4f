"""Bright field: cells that bend and absorb light a little, slightly out of focus."""

import torch

from napari_sam2.training.synthetic.dice import Dice
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
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.textures import blur

CELLS = {
    Family.ROUND: 3.0,
    Family.ELLIPSE: 3.0,
    Family.BLOB: 2.0,
    Family.LOBED: 1.0,
    Family.AMOEBOID: 1.0,
    Family.ROD: 1.0,
}


def bright_field(dice: Dice, options: SceneOptions) -> Specimen:
    """Render unstained or weakly absorbing cells slightly out of focus."""
    crowd = draw_crowd(dice, options, CELLS, (8, 120))
    scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    inside = (scene.labels > 0).float()
    own = (dice.normals(scene.count + 1) * dice.uniform(0.05, 0.3)).exp()
    thickness = dome(scene, dice.log_uniform(0.6, 3)) * per_object(scene, own)
    # out of focus a lens of light: bright middle and dark ring, or the reverse
    narrow = max(0.7, dice.uniform(0.02, 0.1) * diameter)
    ring = blur(thickness, narrow) - blur(thickness, dice.uniform(1.6, 2.5) * narrow)
    light = 1 + ring * dice.pick((-1.0, 1.0)) * dice.log_uniform(0.6, 3)
    outline = seams(scene.labels, max(0.6, dice.uniform(0.02, 0.07) * diameter))
    light = light - dice.uniform(0.05, 0.5) * outline
    absorbed = thickness * dice.pick((0.0, dice.uniform(0.05, 0.5)))
    contents = object_texture(dice, scene, max(2.5, dice.uniform(0.08, 0.4) * diameter)) * inside
    light = light * torch.exp(-absorbed) + dice.log_uniform(0.01, 0.12) * contents
    if dice.chance(0.4):  # vacuoles and nuclei
        body = core(dice, scene, diameter, (0.1, 0.3))
        edge = 4 * body * (1 - body)
        light = light + dice.uniform(-0.15, 0.15) * body - dice.uniform(0.0, 0.25) * edge
    light = light + dice.uniform(0.0, 0.03) * substrate(dice, scene, dice.uniform(3, 40))
    light = light + specks(dice, scene, diameter)
    return Specimen(
        light=light.clamp(min=0)[:, None],
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=0.1,
        max_shading=0.4,
        max_blur=0.08,
    )
