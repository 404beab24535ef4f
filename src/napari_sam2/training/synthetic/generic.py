"""Objects that differ from their surroundings in any way at all."""

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import draw_diameter
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.painting import (
    backdrop,
    crowd_map,
    dome,
    draw_crowd,
    object_texture,
    per_object,
    seams,
)
from napari_sam2.training.synthetic.raster import ObjectMap
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import look_up, random_texture


def generic(dice: Dice, options: SceneOptions) -> Specimen:
    """Render objects told apart by brightness, by texture, by an outline, or by all of them."""
    packed = dice.chance(0.25)
    if packed:
        diameter = draw_diameter(dice, options, 12, 200)
        tiling = Tiling(
            diameter=diameter,
            jitter=dice.uniform(0.1, 0.45),
            merge=dice.uniform(0, 0.5),
            gap=dice.pick((0.0, dice.uniform(0.5, 0.1 * diameter))),
            missing=dice.uniform(0, 0.6),
            uneven=dice.uniform(0, 0.6),
            stretch=dice.log_uniform(1, 3),
            waviness=dice.uniform(0, 1.2),
            deformation=dice.log_uniform(0.01, 0.12),
            restlessness=dice.log_uniform(0.01, 0.1),
            jump=dice.pick((0.0, 5.0)),
        )
        scene = tessellate(dice, tiling, options)
    else:
        crowd = draw_crowd(dice, options, dict.fromkeys(Family, 1.0), (5, 200))
        scene, diameter = crowd_map(dice, crowd, options), crowd.diameter
    cue = dice.pick(("brightness", "texture", "outline", "all"), (4, 1.5, 1, 4))
    if packed:
        cue = dice.pick(("outline", "all"))
    elif cue == "texture" and (diameter < 30 or crowd.family is Family.FILAMENT):
        cue = "all"
    light = _blend(dice, scene, diameter, (cue, packed))
    if dice.chance(0.3):
        light = _tint(dice, scene, light)
    return Specimen(
        light=light.clamp(min=0),
        labels=scene.labels,
        parents=scene.parents,
        diameter=diameter,
        max_noise=0.12,
        max_shading=0.5,
    )


def _blend(dice: Dice, scene: ObjectMap, diameter: float, style: tuple[str, bool]) -> Tensor:
    """Mix what is inside, what is outside and the outline, shape (T, 1, H, W).

    `style` says what tells objects apart, and whether they need an outline for it.
    """
    cue, packed = style
    inside = (scene.labels > 0).float()
    body = object_texture(dice, scene, diameter * dice.log_uniform(0.05, 0.8), calm=False)
    ground = _ground(dice, scene, diameter * dice.log_uniform(0.1, 2))
    body_depth, ground_depth = dice.log_uniform(0.02, 0.2), dice.log_uniform(0.01, 0.15)
    step = dice.uniform(0.15, 0.5) * dice.pick((-1.0, 1.0))
    ground_depth = min(ground_depth, 0.4 * abs(step))
    if cue == "texture":
        step, body_depth = step * 0.2, dice.uniform(0.12, 0.25)
        ground_depth = body_depth * dice.uniform(0.1, 0.3)
    elif cue == "outline":
        step, ground_depth = step * 0.15, min(ground_depth, 0.03)
        body_depth = min(body_depth, 0.06)
    spread = dice.uniform(0.0, 0.35 if cue in ("brightness", "all") else 0.2)
    own = 1 + spread * dice.uniforms(-1, 1, scene.count + 1)
    shade = inside
    if dice.chance(0.4):
        shade = dome(scene, dice.log_uniform(0.7, 4))
    light = 0.5 + (step * per_object(scene, own) + body_depth * body) * shade
    light = light + ground_depth * ground * (1 - inside * dice.uniform(0.3, 1))
    light = light + 0.1 * dice.uniform(0, 1) * backdrop(dice, scene, max(scene.labels.shape[1:]))
    if cue in ("outline", "all") and (cue == "outline" or packed or dice.chance(0.4)):
        width = max(0.6, dice.uniform(0.02, 0.06) * diameter)
        line = seams(scene.labels, width) * dice.uniform(0.2, 0.5)
        light = light + line * dice.pick((-1.0, 1.0))
    return light[:, None]


def _tint(dice: Dice, scene: ObjectMap, light: Tensor) -> Tensor:
    """Give objects and ground a colour each, shape (T, 3, H, W)."""
    inside = (scene.labels > 0).float()[:, None]
    tints = dice.uniforms(0.5, 1.5, 2, 3, 1, 1).to(dice.device)
    return light * torch.lerp(tints[1], tints[0], inside)


def _ground(dice: Dice, scene: ObjectMap, scale: float) -> Tensor:
    """Draw a texture behind everything, shape (1, H, W)."""
    height, width = scene.labels.shape[1:]
    zoom = dice.pick((1.0, dice.uniform(0.4, 1)))
    rows = torch.arange(height, device=dice.device).float()[:, None].expand(height, width) * zoom
    columns = torch.arange(width, device=dice.device).float().expand(height, width) * zoom
    return look_up(random_texture(dice, min(scale, 80.0), calm=False)[None], rows, columns)
