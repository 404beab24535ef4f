"""``napari-sam2 evaluate``: measure how good the masks are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli.compute import chosen_model, compute_options

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands


WORST = 10  #: pictures a set


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser(
        "evaluate", parents=[compute_options()], help="measure one click and one box an object"
    )
    evaluate.add_argument("folders", type=Path, nargs="+", help="annotated sets")
    evaluate.add_argument(
        "--kept-out-of", metavar="RECIPE", help="recipe: only images it was not trained on"
    )
    evaluate.add_argument("--whole", action="store_true", help="all labels are one object")
    evaluate.add_argument("--frames", type=int, default=10, help="frames of each sequence")
    evaluate.add_argument("--track", type=int, help="follow first-frame boxes so many frames")
    evaluate.add_argument(
        "--correct", action="store_true", help="correct each object, too: takes ten times as long"
    )
    evaluate.add_argument(
        "--everything", action="store_true", help="segment everything without prompts, too"
    )
    evaluate.add_argument(
        "--worst", type=Path, metavar="PNG", help="draw the objects that clicks find worst"
    )
    evaluate.add_argument("--csv", type=Path, help="write every object's score")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from napari_sam2.evaluation import report
    from napari_sam2.predictors import load_model
    from napari_sam2.predictors.device import choose_device, choose_precision
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.training.recipe import find_recipe

    _check_paths(options)
    only = find_recipe(options.kept_out_of).kept_out_stems() if options.kept_out_of else None
    if only is not None and not only:
        raise ValueError(f"The recipe {options.kept_out_of} keeps no images out.")
    device = choose_device(options.device)
    predictor = ImagePredictor(
        load_model(
            chosen_model(options),
            options.checkpoint,
            device=device,
            compiled=options.compile,
            image_size=options.image_size,
        ),
        precision=choose_precision(options.precision, device),
        field=options.field,
    )
    measured = report.EvaluationOptions(
        only=only,
        whole=options.whole,
        frames=options.frames,
        tracked=options.track or 0,
        strategy=options.strategy,
        correct=options.correct,
        everything=options.everything,
        pictures=WORST if options.worst else 0,
    )
    results = report.Report()
    for line in report.measure(predictor, options.folders, measured, results):
        print(line, flush=True)
    if options.csv:
        report.write_scores(options.csv, results.scores)
    if options.worst:
        report.write_worst(options.worst, results.worst)
    if results.failures:
        raise ValueError("\n".join(["Some sets could not be measured:", *results.failures]))


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse what would fail at the end of a long run."""
    from napari_sam2.results.exports import check_target

    targets = [path for path in (options.csv, options.worst) if path]
    if options.worst and options.worst.suffix.lower() != ".png":
        raise ValueError(
            f"The worst are drawn as PNG; give --worst a name that ends in .png, not "
            f"{options.worst}."
        )
    for path in targets:
        check_target(path, [*options.folders, *(other for other in targets if other is not path)])
