"""SAM 2: the parts under the checkpoint's names, and what can be asked of them.

No video loop and no state: which memories a frame attends to is decided in
`napari_sam2.predictors`. Every method takes and gives tensors of the model's square input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from napari_sam2.model.layers import MLP, resize_smoothly
from napari_sam2.model.mask_decoder import (
    DecodedMasks,
    MaskDecoder,
    best_index,
    candidates,
    pick,
    single,
    upsample,
)
from napari_sam2.model.memory_attention import MemoryAttention
from napari_sam2.model.memory_encoder import MemoryEncoder
from napari_sam2.model.neck import ImageEncoder
from napari_sam2.model.positions import sine_grid, sine_line
from napari_sam2.model.prompt_encoder import PADDING, PromptEncoder

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config
    from napari_sam2.model.neck import Pyramid

NO_OBJECT = -1024.0  #: logits of a mask whose object is not on the frame
TRACKED_MEMORIES = 6  #: earlier frames attended to, besides the prompted ones
MAX_POINTERS = 16  #: object pointers attended to, besides those of further prompted frames

LOGIT_LIMIT = 32.0  #: an earlier mask is clamped to this either way before it is fed back

#: A mask prompt, and the probabilities given to the memory encoder, are stretched to
#: this range: 20 * p - 10.
MASK_SCALE, MASK_BIAS = 20.0, -10.0


class ImageFeatures(NamedTuple):
    """What the image encoder says of B frames."""

    embedding: Tensor  #: (B, C, H / 16, W / 16), without memory
    positions: Tensor  #: (1, C, H / 16, W / 16), for memory attention
    prompt_positions: Tensor  #: (1, C, H / 16, W / 16), for the mask decoder
    high_resolution: tuple[Tensor, Tensor]  #: (B, C / 8, H / 4, W / 4), (B, C / 4, H / 8, W / 8)

    def at(self, index: Tensor | slice) -> ImageFeatures:
        """Take some of the B frames, or one of them several times."""
        stride4, stride8 = self.high_resolution
        return self._replace(
            embedding=self.embedding[index], high_resolution=(stride4[index], stride8[index])
        )


class PromptTensors(NamedTuple):
    """Prompts of B objects on one frame; see `PromptEncoder.forward`."""

    points: Tensor | None  #: (B, P, 2), (x, y)
    labels: Tensor | None  #: (B, P)
    mask: Tensor | None = None  #: (B, 1, H / 4, W / 4), logits

    @classmethod
    def none(cls, batch: int, device: torch.device) -> PromptTensors:
        """Give what the decoder reads on a frame without prompts: one padding point."""
        points = torch.zeros(batch, 1, 2, device=device)
        return cls(points, torch.full((batch, 1), PADDING, device=device))


class ObjectOutput(NamedTuple):
    """Masks of B objects on one frame, with M candidates each (1 or 3)."""

    candidates: Tensor  #: (B, M, H / 4, W / 4), float32 logits; NO_OBJECT where absent
    candidate_ious: Tensor  #: (B, M), predicted
    logits: Tensor  #: (B, 1, H / 4, W / 4), the candidate taken: best by predicted IoU as a rule
    ious: Tensor  #: (B, 1)
    pointer: Tensor  #: (B, C)
    object_score: Tensor  #: (B, 1), logits
    tokens: Tensor  #: (B, M, C), what the pointer of each candidate is made of


class Memories(NamedTuple):
    """What B objects attend to on one frame: the same frames' worth for each."""

    spatial: Tensor  #: (B, K, memory_dim, H / 16, W / 16)
    ages: tuple[int, ...]  #: of the K: distance in frames, 1 to 6; 0 for a prompted frame
    pointers: Tensor  #: (B, P, C)
    pointer_ages: Tensor  #: (B, P), distance over the longest possible; negative if ahead
    key_weights: Tensor | None = None  #: (B, K + P): how much each draws attention; alike if None


