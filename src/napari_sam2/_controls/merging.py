"""Objects that are one: the session makes them so, and their prompts are drawn as one object's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._worker import Call
from napari_sam2.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.news import NewsReader
    from napari_sam2._controls.tasks import Task
    from napari_sam2._controls.timeline import Timeline
    from napari_sam2._worker import Queue
    from napari_sam2.prompts import Prompt

#: By frame.
Merged = dict[int, tuple["Prompt", ...]]


class Merger:
    """Makes one object of those that are selected.

    Parameters
    ----------
    parts : Parts
    news : NewsReader
        Is neither to take the objects out, nor to draw their prompts: both is done here.
    bench : Bench
    timeline : Timeline
    edits : Queue
        Where changes of the session wait for their turn.
    read : callable
        Reads layers and controls; gives None where they make no sense.
    """

    def __init__(
        self,
        parts: Parts,
        news: NewsReader,
        bench: Bench,
        timeline: Timeline,
        edits: Queue,
        read: Callable[[], Task | None],
    ) -> None:
        self._panels, self._layers, self._results = parts.panels, parts.layers, parts.results
        self._painting, self._bench, self._timeline = parts.painting, bench, timeline
        self._news = news
        self._edits, self._read = edits, read
        self._panels.objects.merge_wanted.connect(self.merge)

    def merge(self, ids: Sequence[int]) -> None:
        """Make one object of several: the first of them stays."""
        task = self._read()
        if task is None:
            return
        into, *others = ids
        self._results.forget(*ids)
        self._news.expected.update(ids)
        self._edits.add(
            Call(
                partial(self._bench.merge, task, into, tuple(others)),
                on_step=partial(self._show, task, into, tuple(others)),
                on_error=partial(self._fail, tuple(ids)),
            )
        )

    def _fail(self, ids: tuple[int, ...], error: Exception) -> None:
        self._news.expected.difference_update(ids)
        self._panels.status.report(error)

    def _show(self, task: Task, into: int, others: tuple[int, ...], merged: Merged) -> None:
        """Draw the prompts of all as the session has put them together."""
        self._news.expected.difference_update((into, *others))
        stack = task.stack
        if stack.image is not self._panels.image.image():
            return
        frames = _frames_of_several(task.prompts, (into, *others))
        for frame in frames:
            for object_id in (into, *others):
                self._layers.remove(stack, object_id, frame)
                self._painting.remove(stack, object_id, frame)
        for other in others:
            self._layers.give_to(stack, other, into)
            self._painting.rename(stack, other, into, list(task.prompts.get(other, {})))
        for frame in frames:
            masks = [p for p in merged.get(frame, ()) if isinstance(p, MaskPrompt)]
            for mask in masks:
                self._painting.paint(stack, into, frame, mask.mask)
            if not masks:
                self._layers.add(stack, {into: {frame: merged.get(frame, ())}})
        self._panels.objects.take_out(others)
        self._panels.objects.make_current(into)
        self._timeline.amend()
        self._read()
        if (labels := self._bench.labels_found(stack)) is not None:
            self._results.show_labels(stack, labels)
        self._panels.status.say(f"{len(others) + 1} objects are {task.names[into]} now.")


def _frames_of_several(
    prompts: Mapping[int, Mapping[int, object]], ids: Sequence[int]
) -> list[int]:
    """Give the frames on which more than one of some objects is prompted."""
    frames = [frame for i in ids for frame in prompts.get(i, {})]
    return sorted({frame for frame in frames if frames.count(frame) > 1})
