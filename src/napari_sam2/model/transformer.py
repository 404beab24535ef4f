"""Attention with projections, its rotary variant, and the two-way transformer of the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam2.model.attention import attend, on_cpu
from napari_sam2.model.layers import MLP

if TYPE_CHECKING:
    from napari_sam2.model.positions import AxialRotary


class Attention(nn.Module):
    """Multi-head attention with its own projections.

    Parameters
    ----------
    dim : int
        Channels of queries and output.
    heads : int
        Attention heads.
    inner_dim : int, optional
        Channels inside, over all heads; `dim` unless given.
    memory_dim : int, optional
        Channels of keys and values; `dim` unless given.
    """

    def __init__(
        self, dim: int, heads: int, *, inner_dim: int | None = None, memory_dim: int | None = None
    ) -> None:
        super().__init__()
        inner_dim = inner_dim or dim
        memory_dim = memory_dim or dim
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(memory_dim, inner_dim)
        self.v_proj = nn.Linear(memory_dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        query : Tensor, shape (B, N, dim)
        key, value : Tensor, shape (B, M, memory_dim)

        Returns
        -------
        Tensor, shape (B, N, dim)
        """
        if on_cpu(query) and self._are_few(query, key):
            return self._ask(query, key, value)
        if on_cpu(query) and self._are_few(key, query):
            return self._tell(query, key, value)
        return self._merge(
            attend(
                self._split(self.q_proj(query)),
                self._split(self.k_proj(key)),
                self._split(self.v_proj(value)),
            )
        )

    def _are_few(self, some: Tensor, others: Tensor) -> bool:
        """Whether it takes less to project these back than to project the others."""
        width = self.q_proj.out_features // self.heads
        return some.shape[1] <= min(width, others.shape[1] // 4)

    def _ask(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from few queries: they are projected back, rather than all keys and values.

        ``(W_q q) . (W_k k) = (W_k' W_q q) . k``, and what is the same for all keys of a query, as
        the bias of keys is, changes nothing; the weights of a query sum to 1, so that values may be
        projected after they are mixed.
        """
        asked = self._split(self.q_proj(query))
        asked = asked * asked.shape[-1] ** -0.5 @ self._per_head(self.k_proj.weight)
        weights = (asked.flatten(1, 2) @ key.transpose(1, 2)).softmax(dim=-1)
        mixed = (weights @ value).unflatten(1, (self.heads, -1))  # (B, heads, N, memory_dim)
        mixed = mixed @ self._per_head(self.v_proj.weight).transpose(1, 2)
        return self._merge(mixed + self.v_proj.bias.view(self.heads, 1, -1))

    def _tell(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend to few keys: these are projected back, and values all the way, not the queries."""
        told = self._split(self.k_proj(key))
        told = told * told.shape[-1] ** -0.5
        bias = told @ self.q_proj.bias.view(self.heads, -1, 1)  # (B, heads, M, 1)
        told = told @ self._per_head(self.q_proj.weight)
        scores = told.flatten(1, 2) @ query.transpose(1, 2) + bias.flatten(1, 2)
        weights = scores.unflatten(1, (self.heads, -1)).softmax(dim=2).flatten(1, 2)
        values = self._split(self.v_proj(value))
        values = values @ self.out_proj.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        # Once for each head, whose weights sum to 1.
        values = values + self.out_proj.bias / self.heads
        mixed: Tensor = weights.transpose(1, 2) @ values.flatten(1, 2)
        return mixed

    def _per_head(self, weight: Tensor) -> Tensor:  # (heads * c, C) -> (heads, c, C)
        parts: Tensor = weight.unflatten(0, (self.heads, -1))
        return parts

    def _split(self, x: Tensor) -> Tensor:  # (B, N, C) -> (B, heads, N, C / heads)
        split: Tensor = x.unflatten(-1, (self.heads, -1))
        return split.transpose(1, 2)

    def _merge(self, x: Tensor) -> Tensor:  # (B, heads, N, C / heads) -> (B, N, dim)
        merged: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return merged


class RotaryAttention(Attention):
    """Attention over grids of tokens, with rotary positions on queries and keys.

    Keys may hold several grids and, after them, tokens that lie on no grid (object
    pointers): those are not rotated. The rotation is handed in, so that the layers of a
    model share one table and it stays out of the checkpoint.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, rotary: AxialRotary, off_grid: int = 0
    ) -> Tensor:
        """Attend.

        Parameters
        ----------
        query : Tensor, shape (B, H * W, dim)
        key, value : Tensor, shape (B, grids * H * W + off_grid, memory_dim)
        rotary : AxialRotary
            For a grid of H by W tokens.
        off_grid : int
            Number of keys at the end that lie on no grid.

        Returns
        -------
        Tensor, shape (B, H * W, dim)
        """
        q = rotary(self._split(self.q_proj(query)))
        k = self._split(self.k_proj(key))
        on_grid = k.shape[2] - off_grid
        k = torch.cat((rotary(k[:, :, :on_grid]), k[:, :, on_grid:]), dim=2)
        if self.heads == 1 and value.shape[-1] < q.shape[-1] and on_cpu(q):
            # The weights of a row sum to 1: values may be projected after they are mixed, when
            # there are far fewer, and narrower until then.
            mixed = attend(q, k, value[:, None].to(q.dtype))
            late: Tensor = self.out_proj(self.v_proj(mixed[:, 0]))
            return late
        return self._merge(attend(q, k, self._split(self.v_proj(value))))


class TwoWayAttentionBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image to the tokens.

    Segment Anything, figure 14. In the first block the tokens are their own positions,
    so nothing is added and there is no residual.
    """

    def __init__(self, dim: int, heads: int, mlp_dim: int, *, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, inner_dim=dim // 2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, mlp_dim, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, inner_dim=dim // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, token_positions: Tensor, image_positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.is_first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_positions
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)

        placed_image = image + image_positions
        seen = self.cross_attn_token_to_image(tokens + token_positions, placed_image, image)
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp(tokens))

        seen = self.cross_attn_image_to_token(placed_image, tokens + token_positions, tokens)
        return tokens, self.norm4(image + seen)


class TwoWayTransformer(nn.Module):
    """Two blocks of attention between prompt tokens and image, and a last look at the image."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(dim, heads, mlp_dim, is_first=index == 0) for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, heads, inner_dim=dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self, image: Tensor, image_positions: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let tokens and image exchange what they know.

        Parameters
        ----------
        image : Tensor, shape (B, C, H, W)
        image_positions : Tensor, shape (1, C, H, W)
        tokens : Tensor, shape (B, N, C)

        Returns
        -------
        tokens : Tensor, shape (B, N, C)
        image : Tensor, shape (B, C, H, W)
        """
        size = image.shape[-2:]
        flat = image.flatten(2).transpose(1, 2)  # (B, H * W, C)
        positions = image_positions.flatten(2).transpose(1, 2)
        first_tokens = tokens
        for layer in self.layers:
            tokens, flat = layer(tokens, flat, first_tokens, positions)
        seen = self.final_attn_token_to_image(tokens + first_tokens, flat + positions, flat)
        tokens = self.norm_final_attn(tokens + seen)
        return tokens, flat.transpose(1, 2).unflatten(2, size)
