"""What is known of a session's results, read at once: for the plot, the table and the keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.session import Session

N_WORST = 100  #: so many frames are ranked


@dataclass(frozen=True, eq=False)
class Summary:
    """Quality, prompts and locks of all objects, as they were when it was made."""

    n_frames: int = 1
    rows: Mapping[int, np.ndarray] = field(default_factory=dict)  #: of `QualityTable`, by object
    #: Of `QualityTable`, most doubtful first.
    worst: np.ndarray = field(default_factory=lambda: np.zeros(0))
    prompted: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  #: frames, by object
    locked: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    parents: Mapping[int, str] = field(default_factory=dict)  #: names, by daughter

    def scores(self, frame: int) -> dict[int, float]:
        """Give each object's predicted IoU on a frame, or on the last found before it.

        Where there is none before, the first one after it.
        """
        found = {}
        for object_id, rows in self.rows.items():
            if len(rows):
                place = np.searchsorted(rows["frame"], frame, side="right") - 1
                found[object_id] = float(rows["iou"][max(int(place), 0)])
        return found


def summarise(session: Session) -> Summary:
    """Read a session; for a worker's thread, while no one else changes it."""
    rows = session.quality.rows()
    ids, starts = np.unique(rows["object"], return_index=True)
    parts = np.split(rows, starts[1:]) if len(ids) else []
    known = session.objects
    return Summary(
        n_frames=session.n_frames,
        rows={int(i): part for i, part in zip(ids, parts, strict=True) if int(i) in known},
        worst=session.quality.rank(rows, N_WORST),
        prompted={i: tuple(sorted(one.prompts)) for i, one in known.items()},
        locked={i: tuple(sorted(one.locked)) for i, one in known.items()},
        parents={i: known[one.parent].name for i, one in known.items() if one.parent},
    )
