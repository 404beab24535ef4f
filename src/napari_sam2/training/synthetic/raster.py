"""From moving outlines to per-pixel maps."""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from napari_sam2.training.synthetic.shapes import N_ANGLES


@dataclass(frozen=True, slots=True)
class Bodies:
    """N objects in T frames: where each one is and how it looks. Object n has the id n + 1."""

    centre: Tensor  #: (T, N, 2) row, column, pixels
    angle: Tensor  #: (T, N) of the long axis, radians from the x axis
    radius: Tensor  #: (T, N) of the swept blob, pixels
    segment: Tensor  #: (T, N) half length of the swept segment, pixels
    bend: Tensor  #: (T, N) sag in half lengths
    table: Tensor  #: (T, N, N_ANGLES) radius by direction, in units of `radius`
    pinch: Tensor  #: (T, N) 0 to 1, depth of the waist before a division
    alive: Tensor  #: (T, N) bool
    depth: Tensor  #: (N,) larger is in front
    condensed: Tensor  #: (T, N) 0 to 1, how far into a division
    parents: dict[int, int]  #: child id -> parent id


@dataclass(frozen=True, slots=True)
class ObjectMap:
    """What each pixel of T frames shows. Positions are those of the object in front."""

    labels: Tensor  #: (T, H, W) int32, 0 is background
    along: Tensor  #: (T, H, W) pixels along the object's long axis, from its centre
    across: Tensor  #: (T, H, W) pixels across it
    inside: Tensor  #: (T, H, W) pixels to the object's own outline, 0 outside
    relative: Tensor  #: (T, H, W) 0 at the outline to 1 at the centre
    from_centre: Tensor  #: (T, H, W) pixels to the object's centre
    cover: Tensor  #: (T, H, W) int32, how many objects lie here
    condensed: Tensor  #: (T, N + 1) 0 to 1, how far each id is into a division
    parents: dict[int, int]  #: child id -> parent id

    @property
    def count(self) -> int:
        """Number of ids, including those that are nowhere visible."""
        return self.condensed.shape[1] - 1


@dataclass(frozen=True, slots=True)
class _Frame:
    """The objects of one frame that touch the image: numbers and bounding boxes."""

    body: Tensor  #: (I,) index of the object
    pose: (
        Tensor  #: (I, 11) row, column, cos, sin, bend, segment, radius, length, width, rank, pinch
    )
    table: Tensor  #: (I * N_ANGLES,)
    low: Tensor  #: (I, 2) first row and column
    extent: Tensor  #: (I, 2) rows and columns


def rasterise(bodies: Bodies, size: tuple[int, int], device: torch.device) -> ObjectMap:
    """Draw every object into every frame; of two at one pixel the one in front is seen.

    Parameters
    ----------
    bodies : Bodies
        On the host.
    size : tuple of int
        (H, W), pixels.
    device : torch.device
        Where the maps are made.
    """
    n_bodies = bodies.alive.shape[1]
    rank = torch.empty(n_bodies)
    rank[bodies.depth.argsort()] = torch.arange(1.0, n_bodies + 1)
    frames = [
        _draw(_frame(bodies, rank, frame, size), size, device)
        for frame in range(bodies.alive.shape[0])
    ]
    labels, along, across, inside, relative, cover = map(torch.stack, zip(*frames, strict=True))
    return ObjectMap(
        labels=labels,
        along=along,
        across=across,
        inside=inside,
        relative=relative,
        from_centre=torch.hypot(along, across),
        cover=cover,
        condensed=torch.nn.functional.pad(bodies.condensed, (1, 0)).to(device),
        parents=bodies.parents,
    )


