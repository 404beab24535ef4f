"""Objects as tracks: where each is on each frame, and which came from which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Columns of the quality table that go with a track.
PROPERTIES = ("area", "iou", "object_score", "doubt")


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Tracks as napari shows them: ``viewer.add_tracks(data, graph=graph, properties=properties)``.

    The first axis is time there.
    """

    data: np.ndarray  #: (N, 1 + D), float64: the object, and its centroid along each axis
    properties: dict[str, np.ndarray]  #: (N,) each
    graph: dict[int, list[int]]  #: the parent of each object that came from another one
    axes: tuple[str, ...]  #: names of the D axes: "frame", "row", "column", or "axis 1" and so on

    def table(self) -> np.ndarray:
        """Give all in one structured array, (N,): object, axes, properties, parent (0: none)."""
        parents = [self.graph.get(int(i), [0])[0] for i in self.data[:, 0]]
        columns = {"object": self.data[:, 0].astype(np.int64)}
        columns |= dict(zip(self.axes, self.data[:, 1:].T, strict=True)) | self.properties
        columns["parent"] = np.array(parents, dtype=np.int64)
        table: np.ndarray = np.zeros(len(parents), [(name, c.dtype) for name, c in columns.items()])
        for name, column in columns.items():
            table[name] = column
        return table


def make_tracks(
    rows: np.ndarray, axes: Sequence[str | int], parents: Mapping[int, int | None]
) -> Tracks:
    """Make tracks of rows of a quality table, where the objects are present.

    Parameters
    ----------
    rows : np.ndarray, structured
        By object, then by frame.
    axes : sequence of str or int
        What lies along each axis of the data: a column of the table, or a fixed position.
    parents : mapping of int to int or None
        The parent of each object.
    """
    rows = rows[rows["area"] > 0]
    places = [rows[axis] if isinstance(axis, str) else np.full(len(rows), axis) for axis in axes]
    data = np.stack([rows["object"], *places], axis=1).astype(np.float64)
    known = set(rows["object"].tolist())
    # napari knows no parent without a place.
    graph = {
        child: [parent]
        for child, parent in parents.items()
        if parent is not None and {child, parent} <= known
    }
    names = tuple(axis if isinstance(axis, str) else f"axis {n}" for n, axis in enumerate(axes))
    return Tracks(data, {name: rows[name] for name in PROPERTIES}, graph, names)


def merge_planes(rows: np.ndarray, time: int) -> np.ndarray:
    """Turn the rows of a volume's planes into one for each object that is in it.

    Parameters
    ----------
    rows : np.ndarray, structured
        Of the quality table of a stack, whose frames are the planes.
    time : int
        Of the volume.

    Returns
    -------
    np.ndarray, structured
        The time is its ``frame``, the middle of its planes a further column ``plane``. The area
        is the sum, all else the mean over the pixels; of ``jump`` over those of the planes that
        have one.
    """
    present = rows[rows["area"] > 0]
    ids, index = np.unique(present["object"], return_inverse=True)
    merged: np.ndarray = np.zeros(len(ids), [*rows.dtype.descr, ("plane", np.float32)])
    merged["object"], merged["frame"] = ids, time
    merged["area"] = areas = np.bincount(index, present["area"], len(ids))
    for name in ("iou", "object_score", "row", "column", "doubt"):
        merged[name] = np.bincount(index, present[name] * present["area"], len(ids)) / areas
    moved = ~np.isnan(present["jump"])
    weights = np.where(moved, present["area"], 0)
    ways = np.bincount(index, np.where(moved, present["jump"], 0) * weights, len(ids))
    total = np.bincount(index, weights, len(ids))
    merged["jump"] = np.divide(ways, total, out=np.full(len(ids), np.nan), where=total > 0)
    merged["plane"] = np.bincount(index, present["frame"] * present["area"], len(ids)) / areas
    return merged
