"""Frames in, masks out: the engine, without Qt and napari."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.model import checkpoint
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.compiling import compile_parts

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["SAM2", "load_model"]


def load_model(
    model: str | Path | SAM2,
    weights: str | Path | None = None,
    *,
    device: torch.device,
    compiled: bool = False,
) -> SAM2:
    """Give a model by name, from a YAML file, or the one given, ready to predict.

    With `compiled` its parts are compiled when they are first used; one that is given, too.
    See `napari_sam2.model.checkpoint.load_model` for what is raised.
    """
    if isinstance(model, SAM2):
        loaded = model.to(device).eval()
    else:
        loaded = checkpoint.load_model(model, weights, device=device)
    if compiled:
        compile_parts(loaded)
    return loaded
