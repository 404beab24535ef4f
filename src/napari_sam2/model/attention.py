"""Attention, in the way that is fastest where it is computed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Of the scores that are held at a time: as much as a CPU has cache for.
CHUNK_BYTES = 16 * 2**20


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Mix values by how well their keys answer each query, scaled by the root of the width.

    On a CPU, torch's fused kernel computes half precision no faster than single precision, and
    knows no values of another width than the keys. Two plain products do.

    Parameters
    ----------
    query : Tensor, shape (B, heads, N, C)
    key : Tensor, shape (B, heads, M, C)
    value : Tensor, shape (B, heads, M, D)

    Returns
    -------
    Tensor, shape (B, heads, N, D)
    """
    fused = query.dtype == torch.float32 and value.shape[-1] == query.shape[-1]
    if fused or not on_cpu(query):
        return F.scaled_dot_product_attention(query, key, value)
    batch, heads, _, channels = query.shape
    row_bytes = batch * heads * key.shape[2] * query.element_size()
    rows = max(CHUNK_BYTES // row_bytes, 1)
    # Autocast would have the softmax in single precision; its sums are so anyhow.
    with torch.autocast("cpu", enabled=False):
        turned = key.transpose(-2, -1)
        parts = [
            (part @ turned).softmax(dim=-1) @ value
            for part in (query * channels**-0.5).split(rows, dim=2)
        ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def on_cpu(x: Tensor) -> bool:
    """Whether a CPU computes here and now: not where gradients are wanted, or torch compiles."""
    return (
        x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    )
