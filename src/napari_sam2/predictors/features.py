"""What the image encoder says of frames, kept for as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from napari_sam2.predictors.device import autocast
from napari_sam2.predictors.transforms import frame_to_pixels

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.model.sam2 import SAM2, ImageFeatures
    from napari_sam2.predictors.frames import Frames
    from napari_sam2.predictors.windows import Window


class FeatureCache:
    """Features of frames of a source, seen through windows: computed when asked for.

    The latest are kept.

    Parameters
    ----------
    model : SAM2
    source : Frames
    precision : torch.dtype
        Of the computation.
    max_bytes : int
        How much is kept; beyond it those longest unused are dropped.
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        *,
        precision: torch.dtype = torch.float32,
        max_bytes: int = 64 * 2**20,
    ) -> None:
        self.model = model
        self.source = source
        self.precision = precision
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[int, Window], ImageFeatures] = OrderedDict()
        self._prompt_positions: Tensor | None = None  # always the same: kept once

    @torch.inference_mode()
    def __getitem__(self, key: tuple[int, Window]) -> ImageFeatures:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        frame, window = key
        pixels = frame_to_pixels(
            self.source.read(frame, window.region), self.model.config.image_size, self.model.device
        )
        with autocast(self.model.device, self.precision):
            features = self.model.encode_image(pixels)
        if self._prompt_positions is None:
            self._prompt_positions = features.prompt_positions
        features = features._replace(prompt_positions=self._prompt_positions)
        self._kept[key] = features
        while len(self._kept) > 1 and len(self._kept) * _size(features) > self.max_bytes:
            self._kept.popitem(last=False)
        return features

    def __len__(self) -> int:
        return len(self._kept)


def _size(features: ImageFeatures) -> int:
    """Give the memory that the features of one window take for themselves, in bytes."""
    return sum(x.nbytes for x in (features.embedding, *features.high_resolution))
