"""The mask decoder: prompts and image to masks, their quality, and whether the object is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.layers import MLP, LayerNorm2d
from napari_sam2.model.transformer import TwoWayTransformer

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config

CANDIDATES = 3  #: masks offered where a prompt is ambiguous


class DecodedMasks(NamedTuple):
    """What the decoder says of a batch of B objects, with M masks each (1 or 3)."""

    logits: Tensor  #: (B, M, H / 4, W / 4); > 0 is object
    ious: Tensor  #: (B, M), predicted, in [0, 1]
    tokens: Tensor  #: (B, M, C), from which object pointers are made
    object_score: Tensor  #: (B, 1), logits; > 0 where the object is on the frame


class MaskDecoder(nn.Module):
    """Decode masks from image and prompt embeddings.

    Segment Anything, figure 14, with SAM 2's high-resolution skips and object score
    (SAM 2, appendix D.1).

    Parameters
    ----------
    config : SAM2Config
        Widths.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.d_model
        self.transformer = TwoWayTransformer(dim, config.decoder_heads, config.decoder_mlp_dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(1 + CANDIDATES, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim, dim // 8) for _ in range(1 + CANDIDATES)
        )
        iou_dim = config.iou_head_dim
        self.iou_prediction_head = MLP(dim, iou_dim, iou_dim, 1 + CANDIDATES)
        self.pred_obj_score_head = MLP(dim, dim, dim, 1)

    def forward(
        self,
        image: Tensor,
        image_positions: Tensor,
        high_resolution: tuple[Tensor, Tensor],
        sparse: Tensor,
        dense: Tensor,
    ) -> DecodedMasks:
        """Decode the single mask and the three candidates.

        Parameters
        ----------
        image : Tensor, shape (1 or B, C, H / 16, W / 16)
        image_positions : Tensor, shape (1, C, H / 16, W / 16)
        high_resolution : tuple of Tensor
            Shapes (1 or B, C / 8, H / 4, W / 4) and (1 or B, C / 4, H / 8, W / 8).
        sparse : Tensor, shape (B, P, C)
        dense : Tensor, shape (B, C, H / 16, W / 16)

        Returns
        -------
        DecodedMasks
            With M = 4: the single mask first. `candidates` and `single` choose from it.
        """
        own = torch.cat(
            (self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight)
        )
        tokens = torch.cat((own.expand(len(sparse), -1, -1), sparse), dim=1)
        tokens, image = self.transformer(image + dense, image_positions, tokens)
        score_token, iou_token, mask_tokens = tokens[:, : len(own)].split(
            (1, 1, 1 + CANDIDATES), dim=1
        )
        kernels = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        upscaled = self._upscale(image, high_resolution)
        logits = (kernels @ upscaled.flatten(2)).unflatten(2, upscaled.shape[-2:])
        return DecodedMasks(
            logits,
            self.iou_prediction_head(iou_token[:, 0]).sigmoid(),
            mask_tokens,
            self.pred_obj_score_head(score_token[:, 0]),
        )

    def _upscale(self, image: Tensor, high_resolution: tuple[Tensor, Tensor]) -> Tensor:
        stride4, stride8 = high_resolution
        enlarge1, norm, activate1, enlarge2, activate2 = self.output_upscaling
        image = activate1(norm(enlarge1(image) + stride8))
        upscaled: Tensor = activate2(enlarge2(image) + stride4)
        return upscaled


def candidates(decoded: DecodedMasks) -> DecodedMasks:
    """Take the three candidates, each with its own token."""
    logits, ious, tokens, score = decoded
    return DecodedMasks(logits[:, 1:], ious[:, 1:], tokens[:, 1:], score)


def single(decoded: DecodedMasks, config: SAM2Config) -> DecodedMasks:
    """Take the single mask; where it is not stable, the best candidate.

    The token is the single mask's in either case: object pointers were trained on it.

    Parameters
    ----------
    decoded : DecodedMasks
    config : SAM2Config
        What is stable.
    """
    logits, ious, tokens, score = decoded
    first = DecodedMasks(logits[:, :1], ious[:, :1], tokens[:, :1], score)
    steady = stability(first.logits, config.stability_delta).nan_to_num(1.0)  # (B, 1)
    stable = steady >= config.least_stability
    best = best_index(ious[:, 1:]) + 1
    return DecodedMasks(
        torch.where(stable[..., None, None], first.logits, pick(logits, best)),
        torch.where(stable, first.ious, pick(ious, best)),
        first.tokens,
        score,
    )


def best_index(ious: Tensor) -> Tensor:  # (B, M) -> (B,)
    """Index of the mask with the highest predicted IoU."""
    return ious.argmax(dim=-1)


def pick(x: Tensor, index: Tensor) -> Tensor:  # (B, M, ...), (B,) -> (B, 1, ...)
    """Take one of M for each object."""
    return x[torch.arange(len(x), device=x.device), index][:, None]


def stability(logits: Tensor, offset: float, threshold: float = 0.0) -> Tensor:
    """Tell how little masks depend on where they are cut off.

    Parameters
    ----------
    logits : Tensor, shape (..., H, W)
    offset, threshold : float
        How far the cut-off is moved either way, and from where.

    Returns
    -------
    Tensor, shape (...)
        Smaller area over larger, in [0, 1]; NaN where the larger is empty.
    """
    inner = (logits > threshold + offset).sum(dim=(-2, -1))
    outer = (logits > threshold - offset).sum(dim=(-2, -1))
    return inner / outer


def upsample(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize mask logits bilinearly, pixel centres kept in place; (B, M, h, w) float32."""
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
