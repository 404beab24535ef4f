"""``napari-sam2 train``: train a model by a recipe, or fine-tune one on labels of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli import finetune

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    train = commands.add_parser(
        "train", help="fine-tune a model on your own labels, or train one by a recipe"
    )
    train.add_argument("recipe", nargs="?", help="name or YAML file; not beside --from")
    train.add_argument("--out", type=Path, required=True, help="folder for state and log")
    train.add_argument("--nuclei", type=Path, help="folder of the dsb2018 set, for recipes")
    train.add_argument("--device", help="cpu, cuda, mps; the cpu for recipes, else the fastest")
    train.add_argument("--workers", type=int, default=1, help="processes that make samples")
    train.add_argument("--minutes", type=float, default=float("inf"), help="stop after this long")
    finetune.add_options(train)
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    if (options.recipe is None) == (options.base is None):
        raise ValueError(
            "Give either a recipe, to train a model from scratch, or --from MODEL with --images "
            "and --labels, to fine-tune one."
        )
    if options.base is None:
        _follow_recipe(options)
    else:
        finetune.fine_tune(options)


def _follow_recipe(options: argparse.Namespace) -> None:
    from napari_sam2.predictors.device import choose_device
    from napari_sam2.training.recipe import find_recipe
    from napari_sam2.training.trainer import RunOptions, Trainer

    trainer = Trainer(
        find_recipe(options.recipe),
        RunOptions(
            folder=options.out,
            device=str(choose_device(options.device or "cpu")),
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
