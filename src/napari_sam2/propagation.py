"""Objects followed through frames, and written as they are found: what a session runs."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from napari_sam2.model.sam2 import TRACKED_MEMORIES
from napari_sam2.predictors.cancelling import Cancelled
from napari_sam2.predictors.passes import Answering, Pass
from napari_sam2.prompts import FrameMasks, ObjectMask
from napari_sam2.results.divisions import DivisionRule, DivisionWatch
from napari_sam2.workspace.wording import count

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from napari_sam2.predictors.passes import Plan
    from napari_sam2.prompts import MaskPrompt, Prompt
    from napari_sam2.workspace.ledger import Step
    from napari_sam2.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When an object is looked for no further."""

    stop_after_empty: int | None = None  #: frames in a row without it
    divisions: DivisionRule | None = None

    def __post_init__(self) -> None:
        if self.stop_after_empty is not None and self.stop_after_empty < 1:
            raise ValueError(
                f"An object ends after one empty frame or more; got {self.stop_after_empty}."
            )


class Presence:
    """Counts the frames in a row on which objects are not there, over one pass.

    Parameters
    ----------
    limit : int, optional
        After as many an object has ended; never unless given.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._empty: Counter[int] = Counter()

    def has_ended(self, object_id: int) -> bool:
        """Whether an object is looked for no further."""
        return self._limit is not None and self._empty[object_id] >= self._limit

    @property
    def is_limited(self) -> bool:
        """Whether any object may end."""
        return self._limit is not None

    def recall(self, object_id: int, n_empty: int) -> None:
        """Go on after so many frames in a row without an object."""
        self._empty[object_id] = n_empty

    def begin_again(self, object_id: int) -> None:
        """Look for an object once more."""
        del self._empty[object_id]

    def see(self, masks: FrameMasks) -> None:
        """Count a frame."""
        for one in masks.objects:
            self._empty[one.object_id] = 0 if one.area else self._empty[one.object_id] + 1


class Run:
    """Follows the objects of a workspace where a plan says, one step a frame.

    Parameters
    ----------
    work : Workspace
    rules : Rules
    verb : str
        What it does to the objects, as the user is told.
    """

    def __init__(self, work: Workspace, rules: Rules, verb: str = "propagate") -> None:
        self._work = work
        self._rules = rules
        self._diary = _Diary(work, verb)
        self._tracker = work.tracker
        self._followed: set[int] = set()

    def steps(self, plan: Plan) -> Generator[FrameMasks, None, None]:
        """Go through a plan; each step is written when it is given.

        Ends where something is undone meanwhile, or `Session.cancel` is called.
        """
        self._work.tracker.cancellation.begin()
        with suppress(Cancelled):
            yield from self._go_through(plan)

    def _go_through(self, plan: Plan) -> Generator[FrameMasks, None, None]:
        self._diary.begin(plan)
        with self._work.lock:
            self._work.labels.earlier.begin()
            self._followed = {i for part in plan for i in _objects_of(part)}
        for part in plan:
            if isinstance(part, Answering):
                yield from self._answer(part)
            else:
                with self._work.tracker.reading_ahead(part.frames):
                    yield from self._follow(part)

    def _answer(self, part: Answering) -> Generator[FrameMasks, None, None]:
        for frame in part.frames:
            self._answer_all(part.objects[frame], frame)
            with self._diary.page(part.objects[frame], frame) as goes_on:
                if not goes_on:
                    return
                self._catch_up()
                masks = self._work.tracker.answers(part.objects[frame], frame)
                if frame in part.written:
                    self._work.write(self._open(masks))
            yield masks

    def _follow(self, one: Pass) -> Generator[FrameMasks, None, None]:
        begins = dict(one.begins)  # daughters join
        one = replace(one, begins=begins)
        presence = Presence(self._rules.stop_after_empty)
        if presence.is_limited and one.frames:
            for object_id in begins:
                presence.recall(object_id, self._n_empty_before(one, object_id))
        rule = None if one.reverse else self._rules.divisions
        watch = DivisionWatch(rule) if rule else None
        for frame, reached in one.visits():
            self._begin(reached, frame, presence)
            # Held for one frame at a time, never while the caller has it.
            with self._diary.page(reached, frame) as goes_on:
                if not goes_on:
                    return
                masks = self._look(one, frame, self._open_ids(reached, frame), presence)
                presence.see(masks)
                if watch:
                    masks, daughters = self._divide(masks, watch.see(masks))
                    begins.update(dict.fromkeys(daughters, frame))
                self._work.write(masks)
            yield masks

    def _n_empty_before(self, one: Pass, object_id: int) -> int:
        """Count the frames in a row without an object that an earlier run ended with.

        Frames after them are passed over, as an object that has ended leaves nothing there.
        """
        first = max(one.frames[0], one.begins[object_id])
        known, rows = self._work.objects.get(object_id), self._work.quality.rows(object_id)
        if one.reverse:
            first = min(one.frames[0], one.begins[object_id])
            rows = rows[rows["frame"] > first]
        else:
            rows = rows[rows["frame"] < first][::-1]
        asked = known.prompts if known else ()
        empty = takewhile(lambda row: row["area"] == 0 and row["frame"] not in asked, rows)
        return sum(1 for _ in empty)

    def _begin(self, reached: Sequence[int], frame: int, presence: Presence) -> None:
        """Answer what is asked on a frame; an object that had ended is there again."""
        # Also where they are locked: what was accepted is followed from there.
        asked = [i for i in reached if self._prompts(i, frame)]
        self._answer_all(asked, frame)
        for object_id in asked:
            presence.begin_again(object_id)

    def _answer_all(self, ids: Iterable[int], frame: int) -> None:
        place = self._work.tracker.place
        for object_id in sorted(ids, key=lambda i: place(self._prompts(i, frame))):
            self._work.tracker.cancellation.check()
            self._work.answer(object_id, frame)

    def _catch_up(self) -> None:
        """Answer prompts anew where `Session.release` has let go of their answers meanwhile."""
        if self._tracker is not self._work.tracker:
            self._tracker = self._work.tracker
            for object_id in sorted(self._followed & self._work.objects.keys()):
                for frame in self._work.objects[object_id].prompts:
                    self._work.answer(object_id, frame)

    def _prompts(self, object_id: int, frame: int) -> Sequence[Prompt]:
        known = self._work.objects.get(object_id)
        return known.prompts.get(frame, ()) if known else ()

    def _open(self, masks: FrameMasks) -> FrameMasks:
        """Leave out objects that are not to be written on the frame."""
        ids = self._open_ids(masks.object_ids, masks.frame)
        return replace(masks, objects=tuple(m for m in masks.objects if m.object_id in ids))

    def _open_ids(self, ids: Iterable[int], frame: int) -> list[int]:
        known = self._work.objects
        return [i for i in ids if i in known and known[i].is_open(frame)]

    def _look(self, one: Pass, frame: int, ids: Sequence[int], presence: Presence) -> FrameMasks:
        """Find objects on a frame; those that have ended are taken out of its labels."""
        self._catch_up()
        tracker = self._work.tracker
        wanted = [i for i in ids if not presence.has_ended(i) and tracker.prompted_frames(i)]
        self._leave_locks(one, frame, wanted)
        self._work.erase(frame, [i for i in ids if presence.has_ended(i)])
        return next(tracker.track([(frame, wanted)], reverse=one.reverse))

    def _leave_locks(self, one: Pass, frame: int, ids: Sequence[int]) -> None:
        """Go on from accepted masks where the frame before is locked.

        What is found behind a lock then depends on what was accepted and on prompts alone.
        """
        behind = {i: locked for i in ids if (locked := self._locked_before(one, i, frame))}
        accepted: dict[int, list[MaskPrompt]] = {i: [] for i in behind}
        for before in sorted({f for locked in behind.values() for f in locked}):
            on_frame = [i for i, locked in behind.items() if before in locked]
            for object_id, mask in self._work.labels.masks(before, on_frame).items():
                accepted[object_id].append(mask)
        for object_id, masks in accepted.items():
            self._work.tracker.go_on_from(object_id, masks)

    def _locked_before(self, one: Pass, object_id: int, frame: int) -> list[int]:
        """Give the locked frames in a row that lie just before one, as far as they are seen."""
        step = one.frames.step
        before = range(frame - step, frame - step * (TRACKED_MEMORIES + 1), -step)
        locked = self._work.objects[object_id].locked
        return list(takewhile(lambda f: f in locked and one.reaches(object_id, f), before))

    def _divide(
        self, masks: FrameMasks, divided: Mapping[int, Sequence[MaskPrompt]]
    ) -> tuple[FrameMasks, list[int]]:
        """Put daughters in the place of what has divided; give these, too."""
        shown: list[ObjectMask] = []
        born: list[int] = []
        for one in masks.objects:
            known = self._work.objects.get(one.object_id)
            # What the user said of this frame or a later one is that it is still one.
            lasts = known and any(f >= masks.frame for f in (*known.prompts, *known.locked))
            if lasts or one.object_id not in divided:
                shown.append(one)
                continue
            parts = divided[one.object_id]
            daughters = self._work.divide(one.object_id, masks.frame, parts)
            shown += [ObjectMask.given(i, part) for i, part in zip(daughters, parts, strict=True)]
            born += daughters
        self._followed.update(born)
        for daughter in born:
            self._work.answer(daughter, masks.frame)
        return replace(masks, objects=tuple(shown)), born


class _Diary:
    """Writes a run into the history: one step, and another where others stepped in between.

    Parameters
    ----------
    work : Workspace
    verb : str
    """

    def __init__(self, work: Workspace, verb: str) -> None:
        self._work, self._verb = work, verb
        self._who = ""
        self._rewinds = 0
        self._step: Step | None = None
        self._frames: set[int] = set()

    def begin(self, plan: Plan) -> None:
        """Note who is followed, and that nothing was undone since."""
        with self._work.lock:
            ids = {i for part in plan for i in _objects_of(part)}
            names = [known.name for i, known in self._work.objects.items() if i in ids]
            self._who = names[0] if len(names) == 1 else count(len(names), "object")
            self._rewinds = self._work.history.rewinds

    @contextmanager
    def page(self, ids: Iterable[int], frame: int) -> Iterator[bool]:
        """Hold the lock for a frame, and say whether the run goes on: nothing was undone."""
        with self._work.lock:
            if self._work.history.rewinds != self._rewinds:
                yield False
                return
            with self._work.step(f"{self._verb} {self._who} over 1 frame", self._step) as step:
                if step is not self._step:
                    self._step, self._frames = step, set()
                self._work.save_remembered(ids)
                yield True
                self._frames.add(frame)
                frames = count(len(self._frames), "frame")
                step.text = f"{self._verb} {self._who} over {frames}"


def _objects_of(part: Pass | Answering) -> Iterable[int]:
    """Give the objects of a part of a plan."""
    if isinstance(part, Answering):
        return {i for ids in part.objects.values() for i in ids}
    return part.begins
