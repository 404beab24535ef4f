"""Objects as tracks: where each is on each frame, and which came from which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import recfunctions

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


def merge_planes(rows: np.ndarray) -> np.ndarray:
    """Turn rows of an object's planes into one of the volume: its sum, means by area, and place.

    Parameters
    ----------
    rows : np.ndarray, structured
        Of one stack, whose planes are its frames.

    Returns
    -------
    np.ndarray, structured
        One row an object, with a further column ``plane``; the doubt is that of the worst plane.
    """
    rows = recfunctions.append_fields(
        rows, "plane", rows["frame"].astype(np.float32), usemask=False
    )
    present = rows[rows["area"] > 0]
    ids, first, index = np.unique(present["object"], return_index=True, return_inverse=True)
    merged = present[first].copy()
    areas = np.bincount(index, present["area"], len(ids))
    for name in ("iou", "object_score", "row", "column", "plane"):
        merged[name] = np.bincount(index, present[name] * present["area"], len(ids)) / areas
    merged["area"] = areas
    np.maximum.at(merged["doubt"], index, present["doubt"])
    return merged
