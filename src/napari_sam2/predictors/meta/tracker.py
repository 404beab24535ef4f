"""The engine with what only Meta's video predictor asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam2.predictors.objects import PromptedFrame, Sighting
from napari_sam2.predictors.tracker import Tracker

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.model.sam2 import ObjectOutput


class RuledTracker(Tracker):
    """A tracker that is told what was found on prompted frames, by Meta's rules."""

    @torch.inference_mode()
    def take(self, object_id: int, frame: int, output: ObjectOutput, *, prompted: bool) -> None:
        """Take masks that were found by other rules than those of `prompt`.

        Parameters
        ----------
        object_id : int
        frame : int
        output : ObjectOutput
            On the whole frame, with B = 1.
        prompted : bool
            Whether every other frame attends to this one from now on, and it is not tracked
            over; else it is remembered as if it had been tracked.
        """
        known = self._objects.setdefault(object_id, self._new(object_id))
        known.window = whole = self.windows.whole
        if prompted:
            known.prompted[frame] = PromptedFrame((), False, None, whole, output)
            known.memory.prompted.pop(frame, None)
            known.memory.tracked.pop(frame, None)
            return
        seen = Sighting(whole, output.logits, output.object_score)
        binarize = self.options.binarize_prompted
        self._recall.take(known, frame, seen, output.pointer, binarize=binarize)

    @torch.inference_mode()
    def demote(self, object_id: int, frame: int) -> None:
        """Count a frame that was prompted among those tracked over."""
        known = self._objects[object_id]
        prompted = known.prompted.pop(frame)
        known.memory.prompted.pop(frame, None)
        self.take(object_id, frame, prompted.output, prompted=False)

    def forget_around(self, object_id: int, frame: int) -> None:
        """Forget the tracked frames near one, which may show an object as it was before."""
        self._objects[object_id].forget_around(frame)

    def sighting(self, object_id: int, frame: int) -> Sighting | None:
        """Give what is known of an object on a frame: prompted, or tracked and in reach."""
        known = self._objects.get(object_id)
        return known.seen_on(frame) if known else None

    @torch.inference_mode()
    def embedding(self, object_id: int, frame: int, *, reverse: bool = False) -> Tensor:
        """Give the features of a whole frame, conditioned on an object's memories."""
        known, whole = self._objects[object_id], self.windows.whole
        attended = self._recall.attended(known, frame, whole, reverse=reverse)
        return self.segmenter.embedding(frame, whole, [attended])
