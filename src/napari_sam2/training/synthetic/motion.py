"""How a population moves, grows, changes shape and divides."""

from dataclasses import dataclass, fields, replace
from math import cos, pi, sin, sqrt

import torch
from torch import Tensor

from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import (
    Crowd,
    draw_diameters,
    place,
    push_apart,
)
from napari_sam2.training.synthetic.options import SceneOptions
from napari_sam2.training.synthetic.raster import Bodies
from napari_sam2.training.synthetic.shapes import (
    Family,
    Outlines,
    draw_outlines,
    tabulate,
)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Change per frame. Lengths are in diameters."""

    speed: float
    persistence: float  #: share of the velocity kept, 0 to 1
    drift: tuple[float, float]  #: common to all objects, pixels
    jitter: float  #: of the stage, pixels
    turn: float  #: radians
    growth: float  #: of the logarithm of the radius
    wobble: float  #: share of the shape renewed
    division: float  #: chance to divide
    vanish: float  #: chance to be out of sight for a while
    crowding: int  #: how many times bodies push each other apart


def draw_motion(dice: Dice, crowd: Crowd, hiding: float | None) -> Motion:
    """Draw how lively a sequence is."""
    speed = dice.log_uniform(0.01, 0.3)
    drift = dice.pick((0.0, dice.uniform(0.0, 0.25)), (2, 1)) * crowd.diameter
    heading = dice.uniform(0, 2 * pi)
    dividing = dice.chance(0.5)
    rods, threads = crowd.family is Family.ROD, crowd.family is Family.FILAMENT
    return Motion(
        speed=speed,
        persistence=dice.uniform(0.3, 0.95),
        drift=(drift * sin(heading), drift * cos(heading)),
        jitter=dice.pick((0.0, dice.uniform(0.0, 0.15)), (3, 1)) * crowd.diameter,
        turn=dice.log_uniform(0.01, 0.2),
        growth=dice.uniform(0.04, 0.2) if rods else dice.uniform(-0.005, 0.02),
        wobble=dice.log_uniform(0.005, 0.15),
        division=dice.log_uniform(0.01, 0.08) if dividing and not threads else 0.0,
        vanish=dice.pick((0.0, 0.02), (3, 1)) if hiding is None else hiding,
        crowding=4 if rods or threads else dice.pick((0, 1, 2), (1, 2, 2)),
    )


@dataclass(slots=True)
class _Population:
    """State at one moment; one row per object that was ever there."""

    centre: Tensor
    velocity: Tensor
    angle: Tensor
    spin: Tensor
    radius: Tensor
    modes: Tensor
    elongation: Tensor
    spikes: Tensor
    segment: Tensor  #: half length, pixels
    bend: Tensor
    depth: Tensor
    clock: Tensor  #: frames to the next division; negative is never
    hidden: Tensor  #: frames still out of sight
    ended: Tensor  #: bool

    def take(self, index: Tensor) -> "_Population":
        return _Population(*(getattr(self, f.name)[index] for f in fields(self)))

    def join(self, other: "_Population") -> "_Population":
        return _Population(
            *(torch.cat((getattr(self, f.name), getattr(other, f.name))) for f in fields(self))
        )


def populate(dice: Dice, crowd: Crowd, options: SceneOptions) -> Bodies:
    """Draw a population and let it live for the frames asked for."""
    motion = draw_motion(dice, crowd, options.hiding)
    now = _first(dice, crowd, options, motion)
    history, parents = [], dict[int, int]()
    for frame in range(options.n_frames):
        if frame:
            _advance(dice, now, motion, crowd)
            now = _divide(dice, now, crowd, motion, parents)
            now.centre, now.angle = _relax(now, crowd, motion.crowding)
        history.append(replace(now))
    return _bodies(history, parents, rods=crowd.family is Family.ROD)


def _first(dice: Dice, crowd: Crowd, options: SceneOptions, motion: Motion) -> _Population:
    diameters = draw_diameters(dice, crowd, options)
    count = diameters.shape[0]
    centre, angle = place(dice, crowd, options.size, diameters)
    shape = draw_outlines(dice, crowd.family, count)
    long = crowd.family in (Family.ROD, Family.FILAMENT)
    clock = torch.full((count,), -1.0)
    if motion.division:
        clock = (dice.uniforms(0, 1, count) / motion.division).ceil()
    if crowd.family is Family.ROD and motion.division:
        # rods of all ages: newly born ones are half as long as those about to divide
        born = dice.uniform(0.5, 2.0)
        shape.segment = born + (born + 1) * dice.uniforms(0, 0.95, count)
        clock = (((2 * born + 1) / shape.segment).log() / motion.growth).ceil()
    radius = diameters / 2 / (1 + 4 / pi * shape.segment).sqrt()
    if long:  # of one kind: they differ in length rather than in width
        radius = radius.median() * (1 + 0.05 * dice.normals(count))
    now = _Population(
        centre=centre,
        velocity=dice.normals(count, 2) * (motion.speed * diameters)[:, None],
        angle=angle,
        spin=dice.normals(count) * motion.turn,
        radius=radius,
        modes=shape.modes,
        elongation=shape.elongation,
        spikes=shape.spikes,
        segment=shape.segment * radius,
        bend=shape.bend,
        depth=dice.uniforms(0, 1, count),
        clock=clock,
        hidden=(dice.uniforms(0, 1, count) < 2 * motion.vanish)
        * dice.uniforms(1, 4, count).floor(),
        ended=torch.zeros(count, dtype=torch.bool),
    )
    now.centre, now.angle = _relax(now, crowd, 40 if long else 16)
    return now


def _relax(now: _Population, crowd: Crowd, iterations: int) -> tuple[Tensor, Tensor]:
    if iterations == 0 or crowd.contact == 0:
        return now.centre, now.angle
    living = (~now.ended).nonzero()[:, 0]
    half_length = now.radius * now.elongation.sqrt()
    half_width = now.radius / now.elongation.sqrt()
    arm = now.segment + half_length - half_width
    moved, turned = push_apart(
        now.centre[living],
        now.angle[living],
        half_width[living],
        arm[living],
        crowd.contact,
        iterations,
    )
    return now.centre.index_copy(0, living, moved), now.angle.index_copy(0, living, turned)


def _advance(dice: Dice, now: _Population, motion: Motion, crowd: Crowd) -> None:
    count = now.radius.shape[0]
    fresh = sqrt(1 - motion.persistence**2)
    kick = dice.normals(count, 2) * (motion.speed * crowd.diameter * fresh)
    now.velocity = motion.persistence * now.velocity + kick
    shift = torch.tensor(motion.drift) + motion.jitter * dice.normals(2)
    now.centre = now.centre + now.velocity + shift
    now.spin = motion.persistence * now.spin + fresh * motion.turn * dice.normals(count)
    now.angle = now.angle + now.spin
    if crowd.family is Family.ROD:
        now.segment = now.segment * dice.uniforms(0.8, 1.2, count).mul(motion.growth).exp()
    else:
        now.radius = now.radius * dice.uniforms(0.5, 1.5, count).mul(motion.growth).exp()
    shape = draw_outlines(dice, crowd.family, count)
    keep = sqrt(1 - motion.wobble**2)
    now.modes = keep * now.modes + motion.wobble * shape.modes
    blend = 0.3 * motion.wobble
    now.elongation = torch.lerp(now.elongation, shape.elongation, blend)
    now.bend = torch.lerp(now.bend, shape.bend, blend)
    now.spikes = torch.cat(
        (now.spikes[..., :1], torch.lerp(now.spikes[..., 1:], shape.spikes[..., 1:], blend)), -1
    )
    now.clock = now.clock - 1
    vanishing = (dice.uniforms(0, 1, count) < motion.vanish) & (now.hidden <= 0)
    stay = dice.pick((1.0, 2.0, 99.0), (3, 2, 1))  # most come back
    now.hidden = torch.where(vanishing, stay, now.hidden - 1)


def _divide(
    dice: Dice, now: _Population, crowd: Crowd, motion: Motion, parents: dict[int, int]
) -> _Population:
    mothers = ((now.clock == 0) & ~now.ended).nonzero()[:, 0]
    count = mothers.shape[0]
    if count == 0:
        return now
    first = now.take(mothers)
    axis = torch.stack((first.angle.sin(), first.angle.cos()), dim=-1)
    rods = crowd.family is Family.ROD
    halves = _halve_rods(dice, first) if rods else _halve_cells(dice, first)
    first_id = now.radius.shape[0] + 1
    for sister, (offset, radius, segment) in enumerate(halves):
        shape = draw_outlines(dice, crowd.family, count)
        apart = axis * offset[:, None]
        if rods:
            clock = (0.69 / motion.growth * dice.uniforms(0.9, 1.2, count)).ceil()
        else:
            clock = torch.full((count,), -1.0)
        daughters = replace(
            first,
            centre=first.centre + apart,
            velocity=first.velocity + apart * (0.0 if rods else 0.15),
            angle=first.angle + (0.0 if rods else pi / 2) + 0.15 * dice.normals(count),
            radius=radius,
            segment=segment,
            modes=first.modes if rods else shape.modes,
            elongation=shape.elongation,
            depth=dice.uniforms(0, 1, count),
            clock=clock,
        )
        now = now.join(daughters)
        for row, mother in enumerate(mothers.tolist()):
            parents[first_id + sister * count + row] = mother + 1
    now.ended = now.ended.index_fill(0, mothers, True)
    return now


def _halve_rods(dice: Dice, first: _Population) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Cut rods across: offset along the axis, radius and segment of the two parts."""
    share = dice.uniforms(0.42, 0.58, first.radius.shape[0])
    total = 2 * first.segment + 2 * first.radius
    return [
        (side * total * (1 - part) / 2, first.radius, (total * part / 2 - first.radius).clamp(0.1))
        for side, part in ((-1, share), (1, 1 - share))
    ]


