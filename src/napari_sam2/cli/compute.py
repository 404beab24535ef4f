"""What commands that compute are told alike: which model, with which weights, and how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from napari_sam2.model.config import EMBEDDED_MODEL

if TYPE_CHECKING:
    from napari_sam2.session import Settings

#: What commands add themselves to.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def compute_options(*, field: bool = True) -> argparse.ArgumentParser:
    """Give the parser of the options, a parent for the commands'.

    Parameters
    ----------
    field : bool
        Whether the command can look at parts of frames, and follow objects by any strategy.
    """
    compute = argparse.ArgumentParser(add_help=False)
    which = compute.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        default=EMBEDDED_MODEL,
        help="a model with its own weights: a name that `napari-sam2 models list` shows, or one "
        "of Meta's for the same, or a YAML file",
    )
    which.add_argument(
        "--config",
        metavar="NAME|YAML",
        help="beside --checkpoint, in the place of --model: the model that these weights are for",
    )
    compute.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="weights of yours, .pt or .safetensors, instead of the model's own",
    )
    compute.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
    compute.add_argument("--precision", help="float32, mixed, bfloat16 or float16")
    compute.add_argument(
        "--compile", action="store_true", help="compile the network: slow at first, then faster"
    )
    compute.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="edge of the square that the model sees, its own unless given: half of it is several "
        "times as fast, and approximate",
    )
    if field:
        compute.add_argument(
            "--field",
            default="auto",
            choices=["auto", "frame"],
            help="what the model sees: a window that suits the object, or always the whole frame",
        )
        compute.add_argument(
            "--strategy",
            default="sam2",
            choices=["sam2", "sam2long", "samurai"],
            help="which masks objects are followed by, and what of them is remembered: SAM 2's "
            "rule, or that of SAM2Long or SAMURAI",
        )
    return compute


def held_position(text: str) -> tuple[int, int]:
    """Read AXIS=POSITION.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is something else.
    """
    axis, _, position = text.partition("=")
    try:
        return int(axis), int(position)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not AXIS=POSITION, two whole numbers as in 1=7"
        ) from error


def chosen_model(options: argparse.Namespace) -> str:
    """Give the name or YAML file of the model.

    Raises
    ------
    ValueError
        If there is a config, and no checkpoint that it could be for.
    """
    if options.config is None:
        return str(options.model)
    if options.checkpoint is None:
        raise ValueError(
            "--config says what the weights in --checkpoint are for, and there is no "
            f"--checkpoint. For a model with its own weights: --model {options.config}"
        )
    return str(options.config)


def chosen_settings(options: argparse.Namespace) -> Settings:
    """Gather how to compute, and with which weights."""
    from napari_sam2.predictors.segmenter import TrackerOptions
    from napari_sam2.session import Settings

    return Settings(
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        compile=options.compile,
        image_size=options.image_size,
        tracker=TrackerOptions(field=options.field, strategy=options.strategy),
    )
