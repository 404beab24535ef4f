"""One image: embed it once, ask it often."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.model.mask_decoder import DecodedMasks, candidates, single
from napari_sam2.model.sam2 import ImageFeatures, PromptTensors
from napari_sam2.predictors.device import autocast
from napari_sam2.predictors.frames import ArrayLike, FrameSource, View
from napari_sam2.predictors.transforms import cut_out, encode_clicks, frame_to_pixels
from napari_sam2.prompts import BoxPrompt, Candidates, ObjectMask, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam2.model.sam2 import SAM2


class FeatureCache:
    """Features of the frames of a source, computed when asked for; the latest are kept.

    Parameters
    ----------
    model : SAM2
    source : FrameSource
    precision : torch.dtype
        Of the computation.
    max_bytes : int
        How much is kept; beyond it the frames longest unused are dropped.
    """

    def __init__(
        self,
        model: SAM2,
        source: FrameSource,
        *,
        precision: torch.dtype = torch.float32,
        max_bytes: int = 64 * 2**20,
    ) -> None:
        self.model = model
        self.source = source
        self.precision = precision
        self.max_bytes = max_bytes
        self._kept: OrderedDict[int, ImageFeatures] = OrderedDict()
        self._prompt_positions: Tensor | None = None  # the same for every frame: kept once

    @torch.inference_mode()
    def __getitem__(self, frame: int) -> ImageFeatures:
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        pixels = frame_to_pixels(
            self.source.read(frame), self.model.config.image_size, self.model.device
        )
        with autocast(self.model.device, self.precision):
            features = self.model.encode_image(pixels)
        if self._prompt_positions is None:
            self._prompt_positions = features.prompt_positions
        features = features._replace(prompt_positions=self._prompt_positions)
        self._kept[frame] = features
        while len(self._kept) > 1 and len(self._kept) * _size(features) > self.max_bytes:
            self._kept.popitem(last=False)
        return features

    def __contains__(self, frame: object) -> bool:
        return frame in self._kept


def _size(features: ImageFeatures) -> int:
    """Give the memory that one frame's features take for themselves, in bytes."""
    return sum(x.nbytes for x in (features.embedding, *features.high_resolution))


class ImagePredictor:
    """Segments objects on single images.

    Parameters
    ----------
    model : SAM2
    precision : torch.dtype
        Of the computation.

    Examples
    --------
    >>> predictor = ImagePredictor(load_model("sam2.1_hiera_nano"))
    >>> predictor.set_image(image)
    >>> predictor.predict([PointPrompt(0, 120, 88)]).best.area
    """

    def __init__(self, model: SAM2, *, precision: torch.dtype = torch.float32) -> None:
        self.model = model
        self.precision = precision
        self._features: FeatureCache | None = None

    def set_image(self, image: ArrayLike, view: View | None = None) -> None:
        """Embed an image.

        Parameters
        ----------
        image : array-like, shape (H, W) or (H, W, 3 or 4)
        view : View, optional
            Contrast; see `FrameSource`.
        """
        source = FrameSource(image, view)
        self._features = FeatureCache(self.model, source, precision=self.precision)
        self._features[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self._ready.source.shape

    @property
    def _ready(self) -> FeatureCache:
        if self._features is None:
            raise ValueError("There is no image yet: call set_image first.")
        return self._features

    def predict(self, prompts: Sequence[PointPrompt | BoxPrompt]) -> Candidates:
        """Segment one object.

        Parameters
        ----------
        prompts : sequence of PointPrompt and BoxPrompt
            Their frame is not looked at.

        Returns
        -------
        Candidates
            Three after a single point, which may mean a part or the whole, else one.
        """
        if not prompts:
            raise ValueError("Nothing to segment: give a point or a box.")
        size, device = self.model.config.image_size, self.model.device
        clicks = PromptTensors(*encode_clicks(prompts, self.shape, size, device))
        decoded = self.decode(clicks)
        multimask = clicks.points is not None and clicks.points.shape[1] == 1
        chosen = candidates(decoded) if multimask else single(decoded)
        return Candidates(0, self.shape, rank(0, chosen, self.shape))

    @torch.inference_mode()
    def decode(self, prompts: PromptTensors) -> DecodedMasks:
        """Decode the prompts of B objects, in the model's own coordinates, in one go.

        Returns
        -------
        DecodedMasks
            With M = 4: the single mask and the three candidates.
        """
        features = self._ready[0]
        with autocast(self.model.device, self.precision):
            return self.model.decode(self.model.without_memory(features), features, prompts)


def rank(object_id: int, decoded: DecodedMasks, shape: tuple[int, int]) -> tuple[ObjectMask, ...]:
    """Bring the M masks of one object to the frame, best first."""
    ious = decoded.ious[0].float().cpu().numpy()
    score = float(decoded.object_score[0, 0])
    return tuple(
        cut_out(object_id, decoded.logits[0, i].float(), shape, float(ious[i]), score)
        for i in np.argsort(-ious, kind="stable")
    )
