"""How sure each object is on each frame: what to look at first."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.results.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from napari_sam2.prompts import FrameMasks, ObjectMask

PAGE = 64  #: frames that are given room at once
VANISHED = 0.5  #: how far an object is trusted on the frame on which it vanishes

#: What is kept of an object on a frame: 20 bytes.
KEPT = np.dtype(
    [
        ("iou", np.float32),
        ("object_score", np.float32),
        ("area", np.int32),
        ("row", np.float32),
        ("column", np.float32),
    ]
)
#: What is given.
TABLE = np.dtype(
    [
        ("object", np.int64),
        ("frame", np.int64),
        *((name, KEPT[name]) for name in KEPT.names or ()),
        ("jump", np.float32),
        ("doubt", np.float32),
    ]
)
UNKNOWN = -1  #: area on frames that nothing is kept of


def _save_nothing(object_id: int, number: int) -> None:
    """Keep no rows that are about to change."""


class QualityTable:
    """A few numbers for each object and frame, replaced when a frame is found anew.

    The columns of what is given:

    ``object``, ``frame``
        Which.
    ``iou``
        The IoU with the truth that the model predicts; 1 for masks that were given.
    ``object_score``
        Logit; positive where the object is on the frame.
    ``area``
        In pixels, before overlaps with other objects are settled; 0 where it is not there.
    ``row``, ``column``
        The centroid; NaN where it is not there.
    ``jump``
        Pixels from the centroid where it was last seen on an earlier frame; NaN if never.
    ``doubt``
        From 0 to 1, by which `worst` ranks.

    An object is trusted as far as all of these are: its predicted IoU; the certainty that it
    is there, ``tanh(abs(object_score) / 2)``; the likeness of its area to when it was last
    seen, the smaller over the larger; and the shortness of its way, ``1 / (1 + way)``, in
    diameters of the object a frame. The doubt is 1 less their product. Where it is not there,
    only the certainty counts, and half of it on the frame on which it vanishes.

    Parameters
    ----------
    is_accepted : callable, optional
        Says of an object and a frame whether the user has accepted it; `worst` leaves it out.
    save : callable, optional
        Told of an object and the number of a page of its rows before they change.
    """

    def __init__(
        self,
        is_accepted: Callable[[int, int], bool] | None = None,
        save: Callable[[int, int], None] = _save_nothing,
    ) -> None:
        self._is_accepted, self._save = is_accepted, save
        self.changes: Changes[tuple[int, int]] = Changes()  #: of pages: object and number
        self._lock = RLock()  # rows are read by others while a run writes them
        self._pages: dict[int, dict[int, np.ndarray]] = {}  #: by object, then by frame // PAGE

    def record(self, masks: FrameMasks, ids: Collection[int]) -> None:
        """Keep the numbers of some objects on a frame, in the place of earlier ones."""
        rows = {one.object_id: _measure(one) for one in masks.objects if one.object_id in ids}
        with self._lock:  # of a frame all objects are there, or none
            for object_id, row in rows.items():
                self._page(object_id, masks.frame)[masks.frame % PAGE] = row

    def forget(self, object_id: int, frame: int | None = None) -> None:
        """Forget an object, on one frame or on all."""
        with self._lock:
            if frame is None:
                for number in self._pages.get(object_id, {}):
                    self._save(object_id, number)
                self._pages.pop(object_id, None)
            elif frame // PAGE in self._pages.get(object_id, {}):
                self._page(object_id, frame)["area"][frame % PAGE] = UNKNOWN

    def merge(self, object_id: int, other: int) -> None:
        """Count what is kept of another object to this one; the other one's rows stay.

        Where both are, areas are summed, and one is as sure as the less sure of them.
        """
        with self._lock:
            for number, theirs in list(self._pages.get(other, {}).items()):
                mine = self._page(object_id, number * PAGE)
                mine[:] = _both(mine, theirs)

    def take_over(self, earlier: QualityTable) -> None:
        """Go on with what another table has."""
        with earlier._lock, self._lock:
            for object_id, pages in earlier._pages.items():
                for number in pages:
                    self._save(object_id, number)
                    self.changes.note((object_id, number))
                self._pages[object_id] = {number: page.copy() for number, page in pages.items()}

    def pages(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Give all that is kept, to be saved: object, number of the page, and the page."""
        for object_id, pages in self._pages.items():
            for number, page in pages.items():
                yield object_id, number, page

    def restore(self, object_id: int, number: int, page: np.ndarray) -> None:
        """Put back a page that `pages` gave."""
        with self._lock:
            self._pages.setdefault(object_id, {})[number] = page.astype(KEPT)
            self.changes.note((object_id, number))

    def rows(self, object_id: int | None = None) -> np.ndarray:
        """Give what is known of one object, or of all.

        Returns
        -------
        np.ndarray, shape (N,), structured
            By object, then by frame; the columns are above. Any thread may ask.
        """
        with self._lock:
            ids = sorted(self._pages) if object_id is None else [object_id]
            parts = [self._of_object(i) for i in ids if i in self._pages]
        return np.concatenate([np.zeros(0, TABLE), *parts])

    def worst(self, object_id: int | None = None, n: int = 10) -> np.ndarray:
        """Give the frames to look at first: those of most doubt that were not accepted.

        Parameters
        ----------
        object_id : int, optional
            All objects unless given.
        n : int
            How many, at most.

        Returns
        -------
        np.ndarray, shape (n,), structured
            Most doubt first; of equals, the lower object and frame.
        """
        return self.rank(self.rows(object_id), n)

    def rank(self, rows: np.ndarray, n: int) -> np.ndarray:
        """Give the rows to look at first, as `worst` does, of some that are at hand already."""
        order = np.argsort(-rows["doubt"], kind="stable")
        ranked = (rows[place] for place in order)
        return np.array(list(_first(ranked, n, self._is_accepted)), dtype=TABLE)

    def page(self, object_id: int, number: int) -> np.ndarray | None:
        """Give a copy of a page of rows; None if there is none."""
        page = self._pages.get(object_id, {}).get(number)
        return None if page is None else page.copy()

    def swap_page(self, object_id: int, number: int, page: np.ndarray | None) -> np.ndarray | None:
        """Put a page in the place of another one, which is given; None is for none."""
        with self._lock:
            pages = self._pages.setdefault(object_id, {})
            earlier = pages.pop(number, None)
            if page is not None:
                pages[number] = page
            if not pages:
                del self._pages[object_id]
            self.changes.note((object_id, number))
            return earlier

    def _page(self, object_id: int, frame: int) -> np.ndarray:
        """Give the page of a frame, which is about to change."""
        self._save(object_id, frame // PAGE)
        self.changes.note((object_id, frame // PAGE))
        pages = self._pages.setdefault(object_id, {})
        if frame // PAGE not in pages:
            pages[frame // PAGE] = np.zeros(PAGE, dtype=KEPT)
            pages[frame // PAGE]["area"] = UNKNOWN
        return pages[frame // PAGE]

    def _of_object(self, object_id: int) -> np.ndarray:
        pages = self._pages[object_id]
        kept = np.concatenate([pages[number] for number in sorted(pages)])
        frames = np.concatenate([number * PAGE + np.arange(PAGE) for number in sorted(pages)])
        known = kept["area"] != UNKNOWN
        rows = np.zeros(int(known.sum()), dtype=TABLE)
        rows["object"], rows["frame"] = object_id, frames[known]
        for name in KEPT.names or ():
            rows[name] = kept[name][known]
        rows["jump"], rows["doubt"] = _judge(rows)
        return rows


def _both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Put rows of two objects together."""
    areas = [np.maximum(rows["area"], 0).astype(float) for rows in (one, other)]
    total = areas[0] + areas[1]
    both = one.copy()
    both["iou"] = np.minimum(one["iou"], other["iou"])
    both["object_score"] = np.maximum(one["object_score"], other["object_score"])
    both["area"] = total
    for name in ("row", "column"):
        weighted = [
            np.nan_to_num(r[name]) * area for r, area in zip((one, other), areas, strict=True)
        ]
        both[name] = np.where(total > 0, sum(weighted) / np.maximum(total, 1), np.nan)
    alone = [(one["area"] > 0) & (other["area"] <= 0), (other["area"] > 0) & (one["area"] <= 0)]
    both[other["area"] == UNKNOWN] = one[other["area"] == UNKNOWN]
    both[one["area"] == UNKNOWN] = other[one["area"] == UNKNOWN]
    both[alone[0]], both[alone[1]] = one[alone[0]], other[alone[1]]
    return both


def _measure(one: ObjectMask) -> tuple[float, float, int, float, float]:
    rows, columns = np.nonzero(one.logits > 0)
    if not rows.size:
        return one.iou, one.object_score, 0, np.nan, np.nan
    row, column = one.origin[0] + rows.mean(), one.origin[1] + columns.mean()
    return one.iou, one.object_score, len(rows), float(row), float(column)


def _judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give jump and doubt of one object's rows, which are ordered by frame."""
    present = rows["area"] > 0
    order: np.ndarray = np.arange(len(rows))
    # The row, before each, in which the object was last seen; -1 for never.
    seen = np.maximum.accumulate(np.where(present, order, -1))
    last = np.concatenate([[-1], seen])[: len(rows)]
    before, began = rows[last], last < 0
    jump = np.hypot(rows["row"] - before["row"], rows["column"] - before["column"])
    jump[began] = np.nan
    certain = np.tanh(np.abs(rows["object_score"]) / 2)
    areas = np.maximum(rows["area"], 1), np.maximum(before["area"], 1)
    alike = np.minimum(*areas) / np.maximum(*areas)
    way = jump / np.sqrt(areas[1] * 4 / np.pi) / np.maximum(rows["frame"] - before["frame"], 1)
    steady = np.where(began, 1, alike / (1 + np.nan_to_num(way)))
    vanishes = ~present & (last == order - 1) & ~began
    trust = certain * np.where(present, rows["iou"] * steady, np.where(vanishes, VANISHED, 1))
    return jump, 1 - np.clip(trust, 0, 1)


def _first(
    ranked: Iterable[np.void], n: int, is_accepted: Callable[[int, int], bool] | None
) -> Iterator[np.void]:
    for row in ranked:
        if n <= 0:
            return
        if is_accepted is None or not is_accepted(int(row["object"]), int(row["frame"])):
            n -= 1
            yield row
