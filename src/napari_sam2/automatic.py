"""Segment everything on frames, and choose afterwards what counts.

>>> session = Session(image)
>>> for step in session.segment_everything(0, EverythingOptions(diameter=25)):
...     print(f"{step.done} of {step.total}")
>>> labels = step.found.labels(Selection(min_iou=0.6, min_area=100))
>>> session.add_everything(step.found)  # and follow them: session.propagate()
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.predictors.pieces import Piece, places_in, stitch, tiles_of
from napari_sam2.predictors.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    import torch

    from napari_sam2.model.config import SAM2Config
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.frames import Frames
    from napari_sam2.predictors.windows import Window

DIAMETERS_A_TILE = 16  #: edge of a tile, where the diameter of objects is known
POINTS_A_DIAMETER = 2  #: along a line
POINTS_PER_SIDE = 32  #: where it is not known: Meta's grid
LEAST_POINTS_PER_SIDE = 4
SHARED = 0.25  #: of a tile, with its neighbour; at least two diameters
ALMOST = 1.3  #: a frame up to this many times as long as a tile is one tile

TABLE_DTYPE = np.dtype(
    [
        ("frame", np.int64),
        ("label", np.int64),
        ("area", np.int64),
        ("row", np.float64),
        ("column", np.float64),
        ("iou", np.float32),
        ("stability", np.float32),
    ]
)


@dataclass(frozen=True, kw_only=True)
class EverythingOptions:
    """Where objects are looked for. What of them counts is chosen afterwards: see `Selection`.

    Raises
    ------
    ValueError
        If a number makes no sense.
    """

    #: Typical diameter of objects, in pixels. The model sees tiles of sixteen diameters, in which
    #: small objects are large enough for it, and points lie half a diameter apart.
    diameter: float | None = None
    #: In the longer side of a tile: points lie as close everywhere. Chosen unless given.
    points_per_side: int | None = None
    density: float = 1.0  #: of points that are chosen: twice as many along a line are four times
    #: Edge of tiles, in pixels; by the diameter unless given, or the model's input size, so that
    #: large frames are seen at their full resolution.
    tile: int | None = None
    overlap: int | None = None  #: pixels that neighbouring tiles share; chosen unless given
    least_iou: float = 0.4  #: what is predicted to be worse is not kept to choose from
    least_stability: float = 0.5  #: likewise

    def __post_init__(self) -> None:
        if self.diameter is not None and not (math.isfinite(self.diameter) and self.diameter > 0):
            raise ValueError(f"A diameter is a number of pixels above 0, got {self.diameter}.")
        for name in ("points_per_side", "tile"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is 1 or more, got {value}.")
        if not (math.isfinite(self.density) and self.density > 0):
            raise ValueError(f"density is a number above 0, 1 for the usual, got {self.density}.")
        if self.overlap is not None and self.overlap < 0:
            raise ValueError(f"overlap is a number of pixels, 0 or more, got {self.overlap}.")

    def tiles(self, shape: tuple[int, int], image_size: int) -> list[Window]:
        """Cover a frame (H, W) with tiles for a model of this input size."""
        edge = self._edge(shape, image_size)
        if self.overlap is not None:
            return tiles_of(shape, edge, self.overlap)
        shared = max(SHARED * edge, 2 * (self.diameter or 0))
        return tiles_of(shape, edge, min(round(shared), edge // 2))

    def spacing(self, tile: Window) -> float:
        """Say how far apart points lie, in pixels."""
        edge = max(tile.shape)
        if self.points_per_side is not None:
            return edge / self.points_per_side
        if self.diameter is not None:
            usual = min(self.diameter / POINTS_A_DIAMETER, edge / LEAST_POINTS_PER_SIDE)
        else:
            usual = edge / POINTS_PER_SIDE
        return max(usual / self.density, 1.0)

    def _edge(self, shape: tuple[int, int], image_size: int) -> int:
        if self.tile is not None:
            return self.tile
        edge = image_size
        if self.diameter is not None:
            edge = max(round(DIAMETERS_A_TILE * self.diameter), 32)
        return max(shape) if max(shape) <= ALMOST * edge else edge


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the objects that were found count. To change it computes nothing anew."""

    min_iou: float = 0.8  #: predicted, [0, 1]
    min_stability: float = 0.9  #: see `napari_sam2.model.mask_decoder.stability`; [0, 1]
    min_area: float = 0  #: pixels
    max_area: float = math.inf  #: pixels
    #: The largest part of an object that better ones may have taken; what is left is its.
    max_overlap: float = 0.5

    @classmethod
    def suited(cls, config: SAM2Config, **given: float) -> Selection:
        """Give the thresholds that suit a model, but for those given."""
        return cls(**{**_SUITED.get(config.name, {}), **given})


#: By the name of a model's config. At Meta's thresholds the small model finds next to nothing:
#: its logits are soft, and it doubts itself. These were best of those tried on six images of
#: nuclei that it was not trained on, and no more than a place to begin: mean mSA 0.22 (0.23 with
#: the diameter given; nuclei of 13 pixels 0.00 without and 0.14 with it, those of 45 pixels 0.49
#: and 0.38). Tiles of 16 diameters were better than of 8; 2.5 points a diameter gave 0.24 in twice
#: the time. Models that are not here begin at the defaults, near those of Meta's generator.
_SUITED: dict[str, dict[str, float]] = {"SAM 2.1 nano": {"min_iou": 0.5, "min_stability": 0.4}}


