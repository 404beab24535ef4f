"""Frames in, masks out: the engine, without Qt and napari."""

from __future__ import annotations

from dataclasses import replace
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
    image_size: int | None = None,
) -> SAM2:
    """Give a model by name, from a YAML file, or the one given, ready to predict.

    Parameters
    ----------
    model, weights
        As in `napari_sam2.model.checkpoint.load_model`, which says what is raised, too.
    device : torch.device
    compiled : bool
        Have its parts compiled when they are first used; of a model that is given, too.
    image_size : int, optional
        Edge of the square that frames are resized to, in pixels, rather than the model's own:
        half of it is several times as fast, and approximate. A model that is given stays as it is;
        what is returned is then another one.

    Raises
    ------
    ValueError
        Also if the network cannot work at `image_size`.
    """
    if isinstance(model, SAM2):
        loaded = model.to(device).eval()
    else:
        loaded = checkpoint.load_model(model, weights, device=device)
    if image_size not in (None, loaded.config.image_size):
        resized = SAM2(replace(loaded.config, image_size=image_size))
        resized.load_state_dict(loaded.state_dict())
        loaded = resized.to(device).eval()
    if compiled:
        compile_parts(loaded)
    return loaded
