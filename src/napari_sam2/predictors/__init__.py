"""Frames in, masks out: the engine, without Qt and napari."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.model import checkpoint
from napari_sam2.model.sam2 import SAM2

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["SAM2", "load_model"]


def load_model(
    model: str | Path | SAM2, weights: str | Path | None = None, *, device: torch.device
) -> SAM2:
    """Give a model by name, from a YAML file, or the one given, ready to predict.

    See `napari_sam2.model.checkpoint.load_model` for what is raised.
    """
    if isinstance(model, SAM2):
        return model.to(device).eval()
    return checkpoint.load_model(model, weights, device=device)
