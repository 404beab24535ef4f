"""Weights from files: found, read as data (never as code), and loaded strictly."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config, load_config
from napari_sam2.model.sam2 import SAM2

#: Tensors that SAM 2.1 has and SAM 2 has not.
_ONLY_IN_2_1 = {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"}


class CheckpointError(ValueError):
    """A file of weights is missing, cannot be read, or does not fit."""


def weights_folder() -> Path:
    """Give the folder of the weights that the package brings along."""
    return Path(__file__).parents[1] / "weights"


def cache_folder() -> Path:
    """Give the folder where downloaded weights are looked for.

    ``NAPARI_SAM2_CACHE`` if set, else ``~/.cache/napari-sam2``.
    """
    chosen = os.environ.get("NAPARI_SAM2_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "napari-sam2"


def find_checkpoint(config: SAM2Config) -> Path | None:
    """Find the weights of a model: in the package, else in the cache; None if in neither."""
    for folder in (weights_folder(), cache_folder()):
        if (folder / config.checkpoint).is_file():
            return folder / config.checkpoint
    return None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` file or of a PyTorch checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, or holds anything but tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"{path.name} cannot be read as weights; is it complete? Expected a .safetensors "
            f"file or a PyTorch checkpoint of tensors ({error})."
        ) from error
    weights = weights.get("model", weights) if isinstance(weights, dict) else weights
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointError(f"{path.name} holds something else than a dictionary of tensors.")
    return weights


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file into a model, every tensor or none.

    Raises
    ------
    CheckpointError
        If names or shapes differ; the message names the first that do.
    """
    weights, own = read_weights(path), model.state_dict()
    problems = [f"missing {k}" for k in own.keys() - weights.keys()]
    problems += [f"unexpected {k}" for k in weights.keys() - own.keys()]
    problems += [
        f"{k}: checkpoint {tuple(weights[k].shape)}, model {tuple(own[k].shape)}"
        for k in own.keys() & weights.keys()
        if weights[k].shape != own[k].shape
    ]
    if problems:
        shown = "\n  ".join(sorted(problems)[:5])
        raise CheckpointError(
            f"{path.name} does not fit {type(model).__name__} ({len(problems)} problems):\n"
            f"  {shown}\n{_advice(own.keys() ^ weights.keys(), weights)}"
        )
    model.load_state_dict(weights)


def _advice(different: set[str], weights: dict[str, Tensor]) -> str:
    if different and different <= _ONLY_IN_2_1:
        generation = "2.1" if weights.keys() >= _ONLY_IN_2_1 else "2"
        return f"The file is of SAM {generation}: choose a sam{generation}_hiera_* config."
    return "Choose the config made for this file (SAM 2 and SAM 2.1, and the sizes, differ)."


def load_model(
    name: str | Path, checkpoint: str | Path | None = None, *, device: str | torch.device = "cpu"
) -> SAM2:
    """Build a model and load its weights.

    Parameters
    ----------
    name : str or Path
        A config's name, e.g. ``sam2.1_hiera_nano``, or a YAML file.
    checkpoint : str or Path, optional
        Weights to load instead of the config's own.
    device : str or torch.device
        Where the model goes.

    Returns
    -------
    SAM2
        In evaluation mode.

    Raises
    ------
    ValueError
        If there is no such config.
    CheckpointError
        If the weights are not there or do not fit.
    """
    config = load_config(name)
    path = find_checkpoint(config) if checkpoint is None else Path(checkpoint)
    if path is None:
        raise CheckpointError(
            f"The weights of {config.name} are not on this computer. Put {config.checkpoint} "
            f"into {cache_folder()}, or give the path of a checkpoint."
        )
    model = SAM2(config)
    load_weights(model, path)
    return model.to(device).eval()
