"""Small steps that several modalities share when they turn a map into light."""

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import Arrangement, Crowd, draw_diameter, draw_spread
from napari_sam2.training.synthetic.motion import populate
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.raster import ObjectMap, rasterise
from napari_sam2.training.synthetic.shapes import Family
from napari_sam2.training.synthetic.textures import (
    ATLAS_SIZE,
    blur,
    look_up,
    power_noise,
    random_texture,
    smooth_noise,
)


def crowd_map(dice: Dice, crowd: Crowd, options: SceneOptions) -> ObjectMap:
    """Draw a population, let it live, and rasterise it."""
    return rasterise(populate(dice, crowd, options), options.size, dice.device)


def draw_crowd(
    dice: Dice,
    options: SceneOptions,
    families: dict[Family, float],
    diameters: tuple[float, float],
) -> Crowd:
    """Draw what population to make.

    Parameters
    ----------
    dice : Dice
    options : SceneOptions
    families : dict
        Kind of outline -> weight.
    diameters : tuple of float
        Usual range, pixels.
    """
    arrangements = {
        Arrangement.SCATTERED: 2.0,
        Arrangement.CLUSTERED: 3.0,
        Arrangement.COLONY: 1.0,
        Arrangement.PACKED: 2.0,
        Arrangement.CHAINED: 0.6,
    }
    arrangement = dice.pick(list(arrangements), list(arrangements.values()))
    dense = arrangement in (Arrangement.PACKED, Arrangement.COLONY)
    coverage = options.coverage or dice.uniform(0.15, 0.65 if dense else 0.45)
    if options.coverage is None and dice.chance(0.15):
        coverage = dice.uniform(0.01, 0.1)
    contact = dice.pick((dice.uniform(0.75, 0.95), 1.0, dice.uniform(1.05, 1.5)), (3, 3, 2))
    if arrangement is Arrangement.SCATTERED and coverage < 0.35 and dice.chance(0.3):
        contact = 0.0
    return Crowd(
        family=dice.pick(list(families), list(families.values())),
        arrangement=arrangement,
        diameter=draw_diameter(dice, options, *diameters),
        spread=draw_spread(dice),
        coverage=coverage,
        contact=contact,
    )


def per_object(scene: ObjectMap, values: Tensor) -> Tensor:
    """Give every pixel the number of its object.

    Parameters
    ----------
    scene : ObjectMap
    values : Tensor, shape (N + 1,) or (T, N + 1)
        By id; the first is for the background.

    Returns
    -------
    Tensor, shape (T, H, W)
    """
    values = values.to(scene.labels.device)
    if values.ndim == 1:
        return values[scene.labels.long()]
    return torch.stack([row[ids.long()] for row, ids in zip(values, scene.labels, strict=True)])


def object_texture(dice: Dice, scene: ObjectMap, scale: float, *, calm: bool = True) -> Tensor:
    """Texture that moves with each object, shape (T, H, W), standard deviation about 1.

    Parameters
    ----------
    dice : Dice
    scene : ObjectMap
    scale : float
        Size of the largest structures, pixels.
    calm : bool
        Only what cells usually show.
    """
    atlas = random_texture(dice, scale, calm=calm)[None]
    return sample_objects(dice, scene, atlas)[0]


def sample_objects(dice: Dice, scene: ObjectMap, atlas: Tensor) -> Tensor:
    """Read textures in each object's own coordinates, from a place of its own in the atlas."""
    shift = dice.uniforms(0, ATLAS_SIZE, 2, scene.count + 1)
    rows = scene.across + per_object(scene, shift[0])
    columns = scene.along + per_object(scene, shift[1])
    return look_up(atlas, rows, columns)


def backdrop(dice: Dice, scene: ObjectMap, wavelength: float) -> Tensor:
    """Slowly varying field that stays put, shape (1, H, W), standard deviation about 1."""
    return smooth_noise(dice, 1, (scene.labels.shape[1], scene.labels.shape[2]), wavelength)


def substrate(dice: Dice, scene: ObjectMap, scale: float) -> Tensor:
    """Texture of whatever the objects lie on; it stays put. Shape (1, H, W)."""
    size = (scene.labels.shape[1], scene.labels.shape[2])
    return power_noise(dice, size, dice.uniform(0.7, 1.8), scale)[None]


def borders(labels: Tensor) -> Tensor:
    """Mark pixels whose right or lower neighbour has another label, shape (T, H, W), 0 or 1."""
    down = F.pad(labels[:, 1:] != labels[:, :-1], (0, 0, 0, 1))
    right = F.pad(labels[:, :, 1:] != labels[:, :, :-1], (0, 1))
    return (down | right).float()


