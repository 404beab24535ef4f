"""Weights from files: read as data (never as code), and loaded strictly."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config, architecture_names, config_names, load_config
from napari_sam2.model.locations import find_checkpoint, how_to_get
from napari_sam2.model.sam2 import SAM2

if TYPE_CHECKING:
    from collections.abc import Mapping


class CheckpointError(ValueError):
    """A file of weights is missing, cannot be read, or does not fit."""


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
            f"{path.name} cannot be read as weights{_why(error)}. Expected a .safetensors file, or "
            "a PyTorch checkpoint of nothing but tensors. If it is one, it may be incomplete: copy "
            "or download it again."
        ) from error
    weights = weights.get("model", weights) if isinstance(weights, dict) else weights
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointError(f"{path.name} holds something else than a dictionary of tensors.")
    return weights


def _why(error: Exception) -> str:
    """Say in a few words what is wrong with a file, where that helps who chose it."""
    if isinstance(error, pickle.UnpicklingError):  # torch tells programmers how to trust it
        return ""
    text = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
    return f": {text}" if text else ""


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
            f"  {shown}\n{_advice(weights)}"
        )
    model.load_state_dict(weights)


def find_fitting_config(weights: Mapping[str, Tensor]) -> str | None:
    """Name the package's config whose model has exactly these tensors; None if none has.

    Names and shapes are compared: no two of the configs agree in all of them.
    """
    shapes = {key: value.shape for key, value in weights.items()}
    for name in architecture_names():
        with torch.device("meta"):  # shapes only: neither memory nor time
            model = SAM2(load_config(name))
        if shapes == {key: value.shape for key, value in model.state_dict().items()}:
            return name
    return None


def _advice(weights: Mapping[str, Tensor]) -> str:
    name = find_fitting_config(weights)
    if name is not None:
        return (
            f"The file is of {load_config(name).name}: choose the config {name} (on the command "
            f"line, --config {name})."
        )
    if any(key.startswith("vision_encoder.") for key in weights):
        return (
            "Its tensors are named as in the library transformers; take Meta's own file, which "
            "ends in .pt (napari-sam2 models download fetches it)."
        )
    return (
        f"It fits none of {config_names()} either; give the YAML file of the model that it was "
        "trained as."
    )


def weights_of(config: SAM2Config) -> Path:
    """Give the file with a model's own weights.

    Raises
    ------
    CheckpointError
        If it is not on this computer; the message says how to get it.
    """
    path = find_checkpoint(config)
    if path is None:
        raise CheckpointError(
            f"The weights of {config.name} are not on this computer. {how_to_get(config)}"
        )
    return path


def _beside(name: str | Path, config: SAM2Config) -> Path | None:
    """Find weights in the folder of a YAML file; None if it is a name, or they are not there."""
    if Path(name).suffix not in {".yaml", ".yml"}:
        return None
    path = Path(name).parent / config.checkpoint
    return path if path.is_file() else None


def load_model(
    name: str | Path, checkpoint: str | Path | None = None, *, device: str | torch.device = "cpu"
) -> SAM2:
    """Build a model and load its weights.

    Parameters
    ----------
    name : str or Path
        A config's name, e.g. ``sam2.1_hiera_nano``, or a YAML file; see `load_config`.
    checkpoint : str or Path, optional
        Weights to load instead of the config's own, which lie beside the YAML file, in the
        package, in the cache, or among the user's models.
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
    path = _beside(name, config) or weights_of(config) if checkpoint is None else Path(checkpoint)
    model = SAM2(config)
    load_weights(model, path)
    return model.to(device).eval()