def _frame(bodies: Bodies, rank: Tensor, frame: int, size: tuple[int, int]) -> _Frame:
    angle = torch.arange(N_ANGLES) * (2 * pi / N_ANGLES)
    radius, segment, bend = bodies.radius[frame], bodies.segment[frame], bodies.bend[frame]
    edge = radius[:, None] * bodies.table[frame]
    length = segment + (edge * angle.cos().abs()).amax(1)
    width = (edge * angle.sin().abs()).amax(1)
    sag = width + bend.abs() * length
    cos, sin = bodies.angle[frame].cos(), bodies.angle[frame].sin()
    reach = torch.stack(
        (sin.abs() * length + cos.abs() * sag, cos.abs() * length + sin.abs() * sag), dim=-1
    )
    limit = torch.tensor(size)
    low = (bodies.centre[frame] - reach).floor().long().clamp(min=0).minimum(limit)
    high = (bodies.centre[frame] + reach).ceil().long().add(1).clamp(min=0).minimum(limit)
    extent = high - low
    body = (bodies.alive[frame] & (extent > 0).all(-1)).nonzero()[:, 0]
    numbers = (cos, sin, bend / length, segment, radius, length, width, rank, bodies.pinch[frame])
    pose = torch.cat((bodies.centre[frame], torch.stack(numbers, dim=-1)), dim=-1)
    return _Frame(body, pose[body], bodies.table[frame][body].flatten(), low[body], extent[body])


def _draw(found: _Frame, size: tuple[int, int], device: torch.device) -> tuple[Tensor, ...]:
    index, row, column = _boxes(found, device)
    pose = found.pose.to(device)
    cos, sin, curve = pose[:, 2][index], pose[:, 3][index], pose[:, 4][index]
    y, x = row - pose[:, 0][index], column - pose[:, 1][index]
    along, across = x * cos + y * sin, y * cos - x * sin
    across -= along.square() * curve
    near = (along.abs() < pose[:, 7][index]) & (across.abs() < pose[:, 8][index])
    index, along, across = index[near], along[near], across[near]
    pixel = (row * size[1] + column)[near]
    distance, relative = _distance(index, along, across, (pose, found.table.to(device)))

    hit = distance > 0
    index, pixel = index[hit], pixel[hit]
    n_pixels = size[0] * size[1]
    # ranks are unique, and integer maxima and sums do not depend on the order of their terms,
    # so the result is the same on every run
    rank = pose[:, 9].int()[index]
    front = torch.zeros(n_pixels, dtype=torch.int32, device=device)
    front = front.scatter_reduce(0, pixel, rank, "amax")
    cover = torch.zeros_like(front).scatter_add(0, pixel, torch.ones_like(rank))
    seen = front[pixel] == rank
    pixel = pixel[seen]
    labels = torch.zeros(n_pixels, dtype=torch.int32, device=device)
    labels[pixel] = (found.body + 1).to(device, torch.int32)[index[seen]]
    values = torch.zeros(4, n_pixels, device=device)
    values[:, pixel] = torch.stack((along, across, distance, relative))[:, hit][:, seen]
    return (labels.view(size), *values.view(4, *size), cover.view(size))


def _boxes(found: _Frame, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """List every pixel of every bounding box: index of the object, row, column."""
    area = found.extent.prod(1)
    start = (area.cumsum(0) - area).to(device)
    index = torch.arange(area.shape[0], device=device).repeat_interleave(area.to(device))
    local = torch.arange(index.shape[0], device=device) - start[index]
    width = found.extent[:, 1].to(device)[index]
    row = torch.div(local, width, rounding_mode="floor")
    low = found.low.to(device)
    return index, row + low[:, 0][index], local - row * width + low[:, 1][index]


def _distance(
    index: Tensor, along: Tensor, across: Tensor, shape: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Give the distance to the outline in pixels (positive inside), and in radii."""
    pose, table = shape
    segment = pose[:, 5][index]
    tip = along - along.clamp(-segment, segment)
    direction = torch.atan2(across, tip).mul_(N_ANGLES / (2 * pi)).remainder_(N_ANGLES)
    low = direction.long().clamp_(max=N_ANGLES - 1)
    base = index * N_ANGLES
    after = (low + 1) % N_ANGLES
    edge = torch.lerp(table[base + low], table[base + after], direction - low)
    edge *= pose[:, 6][index]
    pinch = pose[:, 10]
    if bool(pinch.any()):
        edge *= 1 - pinch[index] * torch.exp(-2 * (along / pose[:, 6][index]).square())
    distance = edge - torch.hypot(tip, across)
    return distance, distance / edge
