"""What the network says of one frame, and how its masks come back to the frame. No state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sam2.model.mask_decoder import DecodedMasks
from napari_sam2.model.sam2 import LOGIT_LIMIT, ObjectOutput, PromptTensors
from napari_sam2.predictors.device import Precision, autocast
from napari_sam2.predictors.feature_store import FeatureStore
from napari_sam2.predictors.features import FeatureCache
from napari_sam2.predictors.memory import Attended, collate, group
from napari_sam2.predictors.postprocess import fill_holes
from napari_sam2.predictors.prefetch import ReadAhead
from napari_sam2.predictors.transforms import cut_out, encode_clicks, mask_to_input
from napari_sam2.predictors.windows import Field, Window, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from napari_sam2.model.sam2 import SAM2, Memories
    from napari_sam2.predictors.frames import Frames
    from napari_sam2.predictors.strategies import StrategyName
    from napari_sam2.prompts import BoxPrompt, ObjectMask, PointPrompt


@dataclass(frozen=True, kw_only=True)
class TrackerOptions:
    """Choices that change results or the memory taken."""

    #: What the model sees: a window that suits the object, or always the whole frame, as in
    #: Meta's predictor. They differ where objects are small in their frames.
    field: Field = "auto"
    fill_hole_area: int = 8  #: pixels of the low-resolution mask; 0 leaves holes
    binarize_prompted: bool = True  #: remember prompted frames as the user sees them
    clear_around_prompts: bool = True  #: forget tracked frames near new prompts
    #: Keep memories that no frame nearby attends to, for frames far away to be prompted again
    #: with Meta's numbers; what is kept then grows with the frames.
    remember_all: bool = False
    #: Which masks objects are followed by, and what is remembered: SAM 2's rule, or that of
    #: SAM2Long or SAMURAI. See `napari_sam2.predictors.strategies`.
    strategy: StrategyName = "sam2"
    max_objects: int = 16  #: in one batch
    #: Of memories. Beyond it those are let go that no frame near the last one attends to, and
    #: made again when they are: see `napari_sam2.predictors.retention`.
    memory_bytes: int = 512 * 2**20
    result_bytes: int = 256 * 2**20  #: of low-resolution masks, likewise
    feature_bytes: int = 64 * 2**20  #: of image features kept for frames visited again
    #: Where image features are kept from one session to the next, if anywhere: frames that
    #: were seen before are not encoded again.
    feature_folder: Path | None = None
    feature_folder_bytes: int = 8 * 2**30  #: of all files there
    ahead_bytes: int = 128 * 2**20  #: of frames read ahead in a thread; 0: there is none


class Segmenter:
    """Asks the network about frames of a source.

    Parameters
    ----------
    model : SAM2
        In evaluation mode, on the device to compute on.
    source : Frames
    precision : torch.dtype or Precision
        Of the computation.
    options : TrackerOptions
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        precision: torch.dtype | Precision,
        options: TrackerOptions,
    ) -> None:
        self.model = model
        self.source = source
        self.precision, self.memory_precision = Precision.of(precision)
        self.options = options
        self.windows = Windows(source.shape, model.config.image_size, options.field)
        self.reader = ReadAhead(source, options.ahead_bytes)
        store = None
        if options.feature_folder is not None:
            folder = Path(options.feature_folder)
            store = FeatureStore(folder, model, self.precision, options.feature_folder_bytes)
        self.features = FeatureCache(
            model,
            self.reader,
            precision=self.precision,
            max_bytes=options.feature_bytes,
            store=store,
        )

    def accept(self, frame: int, window: Window, mask: np.ndarray) -> ObjectOutput:
        """Take a mask of a window, bool, as the answer."""
        features = self.features[frame, window]
        given = mask_to_input(mask, self.model.config.image_size, self.model.device)
        with autocast(self.model.device, self.precision):
            return self.model.accept_mask(features, given)

    def embedding(self, frame: int, window: Window, attended: Sequence[Attended] = ()) -> Tensor:
        """Give a window's features, conditioned on what each of some objects attends to.

        Returns
        -------
        Tensor, shape (B or 1, C, H / 16, W / 16)
        """
        features = self.features[frame, window]
        if not attended:
            with autocast(self.model.device, self.precision):
                return self.model.without_memory(features)
        with autocast(self.model.device, self.memory_precision):
            groups = group([one.shape for one in attended])
            parts = [
                self.model.with_memory(features, self._collate([attended[i] for i in alike]))
                for alike in groups
            ]
        if len(parts) > 1:
            order = torch.tensor([i for alike in groups for i in alike])
            parts = [torch.cat(parts)[order.argsort().to(self.model.device)]]
        return parts[0].to(features.embedding.dtype)

    def decode(
        self,
        frame: int,
        window: Window,
        embedding: Tensor,
        clicks: Sequence[PointPrompt | BoxPrompt],
        previous: Tensor | None,
    ) -> ObjectOutput:
        """Segment one object from its clicks, on top of the logits before them."""
        size, device = self.model.config.image_size, self.model.device
        points, labels = encode_clicks(clicks, window, size, device)
        return self.decode_points(frame, window, embedding, PromptTensors(points, labels, previous))

    def decode_points(
        self, frame: int, window: Window, embedding: Tensor, prompts: PromptTensors
    ) -> ObjectOutput:
        """Do as `decode`, with clicks in the model's own coordinates."""
        points, _, previous = prompts
        if previous is not None:
            previous = previous.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        features = self.features[frame, window]
        with autocast(self.model.device, self.precision):
            output = self.model.segment(
                embedding,
                features,
                prompts._replace(mask=previous),
                multimask=points is not None and points.shape[1] == 1,
            )
        area = self.options.fill_hole_area
        return output._replace(
            logits=fill_holes(output.logits, area),
            candidates=fill_holes(output.candidates.transpose(0, 1), area).transpose(0, 1),
        )

    def follow(self, frame: int, window: Window, attended: Sequence[Attended]) -> DecodedMasks:
        """Look for objects by what they attend to.

        Returns
        -------
        DecodedMasks
            Four for each of `attended`; see `settle`.
        """
        embedding = self.embedding(frame, window, attended)
        features = self.features[frame, window]
        with autocast(self.model.device, self.precision):
            nothing = PromptTensors.none(len(attended), self.model.device)
            return self.model.decode(embedding, features, nothing)

    def settle(
        self,
        frame: int,
        window: Window,
        decoded: DecodedMasks,
        chosen: Sequence[tuple[int, int]] | None = None,
    ) -> tuple[ObjectOutput, Tensor, Tensor]:
        """Take masks that `follow` gave, and encode them as memories.

        Parameters
        ----------
        frame : int
        window : Window
        decoded : DecodedMasks
        chosen : sequence of (int, int), optional
            Rows of `decoded` and which of the three candidates to take there; of each row the
            one with the highest predicted IoU unless given.

        Returns
        -------
        output : ObjectOutput
        memory : Tensor, shape (B, memory_dim, H / 16, W / 16)
            Of this frame.
        logits : Tensor, shape (B, 1, H / 4, W / 4)
            What the memory was made of: those of the output before holes were filled.
        """
        index = None
        if chosen is not None:
            rows, index = torch.tensor(chosen, device=self.model.device).T
            decoded = DecodedMasks(*(x[rows] for x in decoded))
        with autocast(self.model.device, self.precision):
            output = self.model.choose(decoded, multimask=True, index=index)
        memory = self.encode(frame, window, output.logits, output.object_score, binarize=False)
        # The user sees holes filled, the memory has them: as in Meta's predictor.
        filled = fill_holes(output.logits, self.options.fill_hole_area)
        return output._replace(logits=filled), memory, output.logits

    def encode(
        self, frame: int, window: Window, logits: Tensor, object_score: Tensor, *, binarize: bool
    ) -> Tensor:
        """Turn masks in a window into memories, (B, memory_dim, H / 16, W / 16)."""
        features = self.features[frame, window]
        with autocast(self.model.device, self.precision):
            memory = self.model.encode_memory(features, logits, object_score, binarize=binarize)
        # Meta's predictor keeps memories as bfloat16 whatever it computes in.
        return memory.to(torch.bfloat16)

    def take(self, output: ObjectOutput, number: int | None) -> ObjectOutput:
        """Take a candidate of one object by its number; the surest one if there is none.

        Parameters
        ----------
        output : ObjectOutput
            With B = 1.
        number : int, optional
            In the network's own order.
        """
        if output.candidates.shape[1] == 1:
            return output
        index = None if number is None else torch.tensor([number], device=self.model.device)
        with autocast(self.model.device, self.precision):
            return self.model.take(output, index)

    def mask(self, object_id: int, window: Window, output: ObjectOutput) -> ObjectMask:
        """Bring the mask of one object to the frame."""
        return cut_out(
            object_id,
            output.logits[0, 0],
            window,
            float(output.ious[0, 0]),
            float(output.object_score[0, 0]),
        )

    def ranked(
        self, object_id: int, window: Window, output: ObjectOutput
    ) -> Iterator[tuple[int, ObjectMask]]:
        """Bring the candidates of one object to the frame, best first, each with its number."""
        for index in output.candidate_ious[0].argsort(descending=True, stable=True).tolist():
            yield (
                index,
                self.mask(
                    object_id,
                    window,
                    output._replace(
                        logits=output.candidates[:, index : index + 1],
                        ious=output.candidate_ious[:, index : index + 1],
                    ),
                ),
            )

    def _collate(self, attended: Sequence[Attended]) -> Memories:
        width = self.model.config.d_model
        return collate(attended, self.source.n_frames, width, self.model.device)
