"""From an object's prompts on a frame to its mask there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.model.sam2 import MASK_SCALE, ObjectOutput
from napari_sam2.predictors.objects import (
    PromptedFrame,
    Sighting,
    TrackedObject,
    order_prompts,
)
from napari_sam2.predictors.transforms import mask_to_logits
from napari_sam2.predictors.windows import Found, Window, extent_of_logits, extent_of_mask
from napari_sam2.prompts import Candidates, MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_sam2.predictors.recall import Recall
    from napari_sam2.prompts import BoxPrompt, Prompt


#: Memories made again for a click, of those that were let go: each takes as long as the click.
MADE_AGAIN = 1


class Answerer:
    """Answers prompts; clicks one on top of the other, in windows that suit what they find.

    Parameters
    ----------
    recall : Recall
        What corrections of tracked masks attend to.
    """

    def __init__(self, recall: Recall) -> None:
        self.recall = recall
        self.segmenter = recall.segmenter

    def answer(
        self,
        known: TrackedObject,
        frame: int,
        prompts: Sequence[Prompt],
        earlier: np.ndarray | None,
    ) -> PromptedFrame:
        """Answer all of an object's prompts on a frame; see `Tracker.prompt`.

        Returns
        -------
        PromptedFrame
            The one there was if nothing new was asked.
        """
        last = known.prompted.get(frame)
        corrects = last.corrects if last else _is_correction(known, frame, prompts, earlier)
        ordered = order_prompts(prompts, corrects=corrects)
        if last and last.prompts == ordered:
            return last
        if last and (again := _chosen_anew(last, ordered)):
            output = self.segmenter.take(last.output, again.candidate)
            return replace(last, prompts=ordered, output=output)
        if isinstance(ordered[0], MaskPrompt):
            (window,) = self.segmenter.windows.first(ordered)
            output = self.segmenter.accept(frame, window, ordered[0].mask[window.region])
            return PromptedFrame(ordered, corrects, None, window, output)
        start = None
        if corrects:
            start = last.start if last else self._tracked_mask(known, frame, earlier)
        window, output = self._click(known, frame, ordered, start, corrects=corrects)
        return PromptedFrame(ordered, corrects, start, window, output)

    def offer(self, object_id: int, frame: int, answered: PromptedFrame) -> Candidates:
        """Give the masks of an answer, the surest first, and say which one was chosen."""
        ranked = self.segmenter.ranked(object_id, answered.window, answered.output)
        numbers, masks = zip(*ranked, strict=True)
        wanted = answered.candidate
        chosen = 0 if wanted is None else numbers.index(wanted)
        return Candidates(frame, self.segmenter.source.shape, masks, chosen, numbers)

    def expected_windows(
        self,
        known: TrackedObject | None,
        frame: int,
        place: tuple[float, float] | None = None,
    ) -> Sequence[Window]:
        """Give where a click would be looked at, at a place or else where the object was last.

        That is the whole frame where it was nowhere.
        """
        windows = self.segmenter.windows
        asked = () if place is None else (PointPrompt(frame, *place),)
        if known and (seen := known.seen_on(frame)):
            return (windows.fit(seen.window, seen.extent, asked) if asked else seen.window,)
        if asked:
            return windows.first(asked)
        near = known.nearest_sighting(frame, reverse=known.reverse) if known else None
        if near is None or near.extent is None:
            return (windows.whole,)
        top, left, bottom, right = near.extent
        return windows.first([PointPrompt(frame, (top + bottom) / 2, (left + right) / 2)])

    def _click(
        self,
        known: TrackedObject,
        frame: int,
        prompts: Sequence[Prompt],
        start: Sighting | None,
        *,
        corrects: bool,
    ) -> tuple[Window, ObjectOutput]:
        """Decode the first prompt, then every further click on top of the mask before it."""
        clicks = [p for p in prompts if not isinstance(p, MaskPrompt)]
        last = known.prompted.get(frame)
        answered = last.answers(prompts) if last else 0
        output: ObjectOutput | None = None
        seen = start
        if last and answered:
            output, seen = last.output, last.sighting
        windows = (seen.window,) if seen else self.segmenter.windows.first(clicks[:1])
        for count in range(answered + 1, len(clicks) + 1):
            asked = clicks[:count]
            if seen:
                windows = (self.segmenter.windows.fit(seen.window, seen.extent, asked),)
            ask = partial(self._decode, known, frame, asked, seen, corrects)
            window, found = self.segmenter.windows.settle(windows, asked, ask)
            if len(asked) == 1 and isinstance(asked[0], PointPrompt):
                found = self.segmenter.take(found, asked[0].candidate)
            seen, output = Sighting(window, found.logits, found.object_score), found
        assert seen  # there was at least one prompt that had no answer
        assert output
        return seen.window, output

    def _tracked_mask(
        self, known: TrackedObject, frame: int, earlier: np.ndarray | None
    ) -> Sighting | None:
        """Give a tracked mask, or the next best thing."""
        if frame in known.sightings:
            return known.sightings[frame]
        if earlier is None:
            return None
        extent = extent_of_mask(earlier)
        window = self.segmenter.windows.around(extent) if extent else self.segmenter.windows.whole
        model = self.segmenter.model
        part = earlier[window.region]
        logits = mask_to_logits(part, model.config.image_size, model.device)
        return Sighting(window, logits, logits.new_full((1, 1), MASK_SCALE / 2))

    def _decode(
        self,
        known: TrackedObject,
        frame: int,
        clicks: Sequence[PointPrompt | BoxPrompt],
        previous: Sighting | None,
        corrects: bool,
        window: Window,
    ) -> Found[ObjectOutput]:
        """Decode clicks in a window, on top of what was seen before them."""
        near = []
        if corrects:
            attended = self.recall.attended(
                known, frame, window, reverse=known.reverse, again=MADE_AGAIN
            )
            near = [attended] if attended.spatial else []
        embedding = self.segmenter.embedding(frame, window, near)
        logits = previous.through(window) if previous else None
        output = self.segmenter.decode(frame, window, embedding, clicks, logits)
        extent = extent_of_logits(output.logits[0, 0], window)
        return Found(output, extent, float(output.ious[0, 0]))


def _chosen_anew(last: PromptedFrame, prompts: Sequence[Prompt]) -> PointPrompt | None:
    """Give the click, if it is the only one, was answered, and only means another candidate."""
    (first, *others), (before, *more) = prompts, last.prompts
    if others or more or not (isinstance(first, PointPrompt) and isinstance(before, PointPrompt)):
        return None
    return first if replace(first, candidate=before.candidate) == before else None


def _is_correction(
    known: TrackedObject, frame: int, prompts: Sequence[Prompt], earlier: np.ndarray | None
) -> bool:
    """Whether prompts on a frame set out from a mask that was tracked, or that the user sees."""
    is_seen = earlier is not None and bool(earlier.any())
    if all(isinstance(p, PointPrompt) and not p.positive for p in prompts):
        return is_seen or frame in known.tracked
    is_lost = earlier is not None and not is_seen
    if frame in known.sightings:
        is_lost = known.sightings[frame].extent is None
    return frame in known.tracked and not is_lost