def _halve_cells(dice: Dice, first: _Population) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Split cells in two smaller ones side by side, with the same numbers."""
    gap = first.radius * dice.uniform(0.75, 1.0)
    radius = first.radius * dice.uniform(0.7, 0.8)
    return [(side * gap, radius, first.segment * 0.7) for side in (-1, 1)]


def _bodies(history: list[_Population], parents: dict[int, int], *, rods: bool) -> Bodies:
    total = history[-1].radius.shape[0]

    def padded(values: Tensor, fill: float = 0.0) -> Tensor:
        missing = values.new_full((total - values.shape[0], *values.shape[1:]), fill)
        return torch.cat((values, missing))

    def stacked(name: str, fill: float = 0.0) -> Tensor:
        return torch.stack([padded(getattr(state, name), fill) for state in history])

    clock = stacked("clock", -1.0)
    condensed = torch.where(clock > 0, 1 - (clock - 1) / 2, 0).clamp(0, 1)
    rounding = torch.zeros_like(condensed) if rods else condensed
    tables = [
        padded(tabulate(_rounded(state, amount)), 1.0)
        for state, amount in zip(history, rounding, strict=True)
    ]
    return Bodies(
        centre=stacked("centre"),
        angle=stacked("angle"),
        radius=stacked("radius", 1.0) * (1 - 0.15 * rounding),
        segment=stacked("segment"),
        bend=stacked("bend"),
        table=torch.stack(tables),
        pinch=condensed * 0.5,
        alive=(stacked("ended", 1.0) == 0) & (stacked("hidden") <= 0),
        depth=history[-1].depth,
        condensed=condensed,
        parents=parents,
    )


def _rounded(state: _Population, condensed: Tensor) -> Outlines:
    """Give the outlines, rounder the nearer a cell is to its division."""
    count = state.radius.shape[0]
    keep = 1 - condensed[:count]
    spikes = state.spikes.clone()
    spikes[..., 1] *= keep[:, None]
    return Outlines(
        modes=state.modes * (0.2 + 0.8 * keep)[:, None, None],
        elongation=1 + (state.elongation - 1) * (0.3 + 0.7 * keep),
        spikes=spikes,
        segment=state.segment,
        bend=state.bend,
    )
