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
    if not on_cpu(query):
        return F.scaled_dot_product_attention(query, key, value)
    if query.dtype == torch.float32 and value.shape[-1] == query.shape[-1]:
        return F.scaled_dot_product_attention(query, key, value)
    # Autocast would have the softmax in single precision; its sums are so anyhow.
    with torch.autocast("cpu", enabled=False):
        mixed = _attend_in_parts(*(x.flatten(0, 1) for x in (query, key, value)))
    per_head: Tensor = mixed.unflatten(0, query.shape[:2])
    return per_head


def _attend_in_parts(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Answer some queries at a time; all (B, N, C).

    The scores of all parts are written to the same place: to be given new memory for each takes
    a CPU as long as the product.
    """
    batch, n_queries, channels = query.shape
    n_keys = key.shape[1]
    rows = max(CHUNK_BYTES // (batch * n_keys * query.element_size()), 1)
    rows = min(rows, n_queries)
    turned = key.transpose(1, 2)
    scores = query.new_empty(batch, rows, n_keys)
    mixed = query.new_empty(batch, n_queries, value.shape[-1])
    for part, into in zip(
        (query * channels**-0.5).split(rows, 1), mixed.split(rows, 1), strict=True
    ):
        weights = scores[:, : part.shape[1]]
        torch.bmm(part, turned, out=weights)
        torch.softmax(weights, dim=-1, out=weights)
        torch.bmm(weights, value, out=into)
    return mixed


def on_cpu(x: Tensor) -> bool:
    """Whether a CPU computes here and now: not where gradients are wanted, or torch compiles."""
    return (
        x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    )
