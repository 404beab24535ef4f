"""The mask decoder: prompts and image to masks, their quality, and whether the object is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.attention import on_cpu
from napari_sam2.model.layers import MLP, STRIP_TOKENS, LayerNorm2d
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
        count = _objects_at_once(image)
        if count >= len(sparse):
            return self._decode(image, image_positions, high_resolution, sparse, dense)
        images = image.expand(len(sparse), -1, -1, -1)
        fine, finer = (x.expand(len(sparse), -1, -1, -1) for x in high_resolution)
        parts = [
            self._decode(image, image_positions, (own_fine, own_finer), *prompts)
            for image, own_fine, own_finer, *prompts in zip(
                *(x.split(count) for x in (images, fine, finer, sparse, dense)), strict=True
            )
        ]
        return DecodedMasks(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _decode(
        self,
        image: Tensor,
        image_positions: Tensor,
        high_resolution: tuple[Tensor, Tensor],
        sparse: Tensor,
        dense: Tensor,
    ) -> DecodedMasks:
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
        logits = _as_map(kernels @ self._upscale(image, high_resolution).flatten(1, -2).mT, image)
        return DecodedMasks(
            logits,
            self.iou_prediction_head(iou_token[:, 0]).sigmoid(),
            mask_tokens,
            self.pred_obj_score_head(score_token[:, 0]),
        )

    def _upscale(self, image: Tensor, high_resolution: tuple[Tensor, Tensor]) -> Tensor:
        """Quarter the stride; (B, H / 16, W / 16, 2, 2, 2, 2, C / 8).

        A transposed convolution whose stride is its size makes each pixel into a square of its
        own. The squares stay together until the masks are made: these are far smaller to turn.
        """
        stride4, stride8 = high_resolution
        enlarge1, norm, activate1, enlarge2, activate2 = self.output_upscaling
        x = _enlarge(image.movedim(1, -1), enlarge1)
        height, width = image.shape[-2:]
        # (B, C, H, 2, W, 2) -> (B, H, W, 2, 2, C)
        near8 = stride8.unflatten(3, (width, 2)).unflatten(2, (height, 2))
        x = F.layer_norm(x + near8.permute(0, 2, 4, 3, 5, 1), x.shape[-1:], *_affine(norm))
        x = _enlarge(activate1(x), enlarge2)
        # (B, C, H, 2, 2, W, 2, 2) -> (B, H, W, 2, 2, 2, 2, C)
        near4 = stride4.unflatten(3, (width, 2, 2)).unflatten(2, (height, 2, 2))
        upscaled: Tensor = activate2(x + near4.permute(0, 2, 5, 3, 6, 4, 7, 1))
        return upscaled


def _objects_at_once(image: Tensor) -> int:  # (B, C, H, W)
    """Of as many, a CPU holds the tokens in its cache."""
    height, width = image.shape[-2:]
    return max(STRIP_TOKENS // (height * width), 1) if on_cpu(image) else sys.maxsize


def _enlarge(x: Tensor, convolution: nn.Module) -> Tensor:  # (..., C) -> (..., 2, 2, D)
    assert isinstance(convolution, nn.ConvTranspose2d)
    assert convolution.bias is not None
    weight = convolution.weight.permute(2, 3, 1, 0)  # (2, 2, D, C)
    enlarged = F.linear(x, weight.flatten(0, 2), convolution.bias.repeat(4))
    squares: Tensor = enlarged.unflatten(-1, weight.shape[:3])
    return squares


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor, float]:
    assert isinstance(norm, LayerNorm2d)
    return norm.weight, norm.bias, norm.eps


def _as_map(x: Tensor, image: Tensor) -> Tensor:
    """Put squares in squares in their places.

    Parameters
    ----------
    x : Tensor, shape (B, M, H * W * 2 * 2 * 2 * 2)
    image : Tensor, shape (..., H, W)

    Returns
    -------
    Tensor, shape (B, M, 4 * H, 4 * W)
    """
    squares: Tensor = x.unflatten(2, (*image.shape[-2:], 2, 2, 2, 2))
    return squares.permute(0, 1, 2, 4, 6, 3, 5, 7).flatten(5).flatten(2, 4)


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
