"""The command line: ``napari-sam2 demo | track | evaluate | train``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.session import Session, Settings

DEFAULT_MODEL = "sam2.1_hiera_nano"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 2 where the input cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"napari-sam2: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; what was done is kept.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="napari-sam2", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compute = argparse.ArgumentParser(add_help=False)
    compute.add_argument("--model", default=DEFAULT_MODEL, help="config name or YAML file")
    compute.add_argument("--checkpoint", type=Path, help="weights instead of the model's own")
    compute.add_argument("--device", help="cpu, cuda, mps; the fastest there is unless given")
    compute.add_argument("--precision", help="float32, bfloat16 or float16")

    demo = commands.add_parser(
        "demo", parents=[compute], help="segment and track example data, and show how well"
    )
    demo.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for results")
    demo.add_argument("--show", action="store_true", help="open the result in napari")
    demo.set_defaults(run=_demo)

    track = commands.add_parser(
        "track", parents=[compute], help="follow objects through a stack from points in a CSV"
    )
    track.add_argument("stack", type=Path, help="TIFF, npy or zarr; (T, Y, X)")
    track.add_argument(
        "--points",
        type=Path,
        required=True,
        help="CSV with columns frame,row,column and, if wanted, object, positive (1 or 0), "
        "and row1,column1 where a row is a box",
    )
    track.add_argument("--out", type=Path, required=True, help="TIFF of labels to write")
    track.add_argument("--axis", type=int, default=0, help="axis to play through")
    track.add_argument("--direction", default="both", choices=["forward", "backward", "both"])
    track.add_argument("--start", type=int, default=0, help="first frame")
    track.add_argument("--stop", type=int, help="frame to stop before")
    track.set_defaults(run=_track)

    evaluate = commands.add_parser(
        "evaluate", parents=[compute], help="measure one click and one box an object"
    )
    evaluate.add_argument("folders", type=Path, nargs="+", help="annotated sets")
    evaluate.add_argument("--kept-out-of", help="recipe: only images it was not trained on")
    evaluate.add_argument("--whole", action="store_true", help="all labels are one object")
    evaluate.add_argument("--frames", type=int, default=10, help="frames of each sequence")
    evaluate.add_argument("--track", type=int, help="follow first-frame boxes so many frames")
    evaluate.add_argument("--csv", type=Path, help="write every object's score")
    evaluate.set_defaults(run=_evaluate)

    train = commands.add_parser("train", help="train a model by a recipe, or go on with it")
    train.add_argument("recipe", help="name or YAML file")
    train.add_argument("--out", type=Path, required=True, help="folder for state, log and weights")
    train.add_argument("--nuclei", type=Path, help="folder of the dsb2018 set")
    train.add_argument("--device", default="cpu")
    train.add_argument("--workers", type=int, default=1, help="processes that make samples")
    train.add_argument("--minutes", type=float, default=float("inf"), help="stop after this long")
    train.set_defaults(run=_train)
    return parser


def _demo(options: argparse.Namespace) -> None:
    from napari_sam2.demo import run_demo

    session = run_demo(options.out, options.model, _settings(options), print)
    if options.show:
        _show(session)


def _show(session: Session) -> None:
    import napari

    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    dock.adopt(session, "time-lapse")
    napari.run()


def _settings(options: argparse.Namespace) -> Settings:
    from napari_sam2.session import Settings

    return Settings(
        checkpoint=options.checkpoint, device=options.device, precision=options.precision
    )


def _track(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from napari_sam2.exports import label_file, read_stack
    from napari_sam2.session import LABEL_DTYPE, Session

    stack, prompts = read_stack(options.stack), read_prompts(options.points)
    session = Session(stack, options.model, options.axis, settings=_settings(options))
    with label_file(options.out, session.source.label_shape, LABEL_DTYPE) as labels:
        session.labels = labels
        for name, by_frame in prompts.items():
            object_id = session.add_object(name)
            for frame, on_frame in by_frame.items():
                session.set_prompts(object_id, frame, on_frame)
        span = (options.direction, options.start, options.stop)
        total = sum(len(one.frames) for one in session.plan(*span))
        for _ in tqdm(session.propagate(*span), total=total, unit="frame"):
            pass
    print(f"{len(prompts)} objects in {session.n_frames} frames: {options.out}")


def read_prompts(path: Path) -> dict[str, dict[int, list[Prompt]]]:
    """Read prompts by object and frame from a CSV; see ``napari-sam2 track --help``.

    Raises
    ------
    ValueError
        If a column is missing or a value is not a number; the message names the line.
    """
    from napari_sam2.prompts import BoxPrompt, PointPrompt

    found: defaultdict[str, defaultdict[int, list[Prompt]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in (reader := csv.DictReader(file, skipinitialspace=True)):
            try:
                frame = int(row["frame"])
                start = float(row["row"]), float(row["column"])
                name = row.get("object") or f"object {len(found) + 1}"
                if row.get("row1"):
                    prompt: Prompt = BoxPrompt(
                        frame, *start, float(row["row1"]), float(row["column1"])
                    )
                else:
                    prompt = PointPrompt(frame, *start, row.get("positive") not in {"0", "False"})
            except KeyError as error:
                raise ValueError(
                    f"{path.name} has no column {error}; it needs frame, row and column."
                ) from error
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from error
            found[name][frame].append(prompt)
    if not found:
        raise ValueError(f"{path.name} has no points in it.")
    return {name: dict(frames) for name, frames in found.items()}


def _evaluate(options: argparse.Namespace) -> None:
    from napari_sam2.evaluation import report
    from napari_sam2.predictors import load_model
    from napari_sam2.predictors.device import choose_device, choose_precision
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.training.recipe import find_recipe

    device = choose_device(options.device)
    predictor = ImagePredictor(
        load_model(options.model, options.checkpoint, device=device),
        precision=choose_precision(options.precision, device),
    )
    only = find_recipe(options.kept_out_of).kept_out_stems() if options.kept_out_of else None
    measured = report.EvaluationOptions(only=only, whole=options.whole, frames=options.frames)
    scores = {}
    print(report.HEADER)
    for folder in options.folders:
        scores[folder.name] = list(report.segmentation_scores(predictor, folder, measured))
        print(report.summary(folder.name, scores[folder.name]), flush=True)
    if options.track:
        for folder in options.folders:
            for line in report.tracking_summary(predictor, folder, options.track):
                print(line, flush=True)
    if options.csv:
        report.write_scores(options.csv, scores)


def _train(options: argparse.Namespace) -> None:
    from napari_sam2.training.recipe import find_recipe
    from napari_sam2.training.trainer import RunOptions, Trainer

    trainer = Trainer(
        find_recipe(options.recipe),
        RunOptions(
            folder=options.out,
            device=options.device,
            nuclei=options.nuclei,
            workers=options.workers,
            minutes=options.minutes,
        ),
    )
    if trainer.run():
        print(f"Finished: {options.out / trainer.config.checkpoint}")
    else:
        print("Time is over; the same command goes on from here.")
