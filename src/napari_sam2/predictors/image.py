"""One image: embed it once, ask it often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.model.mask_decoder import DecodedMasks, best_index, candidates, single
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.predictors.device import Precision, autocast
from napari_sam2.predictors.features import FeatureCache
from napari_sam2.predictors.frames import ArrayLike, FrameSource, View
from napari_sam2.predictors.transforms import cut_out, encode_clicks
from napari_sam2.predictors.windows import Field, Found, Window, Windows, extent_of_logits
from napari_sam2.prompts import BoxPrompt, Candidates, ObjectMask, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.sam2 import SAM2


class ImagePredictor:
    """Segments objects on single images.

    Parameters
    ----------
    model : SAM2
    precision : torch.dtype or Precision
        Of the computation.
    field : {"auto", "frame"}
        What the model sees: a window that suits the object, or always the whole image.

    Examples
    --------
    >>> predictor = ImagePredictor(load_model("sam2.1_hiera_nano"))
    >>> predictor.set_image(image)
    >>> predictor.predict([PointPrompt(0, 120, 88)]).best.area
    """

    def __init__(
        self,
        model: SAM2,
        *,
        precision: torch.dtype | Precision = torch.float32,
        field: Field = "auto",
    ) -> None:
        self.model = model
        self.precision = Precision.of(precision)
        self.field = field
        self._features: FeatureCache | None = None

    def set_image(self, image: ArrayLike, view: View | None = None) -> None:
        """Choose the image to ask.

        Parameters
        ----------
        image : array-like, shape (H, W) or (H, W, 3 or 4)
        view : View, optional
            Contrast; see `FrameSource`.
        """
        source = FrameSource(image, view)
        self._features = FeatureCache(self.model, source, precision=self.precision.frames)

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
        windows = Windows(self.shape, self.model.config.image_size, self.field)

        def ask(window: Window) -> Found[DecodedMasks]:
            decoded = self._decode(prompts, window)
            best = int(best_index(decoded.ious)[0])
            extent = extent_of_logits(decoded.logits[0, best], window)
            return Found(decoded, extent, float(decoded.ious[0, best]))

        window, decoded = windows.settle(windows.first(prompts), prompts, ask)
        return Candidates(0, self.shape, _rank(decoded, window))

    @torch.inference_mode()
    def _decode(self, prompts: Sequence[PointPrompt | BoxPrompt], window: Window) -> DecodedMasks:
        features = self._ready[0, window]
        size, device = self.model.config.image_size, self.model.device
        clicks = PromptTensors(*encode_clicks(prompts, window, size, device))
        with autocast(device, self.precision.frames):
            decoded = self.model.decode(self.model.without_memory(features), features, clicks)
        lone = len(prompts) == 1 and isinstance(prompts[0], PointPrompt)
        return candidates(decoded) if lone else single(decoded, self.model.config)


def _rank(decoded: DecodedMasks, window: Window) -> tuple[ObjectMask, ...]:
    """Bring the M masks of one object to the image, best first."""
    ious = decoded.ious[0].float().cpu().numpy()
    score = float(decoded.object_score[0, 0])
    return tuple(
        cut_out(0, decoded.logits[0, i].float(), window, float(ious[i]), score)
        for i in np.argsort(-ious, kind="stable")
    )