def seams(labels: Tensor, width: float) -> Tensor:
    """Soft lines along every outline, 1 on it and falling to 0 over `width` pixels."""
    line = blur(borders(labels), width)
    return (line * (2.5 * max(width, 0.4))).clamp(0, 1)


def dome(scene: ObjectMap, flatness: float) -> Tensor:
    """Height of round objects: 0 at the outline, 1 at the centre; flat-topped if `flatness` > 1."""
    curve = 1 - (1 - scene.relative.clamp(0, 1)).pow(2 * flatness)
    return curve.clamp(min=0).sqrt()


def core(dice: Dice, scene: ObjectMap, diameter: float, share: tuple[float, float]) -> Tensor:
    """Mark a round body around each object's centre, such as a nucleus in its cell.

    Parameters
    ----------
    dice : Dice
    scene : ObjectMap
    diameter : float
        Typical object, pixels.
    share : tuple of float
        Range of the radius of the body, in diameters of the object.

    Returns
    -------
    Tensor, shape (T, H, W)
        1 within, 0 outside, soft in between; never beyond the object.
    """
    radius = per_object(scene, dice.uniforms(*share, scene.count + 1) * diameter)
    wrinkles = power_noise(dice, (ATLAS_SIZE, ATLAS_SIZE), 2.5, 0.5 * diameter)[None]
    ragged = 1 + 0.1 * sample_objects(dice, scene, wrinkles)[0]
    steep = 3 / max(0.8, 0.03 * diameter)
    body = torch.sigmoid((radius * ragged - scene.from_centre) * steep)
    return body * (scene.inside * 0.7).clamp(max=1) * (scene.labels > 0)


def refocus(dice: Dice, scene: ObjectMap, image: Tensor, diameter: float) -> Tensor:
    """Blur some objects more than others, as if they lay at different depths.

    Parameters
    ----------
    dice : Dice
    scene : ObjectMap
    image : Tensor, shape (T, H, W)
    diameter : float
        Typical object, pixels.
    """
    width = dice.uniform(0.04, 0.12) * diameter
    amount = dice.uniforms(-1, 1, scene.count + 1).clamp(min=0)
    amount[0] = 0.3
    share = blur(per_object(scene, amount), width)
    return torch.lerp(image, blur(image, width), share.clamp(0, 1))


def specks(dice: Dice, scene: ObjectMap, diameter: float) -> Tensor:
    """Dirt that stays put: specks with rings, dust rings, faint broad shadows, scratches.

    Returns
    -------
    Tensor, shape (1, H, W)
        To be added to light of about 1.
    """
    size = (scene.labels.shape[1], scene.labels.shape[2])
    light = torch.zeros(1, *size, device=dice.device)
    if dice.chance(0.3):
        dots = (dice.noise(1, *size) > dice.uniform(3.5, 4.2)).float()
        width = dice.uniform(0.6, 2.2)
        spot = blur(dots, width) - 0.7 * blur(dots, 2 * width)
        light = light + spot * (6.3 * width**2 * dice.uniform(-0.8, 0.8))
    if dice.chance(0.15):
        rows = torch.arange(size[0], device=dice.device)[:, None] - dice.uniform(0, size[0])
        columns = torch.arange(size[1], device=dice.device) - dice.uniform(0, size[1])
        distance = torch.hypot(rows, columns) - dice.uniform(5, 40)
        ring = torch.exp(-((distance / dice.uniform(1.5, 5)) ** 2))
        light = light + dice.uniform(-0.1, 0.1) * ring
    if dice.chance(0.1):
        angle, offset = dice.uniform(0, 6.28), dice.uniform(-0.5, 0.5) * max(size)
        turn = torch.tensor(angle)
        rows = torch.arange(size[0], device=dice.device)[:, None] - size[0] / 2
        columns = torch.arange(size[1], device=dice.device) - size[1] / 2
        distance = rows * float(turn.cos()) + columns * float(turn.sin()) - offset
        distance = distance + 4 * backdrop(dice, scene, 60)
        light = light + dice.uniform(-0.2, 0.2) * torch.exp(
            -((distance / dice.uniform(0.7, 2)) ** 2)
        )
    if dice.chance(0.3):
        light = light + dice.uniform(0.01, 0.06) * backdrop(dice, scene, 3 * diameter)
    return light
