"""Which frames of a session a run visits, for which objects, and what is answered first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.predictors.passes import plan_answers, plan_correction, plan_passes
from napari_sam2.prompts import whole_number, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2.predictors.passes import Direction, Plan
    from napari_sam2.workspace.workspace import Workspace


def plan_run(
    work: Workspace, direction: Direction, span: range, objects: Iterable[int] | None
) -> Plan:
    """Plan how objects are followed from where they are prompted.

    Parameters
    ----------
    work : Workspace
    direction : {"forward", "backward", "both"}
    span : range
        The frames.
    objects : iterable of int, optional
        All that are prompted unless given.

    Raises
    ------
    ValueError
        If there is nothing to follow.
    """
    what = "The number of an object"
    ids = list(work.objects) if objects is None else whole_numbers(what, objects)
    prompted = {i: list(known.prompts) for i in ids if (known := work.known(i)).prompts}
    if not prompted:
        raise ValueError("Nothing to follow: add a point, a box or a mask first.")
    passes = plan_passes(prompted, direction, span.start, span.stop)
    if not any(one.frames for one in passes):
        raise ValueError(
            f"Nothing to follow {direction} in frames {span.start} to {span.stop - 1}: the "
            f"objects are prompted on frames {sorted(set().union(*prompted.values()))}."
        )
    visits = ((i, frame) for one in passes for frame, reached in one.visits() for i in reached)
    if not any(work.objects[i].is_open(frame) for i, frame in visits):
        raise ValueError(
            f"Nothing to follow {direction} in frames {span.start} to {span.stop - 1}: the "
            "objects are locked or have divided there. Unlock what is to be found anew."
        )
    return (*plan_answers(_unanswered(work, prompted), passes, span), *passes)


def plan_correction_run(work: Workspace, object_id: int, frame: int) -> Plan:
    """Plan how one object is followed from a frame with new prompts, up to its locked frames.

    Raises
    ------
    ValueError
        If the frame has no prompts of it, or is locked itself.
    """
    object_id = whole_number("The number of an object", object_id)
    frame = whole_number("A frame", frame)
    known = work.known(object_id)
    if frame not in known.prompts:
        raise ValueError(
            f"Nothing to correct: {known.name} has no prompts on frame {frame}. Click it there, "
            "or beside it."
        )
    if frame in known.locked:
        raise ValueError(f"{known.name} is locked on frame {frame}; unlock it to correct it there.")
    stop = work.source.n_frames if known.end is None else known.end
    passes = plan_correction(object_id, frame, known.locked, stop)
    ends = [end for one in passes for end in (one.frames[0], one.frames[-1])]
    unanswered = _unanswered(work, {object_id: list(known.prompts)})
    return (*plan_answers(unanswered, passes, range(min(ends), max(ends) + 1)), *passes)


def _unanswered(work: Workspace, prompted: dict[int, list[int]]) -> dict[int, list[int]]:
    """Keep the prompted frames that have no answer yet."""
    waiting = {}
    for object_id, frames in prompted.items():
        prompts = work.objects[object_id].prompts
        new = [f for f in frames if not work.tracker.is_answered(object_id, f, prompts[f])]
        if new:
            waiting[object_id] = new
    return waiting
