"""Organelles that lie within the profiles of a section and move with them."""

from dataclasses import replace

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import Arrangement, Crowd
from napari_sam2.training.synthetic.motion import populate
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.painting import per_object
from napari_sam2.training.synthetic.raster import Bodies, ObjectMap, rasterise
from napari_sam2.training.synthetic.shapes import Family

WALL = 1.5  #: distance kept from the border of the profile, pixels
KEPT = 0.45  #: an organelle of which less remains within its profile is left out


def draw_organelles(
    dice: Dice, options: SceneOptions, profiles: ObjectMap, amount: tuple[float, float]
) -> ObjectMap:
    """Draw organelles, each clipped to the profile in which its middle lies.

    Parameters
    ----------
    dice : Dice
    options : SceneOptions
    profiles : ObjectMap
    amount : tuple of float
        Typical diameter in pixels, and share of the area.
    """
    crowd = Crowd(
        family=dice.pick((Family.ELLIPSE, Family.BLOB, Family.ROD), (3, 3, 1)),
        arrangement=dice.pick((Arrangement.SCATTERED, Arrangement.PACKED)),
        diameter=amount[0],
        spread=dice.uniform(0.1, 0.4),
        coverage=amount[1],
        contact=1.1,
    )
    bodies = populate(dice, crowd, replace(options, diameters=(4.0, max(200.0, amount[0]))))
    if options.n_frames > 1:
        bodies = _cut(dice, _carry(bodies, profiles))
    return _clip(rasterise(bodies, options.size, dice.device), profiles)


def _carry(bodies: Bodies, profiles: ObjectMap) -> Bodies:
    """Move each organelle along with the tissue around it."""
    tissue = torch.stack((profiles.across, profiles.along), dim=1).cpu()  # (T, 2, H, W)
    height, width = tissue.shape[-2:]
    step = 6  # pixels; wide enough not to see the finest wrinkles
    limit = torch.tensor([height - 1 - step, width - 1 - step])
    start = bodies.centre[0]

    def read(frame: Tensor, place: Tensor) -> Tensor:
        row, column = place.round().long().clamp(min=step).minimum(limit).unbind(-1)
        return frame[:, row, column].T  # (N, 2)

    down, right = torch.tensor([step, 0]), torch.tensor([0, step])
    slope_y = (read(tissue[0], start + down) - read(tissue[0], start - down)) / (2 * step)
    slope_x = (read(tissue[0], start + right) - read(tissue[0], start - right)) / (2 * step)
    inverse = torch.linalg.pinv(torch.stack((slope_y, slope_x), dim=-1), rtol=0.2)
    target = read(tissue[0], start)
    shift, shifts = torch.zeros_like(start), []
    for frame in tissue:
        for _ in range(2):
            error = target - read(frame, start + shift)
            shift = shift + (inverse @ error[..., None])[..., 0].clamp(-20, 20)
        shifts.append(shift)
    return replace(bodies, centre=bodies.centre + torch.stack(shifts))


def _cut(dice: Dice, bodies: Bodies) -> Bodies:
    """Let organelles begin, swell and end from section to section."""
    n_frames, count = bodies.alive.shape
    middle = dice.uniforms(-0.3, 1.3, count) * n_frames
    extent = dice.uniforms(4, 20, count)
    time = torch.arange(n_frames)[:, None]
    scale = (1 - ((time - middle) / extent).square()).clamp(min=0).sqrt()
    return replace(
        bodies,
        radius=bodies.radius * scale.clamp(min=0.2),
        segment=bodies.segment * scale,
        alive=bodies.alive & (scale > 0.35),
    )


def _clip(organelles: ObjectMap, profiles: ObjectMap) -> ObjectMap:
    home = _home(organelles, profiles)
    whole = organelles.labels > 0
    keep = whole & (profiles.inside > WALL)
    keep &= profiles.labels == per_object(organelles, home).int()
    enough = _count(organelles, keep) >= KEPT * _count(organelles, whole)
    keep &= per_object(organelles, (enough & (home > 0)).float()) > 0
    depth = torch.minimum(organelles.inside, profiles.inside - WALL)
    return replace(
        organelles,
        labels=torch.where(keep, organelles.labels, 0),
        inside=torch.where(keep, depth, 0),
        relative=torch.where(keep, organelles.relative, 0),
    )


def _count(organelles: ObjectMap, mask: Tensor) -> Tensor:
    """Count the marked pixels of every organelle, shape (T, N + 1)."""
    return torch.stack(
        [
            torch.bincount(ids[marked].long(), minlength=organelles.count + 1)
            for ids, marked in zip(organelles.labels, mask, strict=True)
        ]
    )


def _home(organelles: ObjectMap, profiles: ObjectMap) -> Tensor:
    """Give the profile around the middle of every organelle, shape (T, N + 1), 0 for none."""
    homes = []
    for ids, near, around in zip(
        organelles.labels, organelles.relative, profiles.labels, strict=True
    ):
        # one whole number to maximise: closeness to the middle, then the profile's id
        key = (near * 1000).long() * 2**32 + around.long()
        best = torch.zeros(organelles.count + 1, dtype=torch.int64, device=ids.device)
        best = best.scatter_reduce(0, ids.flatten().long(), key.flatten(), "amax")
        best[0] = 0
        homes.append(best % 2**32)
    return torch.stack(homes).float()
