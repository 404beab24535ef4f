"""Meta's ``sam2.build_sam``: models by the names that Meta gives them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_sam2.model.checkpoint import load_weights
from napari_sam2.model.config import config_names, load_config
from napari_sam2.model.locations import find_checkpoint
from napari_sam2.model.registry import PUBLISHED, find_published
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.compiling import compile_parts
from napari_sam2.predictors.device import choose_device
from napari_sam2.predictors.meta.video import SAM2VideoPredictor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

    from napari_sam2.model.config import SAM2Config

#: What `build_sam2` takes.
_BUILD_ARGUMENTS = {"device", "mode", "hydra_overrides_extra", "apply_postprocessing"}

_DECODER = "model.sam_mask_decoder_extra_args.dynamic_multimask"
_VIA_STABILITY = f"{_DECODER}_via_stability"
_DELTA, _THRESHOLD = f"{_DECODER}_stability_delta", f"{_DECODER}_stability_thresh"
_USUAL_DELTA, _USUAL_THRESHOLD = 0.05, 0.98
_IMAGE_SIZE = "model.image_size"
_COMPILE = "model.compile_image_encoder"
_OF_MODELS = {_VIA_STABILITY, _DELTA, _THRESHOLD, _IMAGE_SIZE, _COMPILE}
#: Arguments of `SAM2VideoPredictor`.
_OF_VIDEOS = {
    f"model.{rule}"
    for rule in (
        "fill_hole_area",
        "non_overlap_masks",
        "clear_non_cond_mem_around_input",
        "add_all_frames_to_correct_as_cond",
        "binarize_mask_from_pts_for_mem_enc",
    )
}


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
    overrides = _read_overrides(hydra_overrides_extra, _OF_MODELS)
    return _build(config_file, ckpt_path, device, mode, overrides, apply_postprocessing)


def build_sam2_video_predictor(
    config_file: str | Path,
    ckpt_path: str | Path | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Iterable[str] = (),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
    **kwargs: Any,
) -> SAM2VideoPredictor:
    """Build a predictor for videos, with weights from a file.

    Parameters
    ----------
    config_file, ckpt_path, device, mode
        See `build_sam2`.
    hydra_overrides_extra : iterable of str
        Those of `build_sam2`, and the arguments of `SAM2VideoPredictor`, such as
        ``++model.non_overlap_masks=true``.
    apply_postprocessing : bool
        Beside what it does in `build_sam2`: fill holes of up to 8 pixels of the low-resolution
        masks, and remember prompted frames as the user sees them.
    vos_optimized : bool
        Compile the network: slow on the first frames, then faster.
        ``++model.compile_image_encoder=true`` compiles the image encoder alone.
    **kwargs
        Not used, as in Meta's; a warning names them.

    Raises
    ------
    ValueError, CheckpointError
        See `build_sam2`.
    """
    warn_of_unused("build_sam2_video_predictor", kwargs)
    overrides = _read_overrides(hydra_overrides_extra, _OF_MODELS | _OF_VIDEOS)
    rules = {key.removeprefix("model."): overrides[key] for key in _OF_VIDEOS & overrides.keys()}
    if apply_postprocessing:
        rules |= {"fill_hole_area": 8, "binarize_mask_from_pts_for_mem_enc": True}
    model = _build(config_file, ckpt_path, device, mode, overrides, apply_postprocessing)
    if vos_optimized:
        compile_parts(model)
    return SAM2VideoPredictor(model, **rules)


def build_sam2_video_predictor_hf(model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a predictor for videos with a published model; see `build_sam2_hf`."""
    name = _published_name(model_id)
    return build_sam2_video_predictor(name, _weights_of(name), **kwargs)


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
    name = _published_name(model_id)
    return build_sam2(name, _weights_of(name), **kwargs)


def _build(
    name: str | Path,
    checkpoint: str | Path | None,
    device: str | torch.device | None,
    mode: str,
    overrides: Mapping[str, Any],
    postprocess: bool,
) -> SAM2:
    model = SAM2(_override(find_config(name), overrides, postprocess))
    if checkpoint is not None:
        load_weights(model, Path(checkpoint))
    model = model.to(choose_device(None if device is None else str(device)))
    if overrides.get(_COMPILE):
        compile_parts(model, everything=False)
    return model.eval() if mode == "eval" else model


def find_config(name: str | Path) -> SAM2Config:
    """Read a config by Meta's name, in whatever folder, or by ours."""
    last = str(name).replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    published = find_published(last) or find_published(f"{last}.yaml")
    if isinstance(name, str) and published and not Path(name).is_file():
        return load_config(published.name)
    return load_config(name)


def _published_name(model_id: str) -> str:
    """Give our name of a model that has weights of its own."""
    published = find_published(model_id)
    if published is not None:
        return published.name
    if model_id not in config_names():
        ids = [model.hub_id for model in PUBLISHED]
        raise ValueError(
            f"There is no model {model_id!r}. Choose one of {ids} or of {config_names()}; "
            "a file of your own goes to build_sam2(config_file, ckpt_path)."
        )
    return model_id


def _weights_of(name: str) -> Path:
    """Find the weights of a model, or download them."""
    path = find_checkpoint(load_config(name))
    if path is not None:
        return path
    from napari_sam2.downloads import download_weights, progress_bar, published_model

    model = published_model(name)
    with progress_bar(model) as report:
        return download_weights(model, report=report)


def split_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the arguments of `build_sam2` from those of a predictor's constructor."""
    build = {name: value for name, value in arguments.items() if name in _BUILD_ARGUMENTS}
    return build, {name: value for name, value in arguments.items() if name not in build}


def warn_of_unused(name: str, arguments: Mapping[str, Any]) -> None:
    """Name the arguments that nothing reads; Meta's takes them in silence."""
    if arguments:
        warnings.warn(
            f"{name} takes no {', '.join(sorted(arguments))}: not used. Are they misspelt?",
            stacklevel=3,
        )


def _override(config: SAM2Config, values: Mapping[str, Any], postprocess: bool) -> SAM2Config:
    if postprocess:
        usual = {_VIA_STABILITY: True, _DELTA: _USUAL_DELTA, _THRESHOLD: _USUAL_THRESHOLD}
        values = {**values, **usual}
    threshold = values.get(_THRESHOLD, _USUAL_THRESHOLD) if values.get(_VIA_STABILITY) else 0.0
    return replace(
        config,
        image_size=int(values.get(_IMAGE_SIZE, config.image_size)),
        least_stability=float(threshold),
        stability_delta=float(values.get(_DELTA, _USUAL_DELTA)),
    )


def _read_overrides(overrides: Iterable[str], understood: set[str]) -> dict[str, Any]:
    values = dict(_read_override(text) for text in overrides)
    if unknown := sorted(values.keys() - understood):
        raise ValueError(
            f"The overrides of {unknown} are not understood; those of {sorted(understood)} "
            "are. Other models are YAML files of their own: see SAM2Config."
        )
    return values


def _read_override(text: str) -> tuple[str, Any]:
    """Split ``++model.image_size=512`` into name and value."""
    name, equals, value = text.lstrip("+").partition("=")
    if not equals:
        raise ValueError(
            f"The override {text!r} is not understood: expected ++name=value, such as "
            "++model.image_size=512."
        )
    return name.strip(), yaml.safe_load(value)
