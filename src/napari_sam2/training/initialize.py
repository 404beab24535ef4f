"""Weights to begin with, and to go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from napari_sam2.model.transformer import Attention

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.model.memory_attention import MemoryAttentionLayer
    from napari_sam2.model.memory_encoder import CXBlock
    from napari_sam2.model.neck import ImageEncoder
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.training.dense import DenseHeads

NEARNESS = 1.7  #: of constant queries and keys: most attention falls within one token


@torch.no_grad()
def initialize(model: SAM2) -> None:
    """Start a model from scratch so that it learns quickly.

    The Fourier features of positions get a mixture of scales: the published models' single
    one blurs a click over 40 pixels, and learning to sharpen that takes a long time. The
    memory encoder's blocks start at a tenth rather than a millionth of their strength,
    which only very long training makes up for. Where prompts and image look at each other
    in the decoder, queries and keys start alike, so that a click sees its own place from
    the first step rather than any. Memories are first looked for in the place they are
    of: queries and keys start out constant, and rotated by position they agree where they
    are near.
    """
    matrix = model.sam_prompt_encoder.pe_layer.get_buffer("positional_encoding_gaussian_matrix")
    scales = torch.tensor((1.0, 1.5, 2.5, 4.0)).repeat(-(-matrix.shape[1] // 4))
    matrix.mul_(scales[: matrix.shape[1]])
    for block in model.memory_encoder.fuser.layers:
        cast("CXBlock", block).gamma.fill_(0.1)
    for module in model.sam_mask_decoder.transformer.modules():
        # Those with fewer channels inside look across; self-attention is left as it is.
        if isinstance(module, Attention) and module.q_proj.out_features < module.q_proj.in_features:
            module.q_proj.weight.mul_(2.5)
            module.k_proj.weight.copy_(module.q_proj.weight)
    for layer in model.memory_attention.layers:
        attention = cast("MemoryAttentionLayer", layer).cross_attn_image
        nn.init.constant_(attention.q_proj.bias, NEARNESS)
        nn.init.constant_(attention.k_proj.bias, NEARNESS)
    trunk = model.image_encoder.trunk
    nn.init.trunc_normal_(trunk.pos_embed, std=0.02)
    nn.init.trunc_normal_(trunk.pos_embed_window, std=0.02)


@torch.no_grad()
def level(encoder: ImageEncoder, heads: DenseHeads, pixels: Tensor) -> None:
    """Bring the feature pyramid to unit size; what the dense heads predict stays.

    Nothing bounds the features that dense targets teach: they grow until the position
    encodings and memories that are added to them, of size one, are drowned.

    Parameters
    ----------
    encoder : ImageEncoder
    heads : DenseHeads
    pixels : Tensor, shape (B, 3, H, W)
        Normalised; of any images like those to come.
    """
    laterals = [cast("nn.Conv2d", cast("nn.Sequential", one)[0]) for one in encoder.neck.convs]
    stride32, stride16, stride8, stride4 = laterals
    makers = ([stride4], [stride8], [stride16, stride32])
    for features, convolutions, reduce in zip(encoder(pixels), makers, heads.reduce, strict=True):
        size = features.float().std()
        cast("nn.Conv2d", reduce).weight.mul_(size)
        for convolution in convolutions:
            convolution.weight.div_(size)
            if convolution.bias is not None:
                convolution.bias.div_(size)
