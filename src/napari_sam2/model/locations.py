"""Where weights lie on this computer, and where those that are missing are to be had."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.model.registry import PublishedModel, find_published

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config


def weights_folder() -> Path:
    """Give the folder of the weights that the package brings along."""
    return Path(__file__).parents[1] / "weights"


def cache_folder() -> Path:
    """Give the folder that weights are downloaded to, and looked for in.

    ``NAPARI_SAM2_CACHE`` if set, else ``~/.cache/napari-sam2``: on every system, as torch and
    the Hugging Face hub keep theirs, so that one sentence tells anyone where to put a file.
    """
    chosen = os.environ.get("NAPARI_SAM2_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "napari-sam2"


def models_folder() -> Path:
    """Give the folder of the user's own models: fine-tuned here, or put there by hand.

    ``NAPARI_SAM2_MODELS`` if set, else ``~/.napari-sam2/models``: not the cache, which may be
    emptied at any time. A model is a YAML file, its config, and the weights that it names.
    """
    chosen = os.environ.get("NAPARI_SAM2_MODELS")
    return Path(chosen) if chosen else Path.home() / ".napari-sam2" / "models"


def find_checkpoint(config: SAM2Config) -> Path | None:
    """Find the weights of a model: in the package, the cache, or among the user's own models."""
    for folder in (weights_folder(), cache_folder(), models_folder()):
        if (folder / config.checkpoint).is_file():
            return folder / config.checkpoint
    return None


def download_url(model: PublishedModel, mirror: str | None = None) -> str:
    """Say where a model is downloaded from.

    Parameters
    ----------
    model : PublishedModel
        What to download.
    mirror : str, optional
        See `PublishedModel.url`; ``NAPARI_SAM2_MIRROR`` unless given.
    """
    return model.url(mirror or os.environ.get("NAPARI_SAM2_MIRROR"))


def how_to_get(config: SAM2Config) -> str:
    """Say what to do where the weights of a model are not on this computer."""
    model = find_published(config.checkpoint)
    if model is None:
        return f"Put {config.checkpoint} into {cache_folder()}, or give the path of a checkpoint."
    return (
        f"Download them with\n  napari-sam2 models download {model.name}\n"
        f"or put {model.file}, from {download_url(model)}, into {cache_folder()}."
    )