class SAM2(nn.Module):
    """SAM 2 (Ravi et al. 2024), 2.0 or 2.1.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network. Weights are random; see `napari_sam2.model.checkpoint`.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, memory_dim = config.d_model, config.memory_dim
        self.config = config
        self.image_encoder = ImageEncoder(config.hiera, dim)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(dim, config.image_size)
        self.sam_mask_decoder = MaskDecoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = MLP(dim, dim, dim, dim)
        self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim) if config.pointer_time else None
        self.maskmem_tpos_enc = _token(TRACKED_MEMORIES + 1, 1, 1, memory_dim)
        self.no_mem_embed = _token(1, 1, dim)
        self.no_mem_pos_enc = _token(1, 1, dim)  # in the checkpoints; no model reads it
        self.no_obj_ptr = _token(1, dim)
        self.no_obj_embed_spatial = _token(1, memory_dim) if config.occlusion_embedding else None
        grid = config.grid_size
        self.register_buffer("image_positions", sine_grid(dim, grid, grid), persistent=False)
        self.register_buffer(
            "memory_positions", sine_grid(memory_dim, grid, grid), persistent=False
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.no_mem_embed.device

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encode frames.

        Parameters
        ----------
        pixels : Tensor, shape (B, 3, H, W)
            ImageNet-normalised, H = W = ``config.image_size``.
        """
        decoder = self.sam_mask_decoder
        return self._features(self.image_encoder(pixels, (decoder.conv_s0, decoder.conv_s1)))

    def features(self, pyramid: Pyramid) -> ImageFeatures:
        """Make a feature pyramid ready for the decoder and the memories."""
        stride4 = self.sam_mask_decoder.conv_s0(pyramid.stride4)
        stride8 = self.sam_mask_decoder.conv_s1(pyramid.stride8)
        return self._features(pyramid._replace(stride4=stride4, stride8=stride8))

    def _features(self, pyramid: Pyramid) -> ImageFeatures:
        return ImageFeatures(
            pyramid.stride16,
            self.get_buffer("image_positions"),
            self.sam_prompt_encoder.dense_positions(),
            (pyramid.stride4, pyramid.stride8),
        )

    def without_memory(self, features: ImageFeatures) -> Tensor:
        """Give the embedding of a frame that attends to nothing; shape of `embedding`."""
        return features.embedding + self.no_mem_embed.view(1, -1, 1, 1)

    def with_memory(self, features: ImageFeatures, memories: Memories) -> Tensor:
        """Condition one frame's features on the memories of B objects.

        Parameters
        ----------
        features : ImageFeatures
            Of one frame (or of B, one an object).
        memories : Memories

        Returns
        -------
        Tensor, shape (B, C, H / 16, W / 16)
        """
        tokens, positions, pointer_tokens = self._memory_tokens(memories)
        conditioned: Tensor = self.memory_attention(
            features.embedding.flatten(2).transpose(1, 2),
            features.positions.flatten(2).transpose(1, 2),
            tokens,
            positions,
            pointer_tokens,
        )
        as_map: Tensor = conditioned.transpose(1, 2).unflatten(2, features.embedding.shape[-2:])
        return as_map

    def decode(
        self, embedding: Tensor, features: ImageFeatures, prompts: PromptTensors
    ) -> DecodedMasks:
        """Decode masks, the single one and the three candidates.

        Parameters
        ----------
        embedding : Tensor, shape (1 or B, C, H / 16, W / 16)
            From `without_memory` or `with_memory`.
        features : ImageFeatures
            Of the same frame.
        prompts : PromptTensors
            Of B objects.
        """
        sparse, dense = self.sam_prompt_encoder(*prompts)
        decoded: DecodedMasks = self.sam_mask_decoder(
            embedding, features.prompt_positions, features.high_resolution, sparse, dense
        )
        return decoded

    def segment(
        self,
        embedding: Tensor,
        features: ImageFeatures,
        prompts: PromptTensors,
        *,
        multimask: bool,
    ) -> ObjectOutput:
        """Find B objects on one frame of a video.

        Parameters
        ----------
        embedding, features, prompts
            See `decode`.
        multimask : bool
            Choose among three candidates rather than take the single mask. Meta's rule:
            with no or one point.
        """
        return self.choose(self.decode(embedding, features, prompts), multimask=multimask)

    def choose(
        self, decoded: DecodedMasks, *, multimask: bool, index: Tensor | None = None
    ) -> ObjectOutput:
        """Choose among decoded masks, and hide objects that are not there; see `segment`.

        Parameters
        ----------
        index : Tensor, shape (B,), optional
            Which candidate to take of each object; that with the highest predicted IoU unless
            given.
        """
        chosen = candidates(decoded) if multimask else single(decoded, self.config)
        appears = chosen.object_score > 0  # (B, 1)
        logits = chosen.logits.float().where(appears[..., None, None], NO_OBJECT)
        ious = chosen.ious.float()
        best = best_index(ious) if index is None else index
        pointer = self.obj_ptr_proj(pick(chosen.tokens, best)[:, 0])
        return ObjectOutput(
            logits,
            ious,
            pick(logits, best),
            pick(ious, best),
            self._pointer_if(appears, pointer),
            chosen.object_score.float(),
            chosen.tokens,
        )

    def take(self, output: ObjectOutput, index: Tensor | None = None) -> ObjectOutput:
        """Take another of the candidates: its mask, and the pointer that belongs to it.

        Parameters
        ----------
        output : ObjectOutput
        index : Tensor, shape (B,), optional
            As for `choose`.
        """
        ious = output.candidate_ious
        best = best_index(ious) if index is None else index
        pointer = self.obj_ptr_proj(pick(output.tokens, best)[:, 0])
        return output._replace(
            logits=pick(output.candidates, best),
            ious=pick(ious, best),
            pointer=self._pointer_if(output.object_score > 0, pointer),
        )

    def accept_mask(self, features: ImageFeatures, mask: Tensor) -> ObjectOutput:
        """Take a given mask as the output on a frame; the pointer still comes from the decoder.

        Parameters
        ----------
        features : ImageFeatures
            Of one frame.
        mask : Tensor, shape (B, 1, H, W), float32
            0 or 1, at the resolution of the model's input. Empty: the object is absent.
        """
        low = (mask.shape[-2] // 4, mask.shape[-1] // 4)
        logits = resize_smoothly(mask * MASK_SCALE + MASK_BIAS, low)
        nothing = PromptTensors.none(len(mask), mask.device)
        prompts = nothing._replace(mask=self.mask_downsample(mask))
        # Meta decodes from the features as they are here, without `no_mem_embed`.
        decoded = self.segment(features.embedding, features, prompts, multimask=False)
        appears = mask.flatten(1).any(dim=1, keepdim=True)  # (B, 1)
        ones = mask.new_ones(len(mask), 1)
        return ObjectOutput(
            logits,
            ones,
            logits,
            ones,
            self._pointer_if(appears, decoded.pointer),
            appears.float() * MASK_SCALE + MASK_BIAS,
            decoded.tokens,
        )

    def encode_memory(
        self, features: ImageFeatures, logits: Tensor, object_score: Tensor, *, binarize: bool
    ) -> Tensor:
        """Turn a frame and the masks of B objects on it into memories.

        Parameters
        ----------
        features : ImageFeatures
            Of one frame (or of B, one an object).
        logits : Tensor, shape (B, 1, H / 4, W / 4)
        object_score : Tensor, shape (B, 1)
        binarize : bool
            Remember the mask as the user sees it: for prompted frames.

        Returns
        -------
        Tensor, shape (B, memory_dim, H / 16, W / 16)
        """
        size = self.config.image_size
        mask = upsample(logits, (size, size))
        mask = (mask > 0).float() if binarize else mask.sigmoid()
        memory: Tensor = self.memory_encoder(features.embedding, mask * MASK_SCALE + MASK_BIAS)
        if self.no_obj_embed_spatial is not None:
            absent = (object_score <= 0).float()[..., None, None]
            memory = memory + absent * self.no_obj_embed_spatial[..., None, None]
        return memory

    def _pointer_if(self, appears: Tensor, pointer: Tensor) -> Tensor:  # (B, 1), (B, C)
        return torch.where(appears, pointer, self.no_obj_ptr)

    def _memory_tokens(self, memories: Memories) -> tuple[Tensor, Tensor, int]:
        spatial, ages, pointers, pointer_ages, key_weights = memories
        # Index -1 is the prompted frames' embedding, 0 that of the frame just before.
        time = self.maskmem_tpos_enc[[age - 1 for age in ages], :, 0]  # (K, 1, D)
        place = self.get_buffer("memory_positions").flatten(2).transpose(1, 2)  # (1, H * W, D)
        tokens = spatial.flatten(3).transpose(2, 3).flatten(1, 2)  # (B, K * H * W, D)
        positions = (place + time).flatten(0, 1)[None]

        per_pointer = self.config.d_model // self.config.memory_dim
        cut = pointers.unflatten(2, (per_pointer, -1)).flatten(1, 2)  # (B, P * per_pointer, D)
        if self.obj_ptr_tpos_proj is None:
            pointer_time = torch.zeros_like(cut)
        else:
            pointer_time = self.obj_ptr_tpos_proj(sine_line(pointer_ages, self.config.d_model))
            pointer_time = pointer_time.repeat_interleave(per_pointer, dim=1)
        positions = positions.expand(len(cut), -1, -1)
        tokens = torch.cat((tokens.to(cut.dtype), cut), dim=1)
        positions = torch.cat((positions, pointer_time), dim=1)
        if key_weights is not None:
            each = [place.shape[1]] * len(ages) + [per_pointer] * pointers.shape[1]
            weights = key_weights.repeat_interleave(torch.tensor(each).to(cut.device), dim=1)
            # Keys are the sum of both, values the tokens alone, which stay as they are.
            positions = weights[..., None] * (tokens + positions) - tokens
        return tokens, positions, cut.shape[1]


def _token(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))
