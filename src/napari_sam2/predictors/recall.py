"""What is remembered of objects, as the window they are looked at through needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.model.sam2 import TRACKED_MEMORIES
from napari_sam2.predictors.memory import Attended, FrameMemory
from napari_sam2.predictors.objects import Sighting
from napari_sam2.predictors.retention import make_again, wanted_again
from napari_sam2.predictors.strategies.strategy import Outlook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from napari_sam2.predictors.objects import PromptedFrame, TrackedObject
    from napari_sam2.predictors.segmenter import Segmenter
    from napari_sam2.predictors.strategies.strategy import Strategy
    from napari_sam2.predictors.windows import Window
    from napari_sam2.prompts import MaskPrompt


class Recall:
    """Encodes memories of objects, when they are wanted and for the window they are wanted in.

    Parameters
    ----------
    segmenter : Segmenter
    strategy : Strategy
        What is attended to.
    """

    def __init__(self, segmenter: Segmenter, strategy: Strategy) -> None:
        self.segmenter = segmenter
        self.strategy = strategy

    def aim(self, known: TrackedObject, frame: int, *, reverse: bool) -> Window:
        """Point the window of an object at where it was on the nearest frame.

        Where it was not, it is waited for in the same window.
        """
        windows = self.segmenter.windows
        if windows.edges and (seen := known.nearest_sighting(frame, reverse=reverse)):
            return windows.fit(seen.window, seen.extent)
        return known.window or windows.whole

    def attended(
        self,
        known: TrackedObject,
        frame: int,
        window: Window,
        *,
        reverse: bool,
        again: int = TRACKED_MEMORIES,
    ) -> Attended:
        """Choose what a frame attends to in a window, and encode what is not yet as needed.

        Parameters
        ----------
        known : TrackedObject
        frame : int
        window : Window
        reverse : bool
            Whether time runs backwards.
        again : int
            Of how many frames before this one memories are made again if they were let go.
        """
        if known.window != window:
            self._move(known, window)
        self._remember_prompted(known, window, but_for=frame)
        for before in wanted_again(known, frame, again, reverse=reverse):
            make_again(self.segmenter, known, before, window)
        n_frames = self.segmenter.source.n_frames
        return self.strategy.attended(known.memory, frame, reverse=reverse, n_frames=n_frames)

    def outlooks(
        self, known: TrackedObject, frame: int, window: Window, *, reverse: bool
    ) -> list[Outlook]:
        """Do as `attended` for each account of an object that goes on; the lead's is first."""
        before = frame + 1 if reverse else frame - 1
        lead = self.attended(known, frame, window, reverse=reverse)
        known.keep_rivals(before, reverse=reverse)
        rivals = [self.attended(one, frame, window, reverse=reverse) for one in known.rivals]
        notes = [one.note(before) for one in known.accounts]
        return [Outlook(*pair) for pair in zip([lead, *rivals], notes, strict=True)]

    def forget(self, known: TrackedObject, frame: int, *, reverse: bool) -> None:
        """Forget what will not be attended to after a frame."""
        for one in known.accounts:
            one.keep_near(frame, self.strategy.kept(one.memory, frame, reverse=reverse))

    def remember(
        self, frame: int, window: Window, seen: Sighting, pointer: Tensor, *, binarize: bool
    ) -> FrameMemory:
        """Encode a mask as others will attend to it in a window."""
        features = self.segmenter.encode(
            frame, window, seen.as_remembered(window), seen.object_score, binarize=binarize
        )
        return FrameMemory(features, pointer)

    def restart(self, known: TrackedObject, masks: Iterable[MaskPrompt]) -> None:
        """Remember masks as those of tracked frames, in the place of all that was tracked."""
        known.memory.tracked.clear()
        known.memory.dropped.clear()
        known.sightings.clear()
        known.rivals = []
        for mask in masks:
            (window,) = self.segmenter.windows.first([mask])
            if mask.box is None and known.window:
                window = known.window  # it is waited for where it was last looked for
            known.window = known.window or window
            # First of all: a new prompt has the tracked frames around it forgotten.
            self._remember_prompted(known, known.window)
            output = self.segmenter.accept(mask.frame, window, mask.mask[window.region])
            seen = Sighting(window, output.logits, output.object_score)
            self.take(known, mask.frame, seen, output.pointer, binarize=False)

    def take(
        self, known: TrackedObject, frame: int, seen: Sighting, pointer: Tensor, *, binarize: bool
    ) -> None:
        """Remember a mask as that of a tracked frame, in the window of the object's memories."""
        assert known.window is not None
        known.sightings[frame] = seen
        known.memory.tracked[frame] = self.remember(
            frame, known.window, seen, pointer, binarize=binarize
        )

    def _remember_prompted(
        self, known: TrackedObject, window: Window, but_for: int | None = None
    ) -> None:
        """Encode the prompted frames that are new, but for one."""
        for frame, prompted in known.prompted.items():
            if frame in known.memory.prompted or frame == but_for:
                continue
            remembered = self._prompted(prompted, frame, window)
            if self.segmenter.options.clear_around_prompts:
                known.memory.forget_around(frame)
            known.memory.prompted[frame] = remembered

    def _move(self, known: TrackedObject, window: Window) -> None:
        """Have everything that is remembered of an object in another window."""
        memory, known.window = known.memory, window
        for frame, one in memory.tracked.items():
            if one.features is not None:
                seen = known.sightings[frame]
                again = self.remember(frame, window, seen, one.pointer, binarize=False)
                memory.tracked[frame] = replace(one, features=again.features)
        for frame in memory.prompted:
            memory.prompted[frame] = self._prompted(known.prompted[frame], frame, window)

    def _prompted(self, prompted: PromptedFrame, frame: int, window: Window) -> FrameMemory:
        return self.remember(
            frame,
            window,
            prompted.sighting,
            prompted.output.pointer,
            binarize=self.segmenter.options.binarize_prompted,
        )
