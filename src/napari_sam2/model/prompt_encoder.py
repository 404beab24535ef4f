"""Points, boxes and masks as embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_sam2.model.layers import LayerNorm2d
from napari_sam2.model.positions import RandomFourierPositions

#: What a point means, in the tensors that the network reads (Meta's numbers).
PADDING, NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3


class PromptEncoder(nn.Module):
    """Embed prompts: points and box corners as tokens, a mask as a map.

    Segment Anything, appendix A. A box is two points (`TOP_LEFT`, `BOTTOM_RIGHT`) that go
    before the clicks.

    Parameters
    ----------
    channels : int
        Width of the embeddings.
    image_size : int
        Edge of the model's input, in pixels.
    """

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.grid_size = image_size // 16
        self.pe_layer = RandomFourierPositions(channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        hidden = 16
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, hidden // 4, kernel_size=2, stride=2),
            LayerNorm2d(hidden // 4),
            nn.GELU(),
            nn.Conv2d(hidden // 4, hidden, kernel_size=2, stride=2),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def forward(
        self, points: Tensor | None, labels: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embed the prompts of a batch of objects.

        Parameters
        ----------
        points : Tensor, shape (B, P, 2), float32, optional
            (x, y) in pixels of the model's input, pixel centres at integers. P may be 0.
        labels : Tensor, shape (B, P), optional
            `POSITIVE`, `NEGATIVE`, `TOP_LEFT`, `BOTTOM_RIGHT`, or `PADDING` for points
            that are not there.
        mask : Tensor, shape (B, 1, image_size / 4, image_size / 4), optional
            Logits.

        Returns
        -------
        sparse : Tensor, shape (B, P + 1, C)
            With points, one padding token is appended, as in training; without, none.
        dense : Tensor, shape (B, C, image_size / 16, image_size / 16)
        """
        if points is None or labels is None:
            batch = 1 if mask is None else len(mask)
            sparse = self.no_mask_embed.weight.new_empty(batch, 0, self.no_mask_embed.embedding_dim)
        else:
            sparse = self._embed_points(points, labels)
        if mask is None:
            dense = self.no_mask_embed.weight.view(1, -1, 1, 1)
            dense = dense.expand(len(sparse), -1, self.grid_size, self.grid_size)
        else:
            dense = self.mask_downscaling(mask)
        return sparse, dense

    def dense_positions(self) -> Tensor:
        """Encode the image's tokens as points are; shape (1, C, H / 16, W / 16)."""
        return self.pe_layer.grid(self.grid_size, self.grid_size)

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        points = torch.cat((points + 0.5, points.new_zeros(len(points), 1, 2)), dim=1)
        labels = torch.cat((labels, labels.new_full((len(labels), 1), PADDING)), dim=1)[..., None]
        embedded = self.pe_layer(points / self.image_size)
        embedded = torch.where(labels == PADDING, self.not_a_point_embed.weight, embedded)
        zero = labels.new_zeros(())
        for kind, embedding in enumerate(self.point_embeddings):
            embedded = torch.where(labels == kind, embedded + embedding(zero), embedded)
        return embedded
