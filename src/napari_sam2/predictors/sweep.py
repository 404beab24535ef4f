"""Everything in a tile of a frame: asked for at a grid of points, kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam2.model.mask_decoder import candidates, stability, upsample
from napari_sam2.model.prompt_encoder import POSITIVE
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.predictors.batches import Batches, explains_memory
from napari_sam2.predictors.device import autocast
from napari_sam2.predictors.features import FeatureCache
from napari_sam2.predictors.pieces import Piece, without_repeats
from napari_sam2.predictors.postprocess import clean
from napari_sam2.predictors.transforms import to_model_points
from napari_sam2.predictors.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.frames import Frames

POINTS_AT_ONCE = {"cpu": 16, "cuda": 128}  #: what is fastest
STABILITY_OFFSET = 1.0  #: logits, as in Meta's generator
SAME = 0.8  #: IoU above which two masks of a tile are the same
SPECK = 8  #: holes and specks up to this size are none; in pixels of the logits, as when tracked
#: Points of a tile whose answers are compared at once, for there are three for each of them.
COMPARED = 512


class Sweep:
    """Asks the network about tiles of frames, at many points each.

    As Meta's ``SAM2AutomaticMaskGenerator`` does, but masks are compared before they are brought
    to the frame's resolution, and as masks rather than by their boxes: of what is kept of three
    candidates for each of a thousand points there are few, and what touches stays apart.

    Parameters
    ----------
    model : SAM2
    source : Frames
    precision : torch.dtype
    least_iou, least_stability : float
        Masks below are not kept at all.
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        precision: torch.dtype,
        *,
        least_iou: float,
        least_stability: float,
    ) -> None:
        self.model = model
        self.precision = precision
        self.least_iou = least_iou
        self.least_stability = least_stability
        self._features = FeatureCache(model, source, precision=precision, max_bytes=0)
        device = model.device
        self._at_once = POINTS_AT_ONCE.get(device.type, 64)
        self._batches = Batches(self._at_once, device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.device

    def batches(self, n_points: int) -> int:
        """Say in how many steps so many points are asked."""
        return -(-n_points // self._at_once)

    def look(self, frame: int, tile: Window, places: np.ndarray) -> Iterator[list[Piece] | None]:
        """Ask at points of a tile, (row, column) in the frame, shape (N, 2).

        Yields
        ------
        list of Piece or None
            None after each batch of points but the last, and with it what there is in the
            tile, best first.
        """
        kept: list[tuple[Tensor, float, float]] = []
        pieces: list[Piece] = []
        starts = range(0, len(places), self._at_once)
        for start in starts:
            kept += self._ask(frame, tile, places[start : start + self._at_once])
            if len(kept) >= COMPARED:
                pieces, kept = self._settle(pieces, kept, tile), []
            if start != starts[-1]:
                yield None
        yield self._settle(pieces, kept, tile)

    @explains_memory
    def _ask(
        self, frame: int, tile: Window, places: np.ndarray
    ) -> list[tuple[Tensor, float, float]]:
        """Give the logits (h, w), predicted IoU and stability of what is good enough."""

        def ask(indices: Sequence[int]) -> dict[int, list[tuple[Tensor, float, float]]]:
            return dict(zip(indices, self._decode(frame, tile, places[indices]), strict=True))

        asked = self._batches.each([range(len(places))], ask)
        return [one for _, found in asked for one in found]

    @torch.inference_mode()
    def _decode(
        self, frame: int, tile: Window, places: np.ndarray
    ) -> list[list[tuple[Tensor, float, float]]]:
        features = self._features[frame, tile]
        size = self.model.config.image_size
        points = to_model_points(places, tile, size, self.device)[:, None]
        labels = torch.full(points.shape[:2], POSITIVE, device=self.device)
        with autocast(self.device, self.precision):
            embedding = self.model.without_memory(features)
            decoded = candidates(
                self.model.decode(embedding, features, PromptTensors(points, labels, None))
            )
        logits, ious = decoded.logits.float(), decoded.ious.float()
        steady = stability(logits, STABILITY_OFFSET).nan_to_num(0.0)
        good = (ious >= self.least_iou) & (steady >= self.least_stability)
        good &= (logits > 0).flatten(2).any(dim=-1)
        numbers = torch.stack((ious, steady), dim=-1).tolist()
        return [
            [(logits[i, j].cpu(), *numbers[i][j]) for j in good[i].nonzero()[:, 0].tolist()]
            for i in range(len(logits))
        ]

    @torch.inference_mode()
    def _settle(
        self, pieces: list[Piece], found: list[tuple[Tensor, float, float]], tile: Window
    ) -> list[Piece]:
        """Add what is new to the pieces of a tile, at the frame's resolution."""
        whole = Window(0, 0, *(found[0][0].shape if found else (0, 0)))
        coarse = {}
        for logits, iou, steady in found:
            if piece := Piece.of((logits > 0).numpy(), whole, iou, steady):
                coarse[piece] = logits
        sharp = []
        for piece in without_repeats(list(coarse), SAME):
            tidy = clean(
                coarse[piece][None, None], 0.0, max_hole_area=SPECK, max_sprinkle_area=SPECK
            )
            full = upsample(tidy, tile.shape)[0, 0] > 0
            if one := Piece.of(full.numpy(), tile, piece.iou, piece.stability):
                sharp.append(one)
        return without_repeats([*pieces, *sharp], SAME)
