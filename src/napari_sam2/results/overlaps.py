"""Where objects overlap: who has the pixel, and what the others claim of it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sam2.prompts import bounding_box

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from napari_sam2.prompts import ObjectMask

OVERLAP_BYTES = 256 * 2**20


class Overlap(StrEnum):
    """Which of the objects that were found at a pixel has it in the labels."""

    #: The one that has it already; of objects found together, that of the highest score there.
    #: Others stay bit for bit as one is found anew, and what it leaves is nobody's.
    KEEP = "keep"
    #: That of the highest score there, whichever was found first.
    HIGHEST = "highest"
    #: The one found last; of objects found together, that of the highest score there.
    OVERWRITE = "overwrite"

    @classmethod
    def _missing_(cls, value: object) -> None:
        keep, highest, overwrite = cls
        raise ValueError(
            f"There is no rule {value!r} for overlaps: expected {keep}, {highest} or {overwrite}."
        )


_ZERO = np.uint8(0)


@dataclass(frozen=True, slots=True)
class Claim:
    """One object as it was found on a frame, whoever has its pixels in the labels; compressed."""

    last: int  #: the number of the writing that it comes from
    origin: tuple[int, int]
    shape: tuple[int, int]
    packed_scores: bytes
    packed_lost: bytes = b""  #: empty where it lost nothing

    @classmethod
    def of(cls, last: int, origin: tuple[int, int], scores: np.ndarray) -> Self:
        """Compress scores (h, w) as `ObjectMask.sureness` gives them; it has lost nothing."""
        height, width = scores.shape
        # They change little from pixel to pixel: these differences are small, and often the same.
        steps = np.diff(np.diff(scores, axis=0, prepend=_ZERO), axis=1, prepend=_ZERO)
        return cls(last, origin, (height, width), zlib.compress(steps.tobytes(), 1))

    def losing(self, lost: np.ndarray) -> Claim:
        """Give the same with pixels (h, w) lost to others, if what is there is kept."""
        packed = zlib.compress(np.packbits(lost).tobytes(), 1) if lost.any() else b""
        return replace(self, packed_lost=packed)

    @property
    def scores(self) -> np.ndarray:
        """How sure each pixel is, as of `ObjectMask.sureness`; uint8, (h, w)."""
        steps = np.frombuffer(zlib.decompress(self.packed_scores), np.uint8).reshape(self.shape)
        scores: np.ndarray = steps.cumsum(axis=1, dtype=np.uint8).cumsum(axis=0, dtype=np.uint8)
        return scores

    @property
    def lost(self) -> np.ndarray:
        """Where others have its pixels, if what is there is kept; bool, (h, w)."""
        if not self.packed_lost:
            return np.zeros(self.shape, dtype=bool)
        data = np.frombuffer(zlib.decompress(self.packed_lost), np.uint8)
        n_pixels = self.shape[0] * self.shape[1]
        return np.unpackbits(data, count=n_pixels).astype(bool).reshape(self.shape)

    @property
    def region(self) -> tuple[slice, slice]:
        """The pixels of the frame that it covers."""
        (row, column), (height, width) = self.origin, self.shape
        return slice(row, row + height), slice(column, column + width)

    @property
    def nbytes(self) -> int:
        """About how much memory this takes."""
        return len(self.packed_scores) + len(self.packed_lost) + 200


class Claims:
    """What was found on each frame, also what is not in the labels, as far as there is room.

    Beyond the budget, frames that were written longest ago are let go: their labels stay as
    they are, whatever the rule, until the objects are found anew.

    Parameters
    ----------
    budget : int
        Bytes.
    save : callable
        Told of a frame before its claims change.
    """

    def __init__(self, budget: int, save: Callable[[int], None]) -> None:
        self._budget, self._save = budget, save
        self._frames: dict[int, dict[int, Claim]] = {}  #: the one written last is the last
        self._bytes = self._written = 0

    @property
    def frames(self) -> list[int]:
        """The frames of which anything is known, in order."""
        return sorted(self._frames)

    def on(self, frame: int) -> Mapping[int, Claim]:
        """Give what was found on a frame, by object."""
        return self._frames.get(frame, {})

    def swap(self, frame: int, claims: Mapping[int, Claim]) -> Mapping[int, Claim]:
        """Put claims in the place of others, which are given."""
        earlier = self._frames.pop(frame, {})
        self._bytes -= _size(earlier)
        if claims:
            self._frames[frame] = dict(claims)
            self._bytes += _size(claims)
        while self._bytes > self._budget:
            oldest = next(iter(self._frames))
            self._bytes -= _size(self._frames.pop(oldest))
        return earlier

    def take_over(self, earlier: Claims) -> None:
        """Go on with what others are."""
        for frame, claims in earlier._frames.items():
            self.swap(frame, claims)
        self._written = max(self._written, earlier._written)

    def forget(self) -> None:
        """Forget what is not in the labels, which stay as they are."""
        self._frames.clear()
        self._bytes = 0

    def replace(
        self, frame: int, ids: Collection[int], found: Sequence[ObjectMask]
    ) -> Mapping[int, Claim]:
        """Note what is found of objects on a frame now, and give all that is.

        Parameters
        ----------
        frame : int
        ids : collection of int
            The objects; those that are not found are not there.
        found : sequence of ObjectMask
        """
        self._save(frame)
        self._written += 1
        before = self.on(frame)
        claims = {i: claim for i, claim in before.items() if i not in ids}
        scores = {one.object_id: one.sureness for one in found if one.area}
        new = {
            one.object_id: Claim.of(self._written, one.origin, scores[one.object_id])
            for one in found
            if one.object_id in scores
        }
        if new:
            window = _around([claim.region for claim in new.values()])
            had = settle(claims, Overlap.KEEP, window) > 0
            surest = settle(new, Overlap.HIGHEST, window, scores)
        for object_id, claim in new.items():
            part, _ = _common(window, claim.region)
            assert part is not None
            claims[object_id] = claim.losing(had[part] | (surest[part] != object_id))
        self.swap(frame, claims)
        return claims

    def join(self, frame: int, into: int, other: int) -> None:
        """Count what was found of another object on a frame to this one."""
        claims = dict(self.on(frame))
        theirs = claims.pop(other, None)
        if theirs is not None:
            self._save(frame)
            mine = claims.get(into)
            claims[into] = theirs if mine is None else _joined(mine, theirs)
            self.swap(frame, claims)


def place(
    plane: np.ndarray,
    ids: Collection[int],
    before: Mapping[int, Claim],
    after: Mapping[int, Claim],
    rule: Overlap,
    found: Iterable[ObjectMask] = (),
) -> np.ndarray:
    """Give the labels of a frame on which some objects were found anew.

    Pixels of all others stay theirs, unless they claim them, too, and lose them by the rule.
    Pixels that nobody claims, as they were painted or belong to no object here, stay; so do
    those of objects whose claims are not given.

    Parameters
    ----------
    plane : np.ndarray, shape (H, W), integers
        The labels.
    ids : collection of int
        The objects that were found anew.
    before, after : mapping of int to Claim
        Of these and the others.
    rule : Overlap
    found : iterable of ObjectMask
        The objects, to save the time of unpacking their claims.

    Returns
    -------
    np.ndarray, shape (H, W)
        Of the same type.
    """
    mine = np.isin(plane, np.array(sorted(ids), dtype=plane.dtype))
    regions = [claims[i].region for claims in (before, after) for i in ids if i in claims]
    if (box := bounding_box(mine)) is not None:
        regions.append((slice(box[0], box[2] + 1), slice(box[1], box[3] + 1)))
    result = np.array(plane)
    if not regions:
        return result
    window = _around(regions)
    winner = settle(after, rule, window, {one.object_id: one.sureness for one in found})
    part, mine, out = plane[window], mine[window], result[window]
    out[mine] = winner[mine]
    others = {i: claim for i, claim in after.items() if i not in ids}
    free = (part == 0) | _had(part, others, window)
    taken = free & np.isin(winner, sorted(ids))
    out[taken] = winner[taken]
    return result


def settle_anew(
    plane: np.ndarray, claims: Mapping[int, Claim], before: Overlap, rule: Overlap
) -> np.ndarray:
    """Give the labels of a frame by another rule; pixels that the earlier one did not give stay."""
    result = np.array(plane)
    if claims:
        window = _around([claim.region for claim in claims.values()])
        given = plane[window] == settle(claims, before, window)
        result[window][given] = settle(claims, rule, window)[given]
    return result


def settle(
    claims: Mapping[int, Claim],
    rule: Overlap,
    window: tuple[slice, slice],
    unpacked: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """Give each pixel to one of those who claim it.

    Parameters
    ----------
    claims : mapping of int to Claim
        By object.
    rule : Overlap
    window : tuple of slice
        The part of the frame, (h, w), that is asked for.
    unpacked : mapping of int to np.ndarray, optional
        Scores of some claims, where they are at hand.

    Returns
    -------
    np.ndarray, shape (h, w), int64
        The objects' numbers; of equals the lowest has the pixel. 0 where nobody claims it.
    """
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    winner = np.zeros(shape, np.int64)
    best = np.zeros(shape, np.uint8)
    last = np.zeros(shape, np.int64)
    for object_id in sorted(claims):
        claim = claims[object_id]
        there, of_claim = _common(window, claim.region)
        if there is None:
            continue
        at_hand = (unpacked or {}).get(object_id)
        scores = (claim.scores if at_hand is None else at_hand)[of_claim]
        if rule is Overlap.KEEP:
            wins = (scores > 0) & ~claim.lost[of_claim]
        else:
            wins = scores > best[there]
        if rule is Overlap.OVERWRITE:
            later, as_late = claim.last > last[there], claim.last == last[there]
            wins = (scores > 0) & (later | (as_late & wins))
        winner[there][wins] = object_id
        best[there][wins] = scores[wins]
        last[there][wins] = claim.last
    return winner


def _had(part: np.ndarray, claims: Mapping[int, Claim], window: tuple[slice, slice]) -> np.ndarray:
    """Find the pixels of labels that those who have them claim."""
    had = np.zeros(part.shape, dtype=bool)
    for object_id, claim in claims.items():
        there, of_claim = _common(window, claim.region)
        if there is not None:
            had[there] |= (part[there] == object_id) & (claim.scores[of_claim] > 0)
    return had


def _around(regions: Sequence[tuple[slice, slice]]) -> tuple[slice, slice]:
    """Bound regions of a frame."""
    rows, columns = (
        slice(min(r[axis].start for r in regions), max(r[axis].stop for r in regions))
        for axis in (0, 1)
    )
    return rows, columns


def _common(
    window: tuple[slice, slice], region: tuple[slice, slice]
) -> tuple[tuple[slice, slice] | None, tuple[slice, slice]]:
    """Give what two parts of a frame have in common, in either; None if they are apart."""
    ends = [
        (max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(window, region, strict=True)
    ]
    if any(low >= high for low, high in ends):
        return None, region
    in_window, in_region = (
        tuple(slice(low - a.start, high - a.start) for (low, high), a in zip(ends, of, strict=True))
        for of in (window, region)
    )
    return (in_window[0], in_window[1]), (in_region[0], in_region[1])


def _joined(one: Claim, other: Claim) -> Claim:
    """Put two claims together: a pixel that one of them has is not lost."""
    window = _around([one.region, other.region])
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    scores, has = np.zeros(shape, np.uint8), np.zeros(shape, dtype=bool)
    for claim in (one, other):
        part, _ = _common(window, claim.region)
        if part is not None:
            scores[part] = np.maximum(scores[part], claim.scores)
            has[part] |= (claim.scores > 0) & ~claim.lost
    origin = window[0].start, window[1].start
    return Claim.of(max(one.last, other.last), origin, scores).losing((scores > 0) & ~has)


def _size(claims: Mapping[int, Claim]) -> int:
    return sum(claim.nbytes for claim in claims.values())
