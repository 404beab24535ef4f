"""Stacks along a further axis: volumes through time, (T, Z, Y, X), or many positions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.prompts import MaskPrompt
from napari_sam2.results.tracks import make_tracks, merge_planes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from napari_sam2.predictors.passes import Direction
    from napari_sam2.prompts import FrameMasks
    from napari_sam2.results.tracks import Tracks
    from napari_sam2.session import Session

#: Planes in a row without it, beyond which an object of a volume is looked for no further.
EMPTY_PLANES = 2


@dataclass(frozen=True, slots=True, eq=False)
class SeriesStep:
    """One frame of one stack of a series."""

    position: int  #: along the axis of the series
    masks: FrameMasks  #: a frame is a plane of the stack there


class StackSeries:
    """A session for each stack along an axis, with one model, contrast, labels and numbering.

    ``series[7]`` is the session of the stack at position 7, made when it is first asked for:
    prompt it, correct it, propagate in it like in any other. What methods of the series have
    done in a stack that is complete cannot be undone, lest memory grows with their number.

    Parameters
    ----------
    first : Session
        Of one of the stacks: what it plays is the axis within a stack, and it holds the axis
        of the series.
    axis : int
        The axis of the series.

    Raises
    ------
    ValueError
        If the session does not hold that axis.

    Examples
    --------
    >>> session = Session(volumes, axis=1, view=View(held={0: 0}))  # (T, Z, Y, X)
    >>> cell = session.add_object()
    >>> session.add_points(cell, frame=12, points=[[120, 88]])  # frames are planes
    >>> for masks in session.propagate("both"):
    ...     print(masks.frame)
    >>> series = StackSeries(session, axis=0)
    >>> for step in series.follow():
    ...     print(step.position, step.masks.frame)
    """

    def __init__(self, first: Session, axis: int) -> None:
        source = first.source
        axis = axis % source.n_axes if -source.n_axes <= axis < source.n_axes else axis
        if axis not in source.held:
            raise ValueError(
                f"Axis {axis} is not held by the session, which holds {dict(source.held)}. Give it "
                f"one with view=View(held={{{axis}: 0}}), and the axis to play."
            )
        self.axis = axis
        self.length = source.label_shape[axis]
        self._first = first
        self._sessions = {source.held[axis]: first}
        #: Prompts that `follow` has made, by position and object: others are not taken back.
        self._seeds: defaultdict[int, dict[int, tuple[MaskPrompt, ...]]] = defaultdict(dict)

    def __getitem__(self, position: int) -> Session:
        if not 0 <= position < self.length:
            raise IndexError(f"There is no position {position}; the series has {self.length}.")
        if position not in self._sessions:
            held = {**self._first.source.held, self.axis: position}
            self._sessions[position] = self._first.at(held)
        return self._sessions[position]

    def propagate(
        self, direction: Direction = "forward", positions: Iterable[int] | None = None
    ) -> Generator[SeriesStep, None, None]:
        """Propagate in one stack after another; nothing goes from one to the next.

        Parameters
        ----------
        direction : {"forward", "backward", "both"}
            As in `Session.propagate`.
        positions : iterable of int, optional
            All where objects are prompted unless given.
        """
        for position in sorted(self._sessions) if positions is None else positions:
            session = self[position]
            if _is_open(session):
                for masks in session.propagate(direction):
                    yield SeriesStep(position, masks)
                _make_room(session)

    def follow(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        stop_after_empty: int | None = EMPTY_PLANES,
    ) -> Generator[SeriesStep, None, None]:
        """Follow objects from stack to stack, as volumes through time.

        Each object is taken from a volume to the next one in the plane in which it is largest:
        its mask there is followed by one step along the axis of the series. From that plane it
        is followed through the next volume, both ways. One that is lost is not in it, nor in
        those after it. An object that was prompted or locked in a volume by others than this
        method is found from that instead, from its prompts or else from the masks that were
        accepted; one that is new in it goes along from there.

        A generator: each step is a frame of a volume, already written when it is given, first
        the planes that objects are taken over in, then all. Stop asking to cancel; to resume,
        start from the last volume that was complete.

        Parameters
        ----------
        start : int, optional
            Where the objects are known; the first session's position unless given.
        end : int, optional
            The last volume, which may lie before the start; that of the series unless given.
        stop_after_empty : int, optional
            Planes in a row without an object, beyond which it is looked for no further.

        Raises
        ------
        IndexError
            If there is no such volume.
        """
        start = self._first.source.held[self.axis] if start is None else start
        end = self.length - 1 if end is None else end
        for position in (start, end):
            self[position]
        step = 1 if end > start else -1
        return self._follow(range(start, end, step), step, stop_after_empty)

    def tracks(self) -> Tracks:
        """Give all results as tracks for napari: the centre of each volume, by position."""
        rows_axis, columns_axis = self._first.source.seen
        names: dict[int, str | int] = {
            **self._first.source.held,
            rows_axis: "row",
            columns_axis: "column",
            self.axis: "frame",
        }
        if self._first.source.axis is not None:
            names[self._first.source.axis] = "plane"
        parts = [merge_planes(one.quality.rows(), at) for at, one in self._sessions.items()]
        rows = np.concatenate(parts)
        rows.sort(order=["object", "frame"])
        return make_tracks(rows, [names[n] for n in range(self._first.source.n_axes)], {})

    def _follow(
        self, positions: range, step: int, stop_after_empty: int | None
    ) -> Generator[SeriesStep, None, None]:
        for before in positions:
            position = before + step
            yield from self._carry(before, position)
            session = self[position]
            if _is_open(session):
                for masks in session.propagate("both", stop_after_empty=stop_after_empty):
                    yield SeriesStep(position, masks)
            _make_room(self[before])

    def _carry(self, before: int, position: int) -> Generator[SeriesStep, None, None]:
        """Take objects over to the next volume, as prompts in one plane each."""
        session, ours = self[position], self._ours(position)
        for plane, ids in self._largest_planes(before).items():
            wanted = [i for i in ids if i not in session.objects or i in ours]
            if wanted:
                masks = self._step_along(before, position, plane, wanted)
                ours -= self._seed_all(before, position, masks)
                yield SeriesStep(position, masks)
        for object_id in ours:
            self._seed(position, object_id, ())
            session.remove_object(object_id)

    def _ours(self, position: int) -> set[int]:
        """Give the objects of an earlier run that nobody else has prompted or locked since.

        The others are made ready to be found from what was said of them.
        """
        session, ours = self[position], set()
        for object_id in self._seeds[position].keys() & session.objects.keys():
            known = session.objects[object_id]
            seeds = {seed.frame: (seed,) for seed in self._seeds[position][object_id]}
            if any(prompts != seeds.get(plane) for plane, prompts in known.prompts.items()):
                self._seed(position, object_id, ())
            elif accepted := _accepted(session, object_id):
                self._seed(position, object_id, accepted)
            else:
                ours.add(object_id)
        return ours

    def _seed(self, position: int, object_id: int, seeds: Sequence[MaskPrompt]) -> None:
        """Put prompts in the place of those of an earlier run, as far as these are untouched."""
        session = self[position]
        for old in self._seeds[position].pop(object_id, ()):
            if session.prompts(object_id, old.frame) == (old,):
                session.clear_prompts(object_id, old.frame)
        for seed in seeds:
            session.set_prompts(object_id, seed.frame, (seed,))
        if seeds:
            self._seeds[position][object_id] = tuple(seeds)

    def _largest_planes(self, position: int) -> dict[int, list[int]]:
        """Give the objects of a volume by the plane in which each is largest."""
        session = self[position]
        largest: dict[int, tuple[int, int]] = {}  # area and plane, by object
        for plane in range(session.n_frames):
            labels = np.asarray(session.labels[session.source.index(plane)])
            ids, areas = np.unique(labels, return_counts=True)
            for object_id, area in zip(ids.tolist(), areas.tolist(), strict=True):
                if area > largest.get(object_id, (0, 0))[0]:
                    largest[object_id] = area, plane
        planes: defaultdict[int, list[int]] = defaultdict(list)
        for object_id, (_, plane) in largest.items():
            if object_id in session.objects:
                planes[plane].append(object_id)
        return planes

    def _step_along(self, before: int, position: int, plane: int, ids: list[int]) -> FrameMasks:
        """Follow objects in a plane by one step along the axis of the series."""
        held = {axis: at for axis, at in self._first.source.held.items() if axis != self.axis}
        if self._first.source.axis is not None:
            held[self._first.source.axis] = plane
        stack = self._first.at(held, self.axis)
        labels = np.asarray(stack.labels[stack.source.index(before)])
        stack.add_labels(before, np.where(np.isin(labels, ids), labels, 0))
        direction: Direction = "forward" if position > before else "backward"
        *_, masks = stack.propagate(direction, position, position + 1)
        return replace(masks, frame=plane)

    def _seed_all(self, before: int, position: int, masks: FrameMasks) -> set[int]:
        """Prompt objects with what was found of them in a plane; give those that were found."""
        session, found = self[position], set()
        for one in masks.objects:
            if one.area:
                if one.object_id not in session.objects:
                    session.add_object(self[before].objects[one.object_id].name, one.object_id)
                mask = MaskPrompt(masks.frame, one.logits > 0, one.origin, masks.shape)
                self._seed(position, one.object_id, (mask,))
                found.add(one.object_id)
        return found


def _accepted(session: Session, object_id: int) -> list[MaskPrompt]:
    """Give what is locked of an object, on the planes that it is on."""
    masks = []
    for plane in session.locked(object_id):
        labels = np.asarray(session.labels[session.source.index(plane)])
        if (mask := labels == object_id).any():
            masks.append(MaskPrompt(plane, mask))
    return masks


def _is_open(session: Session) -> bool:
    """Whether there is something to follow: an object that was not accepted in all planes."""
    planes = range(session.n_frames)
    return any(
        known.prompts and any(known.is_open(plane) for plane in planes)
        for known in session.objects.values()
    )


def _make_room(session: Session) -> None:
    """Keep no more of a stack that is done than its results and prompts."""
    session.release()
    session.forget_history()
    with session._work.lock:
        session._work.labels.earlier.begin()
