"""Meta's ``sam2.build_sam``: models by the names that Meta gives them."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_sam2.model.checkpoint import (
    CheckpointError,
    cache_folder,
    find_checkpoint,
    load_weights,
)
from napari_sam2.model.config import SAM2Config, config_names, load_config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

#: Our names of the sizes, by the end of Meta's configs.
_SIZES = {"t": "tiny", "s": "small", "b+": "base_plus", "l": "large"}

#: What `build_sam2` takes; ``from_pretrained`` hands these on to it.
BUILD_ARGUMENTS = {"device", "mode", "hydra_overrides_extra", "apply_postprocessing"}

_DECODER = "model.sam_mask_decoder_extra_args.dynamic_multimask"
_VIA_STABILITY = f"{_DECODER}_via_stability"
_DELTA, _THRESHOLD = f"{_DECODER}_stability_delta", f"{_DECODER}_stability_thresh"
_USUAL_DELTA, _USUAL_THRESHOLD = 0.05, 0.98
_IMAGE_SIZE = "model.image_size"
_COMPILE = "model.compile_image_encoder"  # makes Meta's faster, changes no number
_UNDERSTOOD = {_VIA_STABILITY, _DELTA, _THRESHOLD, _IMAGE_SIZE, _COMPILE}


def build_sam2(
    config_file: str | Path,
    ckpt_path: str | Path | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Iterable[str] = (),
    apply_postprocessing: bool = True,
    **kwargs: Any,
) -> SAM2:
    """Build a model, with weights from a file.

    Parameters
    ----------
    config_file : str or Path
        Meta's name of a config, with or without its folder
        (``configs/sam2.1/sam2.1_hiera_t.yaml``, ``sam2_hiera_l.yaml``), ours
        (``sam2.1_hiera_tiny``), or a YAML file of ours.
    ckpt_path : str or Path, optional
        Weights. Without them the model is untrained, as Meta's is; `build_sam2_hf` and
        `napari_sam2.load_model` find them by the model's name.
    device : str or torch.device, optional
        Where the model goes; the fastest there is unless given (Meta's default is ``cuda``).
    mode : str
        ``eval`` to predict; anything else leaves the model ready to be trained.
    hydra_overrides_extra : iterable of str
        Such as ``++model.image_size=512``. Understood are the image size and the dynamic
        multimask of ``model.sam_mask_decoder_extra_args``.
    apply_postprocessing : bool
        Replace single masks that are not stable by the best of three candidates, as Meta's
        does; this goes before what the overrides say.
    **kwargs
        Not used, as in Meta's; a warning names them.

    Returns
    -------
    SAM2

    Raises
    ------
    ValueError
        If there is no such config, or an override is not understood.
    CheckpointError
        If the file cannot be read or does not fit the config.
    """
    warn_of_unused("build_sam2", kwargs)
    config = _override(find_config(config_file), hydra_overrides_extra, apply_postprocessing)
    model = SAM2(config)
    if ckpt_path is not None:
        load_weights(model, Path(ckpt_path))
    model = model.to(choose_device(None if device is None else str(device)))
    return model.eval() if mode == "eval" else model


def build_sam2_hf(model_id: str, **kwargs: Any) -> SAM2:
    """Build a published model by its name, with its weights.

    Parameters
    ----------
    model_id : str
        An id on the Hugging Face hub (``facebook/sam2.1-hiera-tiny``), or our name of a model
        (``sam2.1_hiera_nano`` is in the package).
    **kwargs
        See `build_sam2`.

    Raises
    ------
    ValueError
        If there is no such model.
    CheckpointError
        If its weights are not there or do not fit.
    """
    name = model_id.removeprefix("facebook/").replace("-", "_")
    if name not in config_names():
        ids = [f"facebook/{known.replace('_', '-')}" for known in config_names()]
        ids = [known for known in ids if not known.endswith("nano")]
        raise ValueError(
            f"There is no model {model_id!r}. Choose one of {ids} or of {config_names()}; "
            "a file of your own goes to build_sam2(config_file, ckpt_path)."
        )
    return build_sam2(name, _weights_of(load_config(name)), **kwargs)


def find_config(name: str | Path) -> SAM2Config:
    """Read a config by Meta's name or by ours; see `build_sam2`."""
    stem = re.sub(r"\.ya?ml$", "", re.split(r"[/\\]", str(name))[-1])
    metas = re.fullmatch(r"(sam2(?:\.1)?_hiera)_(t|s|b\+|l)", stem)
    if metas:
        return load_config(f"{metas[1]}_{_SIZES[metas[2]]}")
    if stem in config_names() and not Path(name).is_file():
        return load_config(stem)
    return load_config(name)


def warn_of_unused(name: str, arguments: Mapping[str, Any]) -> None:
    """Name the arguments that nothing reads; Meta's takes them in silence."""
    if arguments:
        warnings.warn(
            f"{name} takes no {', '.join(sorted(arguments))}: not used. Are they misspelt?",
            stacklevel=3,
        )


def _weights_of(config: SAM2Config) -> Path:
    """Find the weights of a published model."""
    path = find_checkpoint(config)
    if path is None:
        raise CheckpointError(
            f"The weights of {config.name} are not on this computer. Put {config.checkpoint} "
            f"into {cache_folder()}, or give the path of a checkpoint to build_sam2."
        )
    return path


def _override(config: SAM2Config, overrides: Iterable[str], postprocess: bool) -> SAM2Config:
    values = dict(_read_override(text) for text in overrides)
    if unknown := sorted(values.keys() - _UNDERSTOOD):
        raise ValueError(
            f"The overrides of {unknown} are not understood; those of {sorted(_UNDERSTOOD)} "
            "are. Other models are YAML files of their own: see SAM2Config."
        )
    if postprocess:
        values |= {_VIA_STABILITY: True, _DELTA: _USUAL_DELTA, _THRESHOLD: _USUAL_THRESHOLD}
    threshold = values.get(_THRESHOLD, _USUAL_THRESHOLD) if values.get(_VIA_STABILITY) else 0.0
    return replace(
        config,
        image_size=int(values.get(_IMAGE_SIZE, config.image_size)),
        least_stability=float(threshold),
        stability_delta=float(values.get(_DELTA, _USUAL_DELTA)),
    )


def _read_override(text: str) -> tuple[str, Any]:
    """Split ``++model.image_size=512`` into name and value."""
    name, equals, value = text.lstrip("+").partition("=")
    if not equals:
        raise ValueError(
            f"The override {text!r} is not understood: expected ++name=value, such as "
            "++model.image_size=512."
        )
    return name.strip(), yaml.safe_load(value)
