"""Tiles of a frame, and what was found in them, put together across their borders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.predictors.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAME_IN_SHARED = 0.5  #: IoU, where two tiles overlap, from which pieces are of one object
GRID = 128  #: masks are this many pixels long in a tile of Meta's nano size: how sharp edges are

Part = tuple[int, int, int, int]  #: first row and column, and those after the last


@dataclass(frozen=True, eq=False)
class Piece:
    """What was found in a tile, by the box of pixels that holds it.

    Parameters
    ----------
    origin : tuple of int
        (row, column) of the first pixel of `part` in the frame.
    part : np.ndarray, shape (h, w), bool
    iou, stability : float
        Predicted by the model, and of its logits; in [0, 1].
    """

    origin: tuple[int, int]
    part: np.ndarray
    iou: float
    stability: float

    @classmethod
    def of(cls, mask: np.ndarray, window: Window, iou: float, stability: float) -> Piece | None:
        """Cut the box that holds it out of a mask (H, W) of a window; None if it is empty."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return None
        inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        origin = window.row + int(rows[0]), window.column + int(columns[0])
        return cls(origin, mask[inside].copy(), iou, stability)

    @cached_property
    def area(self) -> int:
        """In pixels."""
        return int(np.count_nonzero(self.part))

    @property
    def score(self) -> float:
        """How good it is: what counts where objects overlap."""
        return self.iou * self.stability

    @property
    def box(self) -> Part:
        """First row and column, and those after the last."""
        (row, column), (height, width) = self.origin, self.part.shape
        return row, column, row + height, column + width

    @property
    def region(self) -> tuple[slice, slice]:
        """Its box in the frame."""
        row0, column0, row1, column1 = self.box
        return slice(row0, row1), slice(column0, column1)

    def within(self, part: Part) -> np.ndarray:
        """Give the mask in a part of the frame that its box touches."""
        row, column = self.origin
        row0, column0, row1, column1 = _shared(self.box, part)
        return self.part[row0 - row : row1 - row, column0 - column : column1 - column]


def tiles_of(shape: tuple[int, int], edge: int, overlap: int) -> list[Window]:
    """Cover a frame with tiles of one size, evenly spread, row by row.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the frame.
    edge : int
        Of a tile, in pixels; no tile is longer than the frame.
    overlap : int
        Pixels that neighbours share, at least.

    Raises
    ------
    ValueError
        If tiles have no pixels, or share all of them.
    """
    if not 0 <= overlap < edge:
        raise ValueError(f"Tiles of {edge} pixels cannot overlap by {overlap}: expected fewer.")
    starts = [_starts(length, edge, overlap) for length in shape]
    height, width = (min(edge, length) for length in shape)
    return [Window(row, column, height, width) for row in starts[0] for column in starts[1]]


def _starts(length: int, edge: int, overlap: int) -> list[int]:
    if length <= edge:
        return [0]
    count = math.ceil((length - overlap) / (edge - overlap))
    return [round(i * (length - edge) / (count - 1)) for i in range(count)]


def places_in(tile: Window, tiles: Sequence[Window], spacing: float) -> np.ndarray:
    """Spread points evenly over the part of a frame that is nearest to the middle of a tile.

    Parameters
    ----------
    tile : Window
    tiles : sequence of Window
        All of them, as from `tiles_of`.
    spacing : float
        Of the points, at most; in pixels.

    Returns
    -------
    np.ndarray, shape (N, 2)
        (row, column) in the frame.
    """
    starts = sorted({one.row for one in tiles}), sorted({one.column for one in tiles})
    along = []
    for first, length, all_starts in zip((tile.row, tile.column), tile.shape, starts, strict=True):
        before = [start for start in all_starts if start < first]
        after = [start for start in all_starts if start > first]
        # Neighbours share their overlap.
        low = (first + before[-1] + length) / 2 if before else first
        high = (after[0] + first + length) / 2 if after else first + length
        count = math.ceil((high - low) / spacing)
        along.append(low + (np.arange(count) + 0.5) * (high - low) / count - 0.5)
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 2)


def without_repeats(pieces: Sequence[Piece], most: float) -> list[Piece]:
    """Keep the best of masks that are almost the same.

    Parameters
    ----------
    pieces : sequence of Piece
    most : float
        Intersection over union above which two masks are the same.

    Returns
    -------
    list of Piece
        Best first.
    """
    ranked = sorted(pieces, key=lambda piece: -piece.score)
    boxes = np.array([piece.box for piece in ranked]).reshape(-1, 4)
    areas = np.array([piece.area for piece in ranked])
    gone = np.zeros(len(ranked), dtype=bool)
    for i, piece in enumerate(ranked):
        if gone[i]:
            continue
        # Of boxes that share too little, or masks of too different sizes, none is the same.
        close = _overlap(boxes, boxes[i]) > most * np.maximum(areas, areas[i])
        close &= np.minimum(areas, areas[i]) > most * np.maximum(areas, areas[i])
        close[: i + 1] = False
        for j in np.flatnonzero(close & ~gone):
            gone[j] = _iou(piece, ranked[j], _shared(piece.box, ranked[j].box)) > most
    return [piece for piece, is_gone in zip(ranked, gone, strict=True) if not is_gone]