@dataclass(frozen=True, eq=False)
class Everything:
    """What was found on a frame, to choose from.

    Parameters
    ----------
    frame : int
    shape : tuple of int
        (H, W) of the frame.
    objects : tuple of Piece
        Overlapping, best first. Each has an ``area`` in pixels, a predicted ``iou``, a
        ``stability``, and a mask: bool ``part``, at ``origin`` (row, column) in the frame.
    """

    frame: int
    shape: tuple[int, int]
    objects: tuple[Piece, ...] = ()

    def settle(self, selection: Selection) -> tuple[np.ndarray, list[int]]:
        """Choose objects, and leave each pixel to the best of them.

        Returns
        -------
        labels : np.ndarray, shape (H, W), int32
            Of each object, its place in `objects` plus 1: it keeps its number whatever is
            chosen. 0 is background.
        chosen : list of int
            Those numbers.
        """
        labels = np.zeros(self.shape, dtype=np.int32)
        chosen = []
        for number, one in enumerate(self.objects, start=1):
            if not _counts(one, selection):
                continue
            there = labels[one.region]
            free = one.part & (there == 0)
            if np.count_nonzero(free) >= max((1 - selection.max_overlap) * one.area, 1):
                there[free] = number
                chosen.append(number)
        return labels, chosen

    def labels(self, selection: Selection) -> np.ndarray:
        """Give the chosen objects as labels (H, W), int32, numbered from 1, the best first."""
        return _renumbered(*self.settle(selection), len(self.objects))

    def table(self, selection: Selection) -> np.ndarray:
        """Describe the chosen objects.

        Returns
        -------
        np.ndarray, shape (N,)
            A row an object, with the fields frame, label (its number in `labels`), area (pixels
            of the labels), row and column (of the centroid), iou and stability.
        """
        labels, chosen = self.settle(selection)
        rows = []
        for label, number in enumerate(chosen, start=1):
            one = self.objects[number - 1]
            places = np.argwhere(labels[one.region] == number)
            row, column = places.mean(axis=0) + one.origin
            rows.append((self.frame, label, len(places), row, column, one.iou, one.stability))
        return np.array(rows, dtype=TABLE_DTYPE)


@dataclass(frozen=True, eq=False)
class EverythingStep:
    """How far it is, and what there is so far."""

    done: int  #: steps so far, over all frames
    total: int
    found: Everything  #: on the frame that is looked at
    is_new: bool  #: whether there is more in it than a step before
    is_complete: bool  #: whether this is the last step of the frame


class Looker:
    """Looks for everything on frames.

    Parameters
    ----------
    model : SAM2
    source : Frames
    precision : torch.dtype
    options : EverythingOptions, optional
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        precision: torch.dtype,
        options: EverythingOptions | None = None,
    ) -> None:
        self.model = model
        self.source = source
        self.precision = precision
        self.options = options or EverythingOptions()

    def look(self, frames: Iterable[int]) -> Generator[EverythingStep, None, None]:
        """Look at frames, each on its own, a batch of points a step.

        Stop asking to cancel: what the last step gave stays good.
        """
        frames = list(frames)
        options, shape = self.options, self.source.shape
        tiles = options.tiles(shape, self.model.config.image_size)
        sweep = Sweep(
            self.model,
            self.source,
            self.precision,
            least_iou=options.least_iou,
            least_stability=options.least_stability,
        )
        places = [places_in(tile, tiles, options.spacing(tile)) for tile in tiles]
        total = len(frames) * sum(sweep.batches(len(points)) for points in places)
        done = 0
        for frame in frames:
            found: list[tuple[Window, Sequence[Piece]]] = []
            known = Everything(frame, shape)
            for tile, points in zip(tiles, places, strict=True):
                for pieces in sweep.look(frame, tile, points):
                    done += 1
                    if pieces is not None:
                        found.append((tile, pieces))
                        known = _put_together(frame, found, shape)
                    is_last = pieces is not None and tile is tiles[-1]
                    yield EverythingStep(done, total, known, pieces is not None, is_last)


def _put_together(
    frame: int, found: Sequence[tuple[Window, Sequence[Piece]]], shape: tuple[int, int]
) -> Everything:
    objects = stitch(found, shape) if len(found) > 1 else [p for _, some in found for p in some]
    return Everything(frame, shape, tuple(sorted(objects, key=lambda one: -one.score)))


def _renumbered(labels: np.ndarray, chosen: Sequence[int], highest: int) -> np.ndarray:
    order = np.zeros(highest + 1, dtype=labels.dtype)
    order[list(chosen)] = np.arange(1, len(chosen) + 1)
    renumbered: np.ndarray = order[labels]
    return renumbered


def _counts(one: Piece, selection: Selection) -> bool:
    return (
        one.iou >= selection.min_iou
        and one.stability >= selection.min_stability
        and selection.min_area <= one.area <= selection.max_area
    )
