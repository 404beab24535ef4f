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


def compute_options() -> argparse.ArgumentParser:
    """Give the parser of the options, a parent for the commands'."""
    compute = argparse.ArgumentParser(add_help=False)
    compute.add_argument("--model", default=EMBEDDED_MODEL, help="config name or YAML file")
    compute.add_argument("--checkpoint", type=Path, help="weights instead of the model's own")
    compute.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
    compute.add_argument("--precision", help="float32, bfloat16 or float16")
    compute.add_argument(
        "--field",
        default="auto",
        choices=["auto", "frame"],
        help="what the model sees: a window that suits the object, or always the whole frame",
    )
    return compute


def chosen_settings(options: argparse.Namespace) -> Settings:
    """Gather how to compute, and with which weights."""
    from napari_sam2.predictors.segmenter import TrackerOptions
    from napari_sam2.session import Settings

    return Settings(
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        tracker=TrackerOptions(field=options.field),
    )
