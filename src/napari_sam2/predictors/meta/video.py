"""Meta's video predictor: a face of the tracker, with Meta's rules around prompts.

After ``sam2/sam2_video_predictor.py``. Positions are (x, y), as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from napari_sam2.model.mask_decoder import upsample
from napari_sam2.model.sam2 import SAM2, ObjectOutput, PromptTensors
from napari_sam2.predictors.meta.prompts import Frame, MetasPrompts, of_one_object, read_mask
from napari_sam2.predictors.meta.state import Answer, InferenceState, VideoObject
from napari_sam2.predictors.meta.tracker import RuledTracker
from napari_sam2.predictors.meta.video_frames import open_video
from napari_sam2.predictors.postprocess import fill_holes, without_overlap
from napari_sam2.predictors.segmenter import TrackerOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam2.predictors.device import Precision
    from napari_sam2.predictors.frames import ArrayLike

#: Objects by id, and their masks as logits (N, 1, H, W), on one frame.
FrameResult = tuple[int, list[int], Tensor]


class SAM2VideoPredictor(nn.Module):
    """Segments objects in a video from prompts on some of its frames.

    Meta's class of that name: the same methods, arguments, results and numbers.

    Parameters
    ----------
    model : SAM2
    fill_hole_area : int
        Holes of up to so many pixels of the low-resolution masks are filled.
    non_overlap_masks : bool
        Give each pixel of the results to one object at most.
    clear_non_cond_mem_around_input : bool
        Forget what was tracked near a frame with new prompts.
    add_all_frames_to_correct_as_cond : bool
        Let all frames attend to corrected frames as to prompted ones; otherwise corrections
        are tracked over.
    binarize_mask_from_pts_for_mem_enc : bool
        Remember prompted frames as the user sees them.
    precision : torch.dtype or Precision
        Of the computation. Meta's has no such argument: there as here, calls may be put into
        ``torch.autocast`` as well.
    """

    def __init__(
        self,
        model: SAM2,
        *,
        fill_hole_area: int = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        binarize_mask_from_pts_for_mem_enc: bool = False,
        precision: torch.dtype | Precision = torch.float32,
    ) -> None:
        super().__init__()
        self.model = model
        self.train(model.training)
        self.fill_hole_area = fill_hole_area
        self.non_overlap_masks = non_overlap_masks
        self.clear_non_cond_mem_around_input = clear_non_cond_mem_around_input
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self.binarize_mask_from_pts_for_mem_enc = binarize_mask_from_pts_for_mem_enc
        self.precision = precision

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
        """Make a predictor with a published model.

        Parameters
        ----------
        model_id : str
            See `build_sam2_hf`.
        **kwargs
            For `build_sam2_video_predictor`.
        """
        # That function makes an object of this class.
        from napari_sam2.predictors.meta.build import build_sam2_video_predictor_hf

        return build_sam2_video_predictor_hf(model_id, **kwargs)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def image_size(self) -> int:
        """Edge of the model's input, in pixels."""
        return self.model.config.image_size

    def init_state(
        self,
        video_path: str | Path | bytes | ArrayLike,
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
        *,
        remember_all: bool = True,
    ) -> InferenceState:
        """Open a video.

        Parameters
        ----------
        video_path : str, Path, bytes or array-like
            A folder of JPEGs ``<number>.jpg``, an MP4, or any array (T, H, W) or
            (T, H, W, 3).
        offload_video_to_cpu, offload_state_to_cpu, async_loading_frames : bool
            Accepted, and without effect: frames are read when they are needed.
        remember_all : bool
            Keep what was remembered of every frame, as Meta's predictor does. Without it
            memory does not grow with the frames, and results are the same as long as prompts
            come on frames near those visited last.

        Raises
        ------
        ValueError
            If it is no video; the message says why.
        """
        frames, (height, width) = open_video(video_path, self.image_size)
        options = TrackerOptions(
            field="frame",
            fill_hole_area=self.fill_hole_area,
            binarize_prompted=self.binarize_mask_from_pts_for_mem_enc,
            clear_around_prompts=self.clear_non_cond_mem_around_input,
            remember_all=remember_all,
        )
        tracker = RuledTracker(self.model, frames, precision=self.precision, options=options)
        return InferenceState(tracker, frames.n_frames, height, width)

    @torch.inference_mode()
    def add_new_points_or_box(
        self,
        inference_state: InferenceState,
        frame_idx: int,
        obj_id: int,
        points: Any = None,
        labels: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: Any = None,
    ) -> FrameResult:
        """Click on an object, or draw its box, on a frame.

        Parameters
        ----------
        inference_state : InferenceState
        frame_idx, obj_id : int
        points : array-like, shape (P, 2), optional
            (x, y), in pixels of the video, or in [0, 1] without `normalize_coords`.
        labels : array-like, shape (P,), optional
            1 on the object, 0 beside it.
        clear_old_points : bool
            Whether these replace the frame's earlier ones, or come on top.
        normalize_coords : bool
            Whether `points` and `box` are in pixels.
        box : array-like, shape (4,), optional
            (x0, y0, x1, y1).

        Returns
        -------
        frame_idx : int
        obj_ids : list of int
        masks : Tensor, shape (N, 1, H, W)
            Logits of every object on the frame.

        Raises
        ------
        ValueError
            If the prompts contradict each other.
        IndexError
            If there is no such frame.
        """
        state = inference_state
        state.check_frame(frame_idx)
        if box is not None and not clear_old_points:
            raise ValueError(
                "A box must come before the points; give it with clear_old_points=True, and the "
                "points again."
            )
        frame = Frame(state.shape if normalize_coords else None, self.image_size, self.device)
        asked = of_one_object(MetasPrompts(points, labels, box), frame)
        one = state.objects.setdefault(obj_id, VideoObject())
        asked = one.click(frame_idx, *asked, replace=clear_old_points)
        output = state.tracker.segmenter.decode_points(
            frame_idx,
            state.tracker.windows.whole,
            state.embedding(obj_id, frame_idx),
            PromptTensors(*asked, state.last_logits(obj_id, frame_idx)),
        )
        return self._answered(state, obj_id, frame_idx, output)

    def add_new_points(self, *args: Any, **kwargs: Any) -> FrameResult:
        """Do as `add_new_points_or_box`; an earlier name of it."""
        return self.add_new_points_or_box(*args, **kwargs)

    @torch.inference_mode()
    def add_new_mask(
        self, inference_state: InferenceState, frame_idx: int, obj_id: int, mask: Any
    ) -> FrameResult:
        """Give an object's mask on a frame; it replaces the frame's other prompts.

        Parameters
        ----------
        inference_state : InferenceState
        frame_idx, obj_id : int
        mask : array-like, shape (H, W)
            Anything but 0 is the object. Of any size: it is resized to the model's input.

        Returns
        -------
        frame_idx, obj_ids, masks
            See `add_new_points_or_box`.
        """
        state = inference_state
        state.check_frame(frame_idx)
        given = read_mask(mask)
        state.objects.setdefault(obj_id, VideoObject()).give_mask(frame_idx)
        whole = state.tracker.windows.whole
        output = state.tracker.segmenter.accept(frame_idx, whole, given)
        output = output._replace(logits=fill_holes(output.logits, self.fill_hole_area))
        return self._answered(state, obj_id, frame_idx, output)

    def propagate_in_video_preflight(self, inference_state: InferenceState) -> None:
        """Have the answers to prompts attended to; `propagate_in_video` begins with this.

        Raises
        ------
        ValueError
            If there is no object, or one without prompts.
        """
        inference_state.hand_over_answers(clear_around=self.clear_non_cond_mem_around_input)

    def propagate_in_video(
        self,
        inference_state: InferenceState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[FrameResult]:
        """Follow all objects through the video.

        Parameters
        ----------
        inference_state : InferenceState
        start_frame_idx : int, optional
            The first prompted frame unless given.
        max_frame_num_to_track : int, optional
            How many frames to go beyond the first; to the end unless given.
        reverse : bool
            Whether time runs backwards.

        Yields
        ------
        frame_idx, obj_ids, masks
            See `add_new_points_or_box`.
        """
        state = inference_state
        self.propagate_in_video_preflight(state)
        ids = state.obj_ids
        order = state.order(start_frame_idx, max_frame_num_to_track, reverse=reverse)
        with state.tracker.reading_ahead(order):
            for frame in tqdm(order, desc="propagate in video"):
                yield frame, ids, self.step(state, ids, frame, reverse=reverse)

    @torch.inference_mode()
    def step(
        self,
        inference_state: InferenceState,
        obj_ids: Sequence[int],
        frame_idx: int,
        *,
        reverse: bool = False,
    ) -> Tensor:
        """Find some of the objects on one frame; Meta's predictor has no such method.

        Parameters
        ----------
        inference_state : InferenceState
            After `propagate_in_video_preflight`.
        obj_ids : sequence of int
        frame_idx : int
        reverse : bool
            Whether time runs backwards.

        Returns
        -------
        Tensor, shape (N, 1, H, W)
            Logits.
        """
        state = inference_state
        if self.clear_non_cond_mem_around_input:
            state.forget_around_prompts(obj_ids, frame_idx)
        outputs = state.tracker.step(obj_ids, frame_idx, reverse=reverse)
        for obj_id in obj_ids:
            state.objects[obj_id].tracked[frame_idx] = reverse
        logits = torch.cat([outputs[obj_id].logits for obj_id in obj_ids])
        return self._at_video_size(state, logits)

    @torch.inference_mode()
    def clear_all_prompts_in_frame(
        self,
        inference_state: InferenceState,
        frame_idx: int,
        obj_id: int,
        need_output: bool = True,
    ) -> FrameResult | None:
        """Take an object's prompts back on one frame.

        Returns
        -------
        frame_idx, obj_ids, masks
            See `add_new_points_or_box`; None if not `need_output`.
        """
        state = inference_state
        state.check_frame(frame_idx)
        state.clear_prompts(obj_id, frame_idx)
        return self._result(state, frame_idx) if need_output else None

    @torch.inference_mode()
    def remove_object(
        self,
        inference_state: InferenceState,
        obj_id: int,
        strict: bool = False,
        need_output: bool = True,
    ) -> tuple[list[int], list[tuple[int, Tensor]]]:
        """Forget an object.

        Parameters
        ----------
        inference_state : InferenceState
        obj_id : int
        strict : bool
            Whether it is an error if there is no such object.
        need_output : bool
            Whether to give the masks of the others where it was prompted.

        Returns
        -------
        obj_ids : list of int
            Those that are left.
        updated : list of (int, Tensor)
            Frames, and the masks (N, 1, H, W) on them.

        Raises
        ------
        ValueError
            If there is no such object, and `strict`.
        """
        state = inference_state
        if obj_id not in state.objects:
            if strict:
                raise ValueError(f"There is no object {obj_id}; there are {state.obj_ids}.")
            return state.obj_ids, []
        asked = state.remove(obj_id)
        shown = asked if need_output and state.objects else []
        return state.obj_ids, [(frame, self._result(state, frame)[2]) for frame in shown]

    def reset_state(self, inference_state: InferenceState) -> None:
        """Forget all objects; the video stays open."""
        for obj_id in inference_state.obj_ids:
            self.remove_object(inference_state, obj_id, need_output=False)

    def _answered(
        self, state: InferenceState, obj_id: int, frame: int, output: ObjectOutput
    ) -> FrameResult:
        one = state.objects[obj_id]
        prompted = frame not in one.tracked or self.add_all_frames_to_correct_as_cond
        one.answers[frame] = Answer(output, prompted)
        return self._result(state, frame, prompted=prompted)

    def _result(
        self, state: InferenceState, frame: int, *, prompted: bool | None = None
    ) -> FrameResult:
        logits = state.logits(frame, prompted=prompted)
        return frame, state.obj_ids, self._at_video_size(state, logits)

    def _at_video_size(self, state: InferenceState, logits: Tensor) -> Tensor:
        masks = upsample(logits, state.shape)
        return without_overlap(masks) if self.non_overlap_masks else masks
