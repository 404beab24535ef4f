"""``napari-sam2 train --from MODEL``: fine-tune a model on a lab's own labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from napari_sam2.training.finetune import FineTuned, FineTuneOptions, FineTuning


def add_options(train: argparse.ArgumentParser) -> None:
    """Add what only fine-tuning takes to the parser."""
    own = train.add_argument_group("fine-tuning on your own labels, in the place of a recipe")
    own.add_argument("--from", dest="base", metavar="MODEL", help="what to begin with")
    own.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights to begin with")
    own.add_argument(
        "--images", type=Path, nargs="+", metavar="PATH", help="images, stacks, or folders of them"
    )
    own.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="their labels, named like the images, if wanted with _masks or _labels after it; "
        "frames without any are not annotated",
    )
    own.add_argument("--name", help="of the new model; that of the --out folder unless given")
    own.add_argument(
        "--trunk",
        default="frozen",
        choices=["frozen", "lora", "all"],
        help="whether the image trunk stays as it is (fast, needs few labels), is changed a little "
        "by LoRA, or learns like all else",
    )
    own.add_argument("--rank", type=int, default=8, help="of LoRA's changes")
    own.add_argument(
        "--hold-out", type=float, default=0.2, metavar="SHARE", help="that is only measured on"
    )
    own.add_argument("--hold-out-by", default="auto", choices=["auto", "frames", "objects"])
    own.add_argument(
        "--sequences",
        default="auto",
        choices=["auto", "on", "off"],
        help="whether following through time or z is learnt, too; ids must not jump for that",
    )
    own.add_argument(
        "--unlabelled",
        default="background",
        choices=["background", "ignored"],
        help="what pixels are that have no label: no object, or not looked at yet",
    )
    own.add_argument(
        "--background", type=int, metavar="ID", help="a label that was painted on background"
    )
    own.add_argument("--axis", type=int, default=0, help="of stacks, to play through")
    own.add_argument("--steps", type=int, default=400)
    own.add_argument("--batch", type=int, default=4, help="views a step")
    own.add_argument("--rate", type=float, default=2e-4, help="learning rate")
    own.add_argument("--patience", type=int, default=6, help="measurements without a better one")
    own.add_argument(
        "--recompute", action="store_true", help="save memory by gradient checkpointing"
    )
    own.add_argument("--seed", type=int, default=0)
    own.add_argument("--overwrite", action="store_true", help="replace a model of this name")


def fine_tune(options: argparse.Namespace) -> None:
    """Run the command."""
    from napari_sam2.predictors.frames import View
    from napari_sam2.training.annotated import LabelRule
    from napari_sam2.training.finetune import FineTuning
    from napari_sam2.training.pairing import read_annotated

    if not options.images or not options.labels:
        raise ValueError("Nothing to learn from: give --images and --labels.")
    rule = LabelRule(unlabelled=options.unlabelled, background=options.background)
    stacks = read_annotated(options.images, options.labels, view=View(axis=options.axis), rule=rule)
    run = FineTuning(stacks, _options(options))
    try:
        _follow(run)
    except KeyboardInterrupt as stopped:
        if kept := run.keep_best():
            stopped.add_note(f"The best so far is kept: {kept.after}. It is called {kept.name}.")
        stopped.add_note("The same command goes on from here.")
        raise
    if run.result is None:
        print("Time is over; the same command goes on from here.")
    else:
        _report(run.result)


def _options(options: argparse.Namespace) -> FineTuneOptions:
    from napari_sam2.training.finetune import FineTuneOptions

    return FineTuneOptions(
        name=options.name or options.out.resolve().name,
        model=options.base,
        checkpoint=options.checkpoint,
        folder=options.out,
        learning=options.trunk,
        rank=options.rank,
        hold_out=options.hold_out,
        hold_out_by=options.hold_out_by,
        sequences=options.sequences,
        steps=options.steps,
        batch_size=options.batch,
        learning_rate=options.rate,
        patience=options.patience,
        recompute=options.recompute,
        device=options.device,
        seed=options.seed,
        minutes=options.minutes,
        overwrite=options.overwrite,
    )


def _follow(run: FineTuning) -> None:
    """Show a bar, and a line for each measurement."""
    from tqdm import tqdm

    with tqdm(initial=run.step, total=run.options.steps, unit="step", desc="learning") as bar:
        for progress in run.steps():
            bar.update(progress.step - bar.n)
            if progress.loss is not None:
                bar.set_postfix(loss=f"{progress.loss:.3f}")
            if progress.scores is not None:
                bar.write(f"{progress.stage:>9}, step {progress.step:5}: {progress.scores}")
            if progress.remark:
                bar.write(progress.remark)


def _report(result: FineTuned) -> None:
    what = "held-out objects" if result.is_honest else "the objects that were learnt from"
    print(f"Mean IoU of {result.after.n_objects} {what} ({result.ending}):")
    print(f"  before: {result.before}\n   after: {result.after}")
    print(f"{result.weights}\nUse it by its name: --model {result.name}")
