"""Two objects that are one: their labels, prompts and quality put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.workspace.ledger import Ledger, SessionObject


def merge(ledger: Ledger, into: int, other: int) -> None:
    """Make one object of two; part of a step.

    Parameters
    ----------
    ledger : Ledger
    into : int
        The object that stays.
    other : int
        The object that is taken into it.

    Raises
    ------
    ValueError
        If one of them has divided before the other one ends.
    """
    one, two = ledger.objects[into], ledger.objects[other]
    end = _end(ledger, into, other)
    prompts = {
        frame: _prompts_of_both(ledger, frame, into, other)
        for frame in sorted(one.prompts.keys() | two.prompts.keys())
    }
    for object_id in (into, other):
        ledger.save_remembered(object_id)
    followed = ledger.tracker.followed_frames(into) | ledger.tracker.followed_frames(other)
    for frame in sorted(two.frames | ledger.labels.painted_with(other)):
        plane = np.array(ledger.labels.plane(frame))
        plane[plane == other] = into
        ledger.put_plane(frame, plane)
        ledger.claims.join(frame, into, other)
    ledger.quality.merge(into, other)
    for daughter, known in list(ledger.objects.items()):
        if known.parent == other:
            ledger.change(daughter, parent=into)
    ledger.end(other)
    ledger.change(
        into,
        prompts=prompts,
        frames=one.frames | two.frames,
        locked=_locked(one, two) | _locked(two, one),
        end=end,
    )
    ledger.tracker.remove(into)
    if followed:
        ledger.tracker.mark_tracked(into, followed)


def _locked(one: SessionObject, other: SessionObject) -> frozenset[int]:
    """Give the frames on which all that was found of both was accepted."""
    return one.locked - (other.frames - other.locked)


def _end(ledger: Ledger, into: int, other: int) -> int | None:
    """Give the frame on which both have divided; a daughter that is taken back has not."""
    one, two = ledger.objects[into], ledger.objects[other]
    left = [i for i, known in ledger.objects.items() if known.parent == into and i != other]
    ends = [two.end]
    if left or two.parent != into:
        ends.append(one.end)
    end = min((frame for frame in ends if frame is not None), default=None)
    there = one.frames | two.frames | one.prompts.keys() | two.prompts.keys()
    if end is not None and any(frame >= end for frame in there):
        raise ValueError(
            f"{one.name} and {two.name} cannot be one object: one of them divided on frame {end}, "
            "and the other one is there after that. Remove the daughters first."
        )
    return end


def _prompts_of_both(ledger: Ledger, frame: int, into: int, other: int) -> tuple[Prompt, ...]:
    """Put the prompts of two objects on a frame together, so that they mean both."""
    ids = [i for i in (into, other) if ledger.objects[i].prompts.get(frame)]
    asked = [ledger.objects[i].prompts[frame] for i in ids]
    plane = ledger.labels.plane(frame)
    found = (plane == into) | (plane == other)
    if any(isinstance(p, MaskPrompt) for prompts in asked for p in prompts):
        mask = np.zeros(plane.shape, dtype=bool)
        for object_id, prompts in zip(ids, asked, strict=True):
            given = [p.mask for p in prompts if isinstance(p, MaskPrompt)]
            mask |= given[0] if given else plane == object_id
        return (MaskPrompt(frame, mask),)
    all_of_them = [p for prompts in asked for p in prompts]
    boxes = [p for p in all_of_them if isinstance(p, BoxPrompt)]
    points = [p for p in all_of_them if isinstance(p, PointPrompt) and _still_holds(p, found)]
    return (*_around(boxes), *dict.fromkeys(points))


def _still_holds(point: PointPrompt, found: np.ndarray) -> bool:
    """Whether a point means the same; one that kept the objects apart does not."""
    if point.positive:
        return True
    row, column = (
        min(max(int(np.floor(at + 0.5)), 0), length - 1)
        for at, length in zip((point.row, point.column), found.shape, strict=True)
    )
    return not found[row, column]


def _around(boxes: Sequence[BoxPrompt]) -> tuple[BoxPrompt, ...]:
    """Give one box around all."""
    if not boxes:
        return ()
    corners = np.array([(b.row0, b.column0, b.row1, b.column1) for b in boxes])
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return (BoxPrompt(boxes[0].frame, *low.tolist(), *high.tolist()),)