def stitch(found: Sequence[tuple[Window, Sequence[Piece]]], shape: tuple[int, int]) -> list[Piece]:
    """Make one object of what was found of it in several tiles.

    What is the same where tiles overlap is the same object. If some tile has all of it, the best
    of those counts, else the pieces are joined.

    Parameters
    ----------
    found : sequence of (Window, sequence of Piece)
        The pieces of each tile, none twice.
    shape : tuple of int
        (H, W) of the frame.
    """
    tiles = [window for window, _ in found]
    pieces = [(number, piece) for number, (_, some) in enumerate(found) for piece in some]
    groups = _Groups(len(pieces))
    by_tile: list[list[int]] = [[] for _ in found]
    for index, (number, _) in enumerate(pieces):
        by_tile[number].append(index)
    for a, b in _neighbours(tiles):
        shared = _shared(_box(tiles[a]), _box(tiles[b]))
        for i, j in _matches(pieces, by_tile[a], by_tile[b], shared):
            groups.join(i, j)
    joined = []
    for members in groups.all():
        whole = [i for i in members if not is_cut(pieces[i][1], tiles[pieces[i][0]], shape)]
        if whole or len(members) == 1:
            joined.append(max((pieces[i][1] for i in whole or members), key=lambda p: p.score))
        else:
            joined.append(_union([pieces[i][1] for i in members]))
    return joined


def is_cut(piece: Piece, tile: Window, shape: tuple[int, int]) -> bool:
    """Whether a piece reaches an edge of its tile where the frame goes on."""
    near = math.ceil(max(tile.shape) / GRID)
    low_row, low_column, high_row, high_column = piece.box
    top, left, bottom, right = _box(tile)
    return (
        (top > 0 and low_row - top < near)
        or (left > 0 and low_column - left < near)
        or (bottom < shape[0] and bottom - high_row < near)
        or (right < shape[1] and right - high_column < near)
    )


class _Groups:
    """Sets that are joined (union-find)."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def join(self, one: int, other: int) -> None:
        self._leader[self._find(other)] = self._find(one)

    def all(self) -> list[list[int]]:
        members: dict[int, list[int]] = {}
        for i in range(len(self._leader)):
            members.setdefault(self._find(i), []).append(i)
        return list(members.values())

    def _find(self, one: int) -> int:
        while self._leader[one] != one:
            self._leader[one] = self._leader[self._leader[one]]
            one = self._leader[one]
        return one


def _neighbours(tiles: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """Give the pairs of tiles that overlap."""
    boxes = np.array([_box(tile) for tile in tiles]).reshape(-1, 4)
    for a in range(len(tiles)):
        for b in np.flatnonzero(_overlap(boxes, boxes[a])[a + 1 :]):
            yield a, a + 1 + int(b)


def _matches(
    pieces: Sequence[tuple[int, Piece]], some: Sequence[int], others: Sequence[int], shared: Part
) -> list[tuple[int, int]]:
    """Pair the pieces of two tiles that agree best on what both tiles see, each once at most."""
    near = [
        [i for i in side if _size(_shared(pieces[i][1].box, shared))] for side in (some, others)
    ]
    boxes = np.array([_shared(pieces[j][1].box, shared) for j in near[1]]).reshape(-1, 4)
    ranked = []
    for i in near[0]:
        one = pieces[i][1]
        for k in np.flatnonzero(_overlap(boxes, np.array(_shared(one.box, shared)))):
            iou = _iou(one, pieces[near[1][k]][1], shared)
            if iou >= SAME_IN_SHARED:
                ranked.append((iou, i, near[1][k]))
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for _, i, j in sorted(ranked, reverse=True):
        if i not in taken and j not in taken:
            pairs.append((i, j))
            taken |= {i, j}
    return pairs


def _union(pieces: Sequence[Piece]) -> Piece:
    """Join pieces; it is as good as they are, the larger ones counting more."""
    boxes = np.array([piece.box for piece in pieces])
    (row, column), (end_row, end_column) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    part = np.zeros((end_row - row, end_column - column), dtype=bool)
    for piece in pieces:
        row0, column0, row1, column1 = piece.box
        part[row0 - row : row1 - row, column0 - column : column1 - column] |= piece.part
    areas = np.array([piece.area for piece in pieces], dtype=float)
    iou, stability = (
        float(np.average([getattr(piece, name) for piece in pieces], weights=areas))
        for name in ("iou", "stability")
    )
    return Piece((int(row), int(column)), part, iou, stability)


def _iou(one: Piece, other: Piece, part: Part) -> float:
    """Compare two masks in a part of the frame."""
    common = _shared(_shared(one.box, other.box), part)
    both = 0
    if _size(common):
        both = int(np.count_nonzero(one.within(common) & other.within(common)))
    either = sum(int(np.count_nonzero(piece.within(part))) for piece in (one, other)) - both
    return both / either if either else 0.0


def _box(window: Window) -> Part:
    return window.row, window.column, window.row + window.height, window.column + window.width


def _shared(one: Part, other: Part) -> Part:
    row0, column0 = max(one[0], other[0]), max(one[1], other[1])
    return row0, column0, max(row0, min(one[2], other[2])), max(column0, min(one[3], other[3]))


def _size(part: Part) -> int:
    return (part[2] - part[0]) * (part[3] - part[1])


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Give the pixels that each of some boxes (N, 4) shares with one."""
    heights = np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0])
    widths = np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1])
    shared: np.ndarray = heights.clip(0) * widths.clip(0)
    return shared
