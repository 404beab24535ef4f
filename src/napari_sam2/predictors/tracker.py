"""The engine: objects prompted on some frames, followed through the others."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_sam2.predictors.answering import Answerer
from napari_sam2.predictors.batches import explains_memory
from napari_sam2.predictors.cancelling import Cancellation
from napari_sam2.predictors.following import Follower
from napari_sam2.predictors.objects import (
    Remembered,
    TrackedObject,
    check_prompt,
)
from napari_sam2.predictors.recall import Recall
from napari_sam2.predictors.retention import Kept, let_go
from napari_sam2.predictors.segmenter import Segmenter, TrackerOptions
from napari_sam2.predictors.strategies import find_strategy
from napari_sam2.prompts import (
    Candidates,
    FrameMasks,
    MaskPrompt,
    ObjectMask,
    Prompt,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np

    from napari_sam2.model.sam2 import SAM2, ObjectOutput
    from napari_sam2.predictors.device import Precision
    from napari_sam2.predictors.frames import Frames
    from napari_sam2.predictors.windows import Window


class Tracker:
    """Segments objects where they are prompted, and follows them from there.

    What is kept is what can be attended to: the prompted frames, and the tracked frames
    near them and near the last one visited. Results are yielded, not stored.

    Each object is looked for in a window that moves with it (see `TrackerOptions`). When it
    moves, what is remembered of the object is made anew, out of its masks and the frames.

    Frames that follow a prompt get Meta's numbers. Around prompts we part from Meta's video
    predictor, each time so that the user is not surprised: a correction always counts as
    prompted and clears the memories around it (there an option, off), clicks are decoded
    one on top of the other also when they come at once, a mask is given back exactly as it
    came, and frames are made smaller with averaging, by which fine structures do not flicker.

    Parameters
    ----------
    model : SAM2
        In evaluation mode, on the device to compute on.
    source : Frames
        The frames.
    precision : torch.dtype or Precision
        Of the computation; float32 is exact.
    options : TrackerOptions, optional
    found : callable, optional
        Gives the mask (H, W) of an object on a frame, as it was found earlier, or None. Frames
        that are no longer remembered, and are attended to again, are remembered by it.
    cancellation : Cancellation, optional
        By which it is told to end what it computes.
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        *,
        precision: torch.dtype | Precision = torch.float32,
        options: TrackerOptions | None = None,
        found: Callable[[int, int], np.ndarray | None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.source = source
        self.options = options or TrackerOptions()
        self.segmenter = Segmenter(model, source, precision, self.options)
        self.windows = self.segmenter.windows
        strategy = find_strategy(self.options.strategy)
        self._recall = Recall(self.segmenter, strategy)
        #: Asked for, no further batch of objects is begun.
        self.cancellation = cancellation or Cancellation()
        self._follower = Follower(self.segmenter, strategy, self.cancellation)
        self._answerer = Answerer(self._recall)
        self._found = found
        self._limit = Kept(self.options.memory_bytes, self.options.result_bytes)
        self._objects: dict[int, TrackedObject] = {}

    @property
    def device(self) -> torch.device:
        """What is computed on."""
        return self.segmenter.model.device

    def prompted_frames(self, object_id: int) -> list[int]:
        """Give the frames on which an object is prompted, in order."""
        known = self._objects.get(object_id)
        return sorted(known.prompted) if known else []

    @torch.inference_mode()
    def prompt(
        self,
        object_id: int,
        frame: int,
        prompts: Sequence[Prompt],
        earlier: np.ndarray | None = None,
    ) -> Candidates:
        """Segment an object on one frame from all its prompts there.

        The first prompt (the box, if there is one) gives a mask, each further click
        corrects it: the same prompts always have the same answer, whether they come at
        once or click by click. On a frame that the object was tracked over, the clicks
        correct the tracked mask; the frame then counts as prompted. So do negative points
        alone wherever there is an earlier mask. Where the object was tracked over but not
        found, a click on it begins anew: there is nothing to correct.

        Where the first prompt is a click that names a candidate, that one is taken in the place
        of the surest, and further clicks correct it.

        Parameters
        ----------
        object_id : int
        frame : int
        prompts : sequence of Prompt
            Points and at most one box, or one mask.
        earlier : np.ndarray, shape (H, W), bool, optional
            The object's mask that the user sees on this frame, for when the tracker no
            longer has it.

        Raises
        ------
        ValueError
            If the prompts contradict each other or say nothing.
        IndexError
            If there is no such frame.
        """
        self.answer(object_id, frame, prompts, earlier)
        if given := self._mask_given(object_id, frame):
            return Candidates(frame, self.source.shape, (given,))
        return self._answerer.offer(object_id, frame, self._objects[object_id].prompted[frame])

    @explains_memory
    @torch.inference_mode()
    def answer(
        self,
        object_id: int,
        frame: int,
        prompts: Sequence[Prompt],
        earlier: np.ndarray | None = None,
    ) -> None:
        """Do as `prompt`, without bringing the masks to the frame."""
        for prompt in prompts:
            check_prompt(prompt, frame, self.source.shape)
        known = self._objects.get(object_id) or self._new(object_id)
        answered = self._answerer.answer(known, frame, prompts, earlier)
        if answered is not known.prompted.get(frame):
            known.prompted[frame] = answered
            known.memory.prompted.pop(frame, None)  # encoded again before it is attended to
            self._objects[object_id] = known

    def is_answered(self, object_id: int, frame: int, prompts: Sequence[Prompt]) -> bool:
        """Whether these prompts have an answer already, in whatever order they came."""
        known = self._objects.get(object_id)
        last = known.prompted.get(frame) if known else None
        return last is not None and last.is_answer_to(prompts)

    def expected_windows(
        self, object_id: int, frame: int, place: tuple[float, float] | None = None
    ) -> Sequence[Window]:
        """Give where a click on an object would be looked at, if it is at `place`.

        Unless given, that is where the object was on the nearest frame, and the whole frame where
        it was nowhere.
        """
        return self._answerer.expected_windows(self._objects.get(object_id), frame, place)

    def place(self, prompts: Sequence[Prompt]) -> tuple[int, int]:
        """Give where prompts are looked at first; whoever asks in this order shares windows."""
        window = self.windows.first(prompts)[0]
        return window.row, window.column

    def clear(self, object_id: int, frame: int) -> None:
        """Forget an object's prompts on a frame; with its last ones, all that followed."""
        known = self._objects.get(object_id)
        if known is None or frame not in known.prompted:
            return
        cleared = known.prompted.pop(frame)
        known.memory.prompted.pop(frame, None)
        if not cleared.corrects:
            known.tracked.discard(frame)  # the next click there begins anew
        if not known.prompted:
            del self._objects[object_id]

    def remove(self, object_id: int) -> None:
        """Forget an object."""
        self._objects.pop(object_id, None)

    def mark_tracked(self, object_id: int, frames: Iterable[int]) -> None:
        """Say that an object's mask on these frames is known, from an earlier session."""
        known = self._objects.setdefault(object_id, self._new(object_id))
        known.tracked.update(frames)
        known.memory.dropped.update(known.tracked - known.memory.tracked.keys())

    def remembered(self, object_id: int) -> Remembered | None:
        """Give what is to be kept of an object, for `restore`; None if nothing is known."""
        known = self._objects.get(object_id)
        if known is None:
            return None
        return Remembered.of(known, self.source)

    def restore(self, object_id: int, remembered: Remembered | None) -> None:
        """Forget an object but for what is given; in another source, prompts are answered anew."""
        self.remove(object_id)
        if remembered is None:
            return
        is_mine = remembered.source is self.source
        self.mark_tracked(object_id, remembered.tracked if is_mine else remembered.followed)
        if is_mine:
            self._objects[object_id].prompted.update(remembered.prompted)

    def followed_frames(self, object_id: int) -> set[int]:
        """Give the frames on which a new click corrects, rather than begins."""
        known = self._objects.get(object_id)
        return known.followed if known else set()

    def track(
        self, visits: Iterable[tuple[int, Sequence[int]]], *, reverse: bool = False
    ) -> Generator[FrameMasks, None, None]:
        """Follow objects over frames; one step is one frame.

        Stop asking to cancel: what was yielded stays valid, and a later call goes on from
        there.

        Parameters
        ----------
        visits : iterable of (int, sequence of int)
            Frames in the order to visit them, rising or falling, and the objects to look
            for on each. Objects without prompts are passed over.
        reverse : bool
            Whether time runs backwards.

        Yields
        ------
        FrameMasks
            One a frame, with the objects looked for on it.
        """
        for frame, object_ids in visits:
            # An object may lose its prompts between two frames.
            prompted = [i for i in object_ids if self.prompted_frames(i)]
            yield self._masks(frame, self.step(prompted, frame, reverse=reverse))

    @torch.inference_mode()
    def answers(self, object_ids: Iterable[int], frame: int) -> FrameMasks:
        """Give the masks of objects on a frame where they are prompted; others are left out."""
        known = {i: self._objects[i].prompted for i in object_ids if i in self._objects}
        outputs = {i: one[frame].output for i, one in known.items() if frame in one}
        return self._masks(frame, outputs)

    @torch.inference_mode()
    def go_on_from(self, object_id: int, masks: Iterable[MaskPrompt]) -> None:
        """Remember masks as those of frames just tracked, in the place of all that was tracked.

        Parameters
        ----------
        object_id : int
        masks : iterable of MaskPrompt
            Known to be true. Prompted frames are remembered as they are.
        """
        known = self._objects[object_id]
        self._recall.restart(known, [mask for mask in masks if mask.frame not in known.prompted])

    def reading_ahead(self, frames: Sequence[int]) -> AbstractContextManager[None]:
        """Have frames read in a thread before they are tracked, for as long as this is open.

        Parameters
        ----------
        frames : sequence of int
            In the order of the steps to come.
        """
        return self.segmenter.reader.ahead(frames)

    @explains_memory
    @torch.inference_mode()
    def step(
        self, object_ids: Iterable[int], frame: int, *, reverse: bool = False
    ) -> dict[int, ObjectOutput]:
        """Find objects on one frame, as tensors at the model's own resolution.

        Parameters
        ----------
        object_ids : iterable of int
            Each prompted on some frame.
        frame : int
        reverse : bool
            Whether time runs backwards.

        Returns
        -------
        dict of int to ObjectOutput
            By object, in the order given; each with B = 1.

        Raises
        ------
        DeviceMemoryError
            If there is no memory even for one object at a time.
        Cancelled
            If `cancellation` was asked for; nothing counts as found on the frame then.
        """
        self.segmenter.reader.arrive(frame)
        objects = {i: self._objects[i] for i in object_ids}
        outputs = {}
        windows: dict[Window, list[int]] = defaultdict(list)
        for object_id, known in objects.items():
            if frame in known.prompted:
                outputs[object_id] = known.prompted[frame].output
            else:
                windows[self._recall.aim(known, frame, reverse=reverse)].append(object_id)
        followed = []  # and not remembered before all are found
        for window, ids in windows.items():  # of each in turn: frames are encoded once for it
            outlooks = {
                i: self._recall.outlooks(objects[i], frame, window, reverse=reverse) for i in ids
            }
            for object_id, found in self._follower.follow_each(frame, window, outlooks):
                followed.append((object_id, window, found))
        for object_id, window, found in followed:
            outputs[object_id] = found[0].output
            objects[object_id].go_on(frame, window, found)
        for known in objects.values():
            known.tracked.add(frame)
            known.reverse, known.last = reverse, frame
            if not self.options.remember_all:
                self._recall.forget(known, frame, reverse=reverse)
        if not self.options.remember_all:
            let_go(self._objects.values(), frame, self._limit)
        return {i: outputs[i] for i in objects}

    def window(self, object_id: int, frame: int) -> Window:
        """Give the part of a frame in which an object was looked for, on the last one visited."""
        known = self._objects[object_id]
        prompted = known.prompted.get(frame)
        return prompted.window if prompted else known.window or self.windows.whole

    def _new(self, object_id: int) -> TrackedObject:
        return TrackedObject(found=partial(self._found, object_id) if self._found else None)

    def _masks(self, frame: int, outputs: Mapping[int, ObjectOutput]) -> FrameMasks:
        """Bring masks to the frame, those that the user gave as they came."""
        masks = [
            self._mask_given(i, frame) or self.segmenter.mask(i, self.window(i, frame), output)
            for i, output in outputs.items()
        ]
        return FrameMasks(frame, self.source.shape, tuple(masks))

    def _mask_given(self, object_id: int, frame: int) -> ObjectMask | None:
        """Give the user's own mask on a frame, if there is one."""
        prompted = self._objects[object_id].prompted.get(frame)
        if prompted is None or not isinstance(prompted.prompts[0], MaskPrompt):
            return None
        return ObjectMask.given(object_id, prompted.prompts[0])
