"""The user's own models as files: config, weights, a card that says what they are, pictures."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import yaml
from safetensors.torch import save_file

from napari_sam2.model.config import architecture_names
from napari_sam2.model.locations import models_folder
from napari_sam2.model.registry import find_published
from napari_sam2.results.exports import save_picture
from napari_sam2.training.files import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from napari_sam2.model.config import SAM2Config

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def check_name(name: str) -> None:
    """Refuse names that cannot be files everywhere, or are those of other models.

    Raises
    ------
    ValueError
    """
    if not NAME.fullmatch(name) or name.endswith((".yaml", ".yml", ".pt", ".safetensors", ".")):
        raise ValueError(
            f"{name!r} cannot be the name of a model: use letters and digits, and after the first "
            "any of _ . + -, as in my-cells."
        )
    if name in architecture_names() or find_published(name) is not None:
        raise ValueError(f"{name} is a model that comes with napari-sam2; choose another name.")


def check_free(name: str, *, overwrite: bool) -> None:
    """Refuse a name that would replace a model, unless it may.

    Raises
    ------
    ValueError
    """
    if exists(name) and not overwrite:
        raise ValueError(
            f"There is a model {name} already. Choose another name, or allow it to be overwritten."
        )


def exists(name: str) -> bool:
    """Whether there is a model of that name among the user's."""
    return (models_folder() / f"{name}.yaml").is_file()


def write_model(
    name: str,
    config: SAM2Config,
    weights: Mapping[str, Tensor],
    card: Mapping[str, Any],
    picture: np.ndarray | None = None,
) -> Path:
    """Write a model into the user's folder, where every list of models finds it.

    The config comes last: the model is there once all of it is.

    Parameters
    ----------
    name : str
        See `check_name`.
    config : SAM2Config
        Of the model it was made from.
    weights : mapping of str to Tensor
        All of them.
    card : mapping
        For a JSON file.
    picture : np.ndarray, shape (H, W, 3 or 4), uint8, optional

    Returns
    -------
    Path
        The file of the weights, ``<name>.safetensors``.

    Raises
    ------
    OSError
        If there is no room; an earlier model of that name is then as it was.
    """
    folder = models_folder()
    path = folder / f"{name}.safetensors"
    own = asdict(replace(config, name=name, checkpoint=path.name))
    own["hiera"] = {k: list(v) if isinstance(v, tuple) else v for k, v in own["hiera"].items()}
    text = json.dumps(card, indent=2, default=str)
    # torch's tensors may share memory, which the format forbids.
    kept = {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}
    config_text = yaml.safe_dump(own, sort_keys=False)
    files: dict[Path, Callable[[Path], object]] = {path: lambda p: save_file(kept, p)}
    if picture is not None:
        files[folder / f"{name}.png"] = lambda p: _save_png(p, picture)
    files[folder / f"{name}.json"] = lambda p: p.write_text(text, encoding="utf-8")
    files[folder / f"{name}.yaml"] = lambda p: p.write_text(config_text, encoding="utf-8")
    write_all(files)
    if picture is None:
        # One of an earlier model of that name shows what these weights do not find.
        (folder / f"{name}.png").unlink(missing_ok=True)
    return path


def _save_png(path: Path, picture: np.ndarray) -> None:
    # The format is told by the suffix, which a file that is not whole yet has not.
    named = path.with_suffix(".png")
    save_picture(named, picture)
    named.replace(path)
