"""``napari-sam2 train``: train a model by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    train = commands.add_parser("train", help="train a model by a recipe, or go on with it")
    train.add_argument("recipe", help="name or YAML file")
    train.add_argument("--out", type=Path, required=True, help="folder for state, log and weights")
    train.add_argument("--nuclei", type=Path, help="folder of the dsb2018 set")
    train.add_argument("--device", default="cpu")
    train.add_argument("--workers", type=int, default=1, help="processes that make samples")
    train.add_argument("--minutes", type=float, default=float("inf"), help="stop after this long")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    from napari_sam2.predictors.device import choose_device
    from napari_sam2.training.recipe import find_recipe
    from napari_sam2.training.trainer import RunOptions, Trainer

    trainer = Trainer(
        find_recipe(options.recipe),
        RunOptions(
            folder=options.out,
            device=str(choose_device(options.device)),
            nuclei=options.nuclei,
            workers=options.workers,
            minutes=options.minutes,
        ),
    )
    try:
        finished = trainer.run()
    except KeyboardInterrupt as stopped:
        stopped.add_note("The same command goes on from here.")
        raise
    if finished:
        print(f"Finished: {options.out / trainer.config.checkpoint}")
    else:
        print("Time is over; the same command goes on from here.")
