"""The command line: ``napari-sam2 demo | track | evaluate | train``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.prompts import BoxPrompt, PointPrompt, Prompt, parse_object_id, parse_positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sam2.session import Session, Settings

#: Prompts of each object by frame; of a number, or a name.
PromptTable = dict[int | str, dict[int, list[Prompt]]]
#: RuntimeErrors that no input may cause: their traceback is for us.
BUGS = (NotImplementedError, RecursionError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 2 where the input cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    # What users get wrong, and what machines do: torch's lack of memory is a RuntimeError.
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if options.traceback or isinstance(error, BUGS):
            raise
        _complain(error)
        return 2
    except KeyboardInterrupt as stopped:
        print("Stopped.", *_notes(stopped), file=sys.stderr)
        return 130
    return 0


def _complain(error: Exception) -> None:
    message = str(error) or type(error).__name__
    if isinstance(error, RuntimeError | MemoryError):
        # torch adds advice for programmers from the second line on.
        message = f"{message.splitlines()[0]} (napari-sam2 --traceback ... shows where.)"
    print(f"napari-sam2: {message}", *_notes(error), sep="\n", file=sys.stderr)


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="napari-sam2", description=__doc__)
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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

    demo = commands.add_parser(
        "demo", parents=[compute], help="segment and track example data, and show how well"
    )
    demo.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for results")
    demo.add_argument("--show", action="store_true", help="open the result in napari")
    demo.set_defaults(run=_demo)

    track = commands.add_parser(
        "track", parents=[compute], help="follow objects through a stack from points in a CSV"
    )
    track.add_argument("stack", type=Path, help="TIFF, npy, zarr or animation; (T, Y, X)")
    track.add_argument(
        "--points",
        type=Path,
        required=True,
        help="CSV with columns frame,row,column and, if wanted, object (its number in the labels, "
        "or a name), positive (1 or 0), and row1,column1 where a row is a box",
    )
    track.add_argument("--out", type=Path, required=True, help="TIFF of labels to write")
    track.add_argument("--axis", type=int, default=0, help="axis to play through")
    track.add_argument(
        "--hold",
        type=_held,
        action="append",
        default=[],
        metavar="AXIS=POSITION",
        help="where to stay on an axis that is neither played nor seen, as 1=7 for the eighth "
        "plane of (T, Z, Y, X); may be given again",
    )
    track.add_argument("--direction", default="both", choices=["forward", "backward", "both"])
    track.add_argument("--start", type=int, default=0, help="first frame")
    track.add_argument("--stop", type=int, help="frame to stop before")
    track.set_defaults(run=_track)

    evaluate = commands.add_parser(
        "evaluate", parents=[compute], help="measure one click and one box an object"
    )
    evaluate.add_argument("folders", type=Path, nargs="+", help="annotated sets")
    evaluate.add_argument(
        "--kept-out-of", metavar="RECIPE", help="recipe: only images it was not trained on"
    )
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
    from napari_sam2.predictors.segmenter import TrackerOptions
    from napari_sam2.session import Settings

    return Settings(
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        tracker=TrackerOptions(field=options.field),
    )


def _held(text: str) -> tuple[int, int]:
    axis, _, position = text.partition("=")
    try:
        return int(axis), int(position)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not AXIS=POSITION, two whole numbers as in 1=7"
        ) from error


def _track(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from napari_sam2.exports import check_label_path, label_file, read_stack
    from napari_sam2.labels import LABEL_DTYPE
    from napari_sam2.predictors.frames import FrameSource, View
    from napari_sam2.session import Session

    check_label_path(options.out, [options.stack, options.points])
    stack, prompts = read_stack(options.stack), read_prompts(options.points)
    model, view = options.model, View(axis=options.axis, held=dict(options.hold))
    shape = FrameSource(stack, view).label_shape
    with label_file(options.out, shape, LABEL_DTYPE) as labels:
        session = Session(stack, model, view=view, settings=_settings(options), labels=labels)
        _add_objects(session, prompts)
        span = (options.direction, options.start, options.stop)
        total = sum(len(one.frames) for one in session.plan(*span))
        for _ in tqdm(session.propagate(*span), total=total, unit="frame"):
            pass
    for object_id, known in session.objects.items():
        if known.name in prompts:
            print(f"{known.name}: {object_id} in the labels")
    print(f"{len(prompts)} objects in {session.n_frames} frames: {options.out}")


def _add_objects(session: Session, prompts: PromptTable) -> None:
    free = count(max((key for key in prompts if isinstance(key, int)), default=0) + 1)
    for key, by_frame in prompts.items():
        name, number = ("", key) if isinstance(key, int) else (key, next(free))
        object_id = session.add_object(name, number)
        for frame, on_frame in by_frame.items():
            try:
                session.set_prompts(object_id, frame, on_frame)
            except (ValueError, IndexError) as error:
                raise ValueError(f"{session.objects[object_id].name}: {error}") from error


def read_prompts(path: Path) -> PromptTable:
    """Read prompts by object and frame from a CSV; see ``napari-sam2 track --help``.

    Objects are whole numbers, which they have in the labels, or names; without a column for
    them, or where it is empty, each row is an object.

    Raises
    ------
    ValueError
        If a column is missing or a value cannot be read; the message names the line.
    """
    found: defaultdict[int | str, defaultdict[int, list[Prompt]]]
    found = defaultdict(lambda: defaultdict(list))
    rows = _read_rows(path)
    named = any(row.get("object") for _, row in rows)
    for line, row in rows:
        try:
            prompt = _read_prompt(row)
            key = _read_object(row) if named else f"object {len(found) + 1}"
        except ValueError as error:
            raise ValueError(f"{path.name}, line {line}: {error}") from error
        found[key][prompt.frame].append(prompt)
    if not found:
        raise ValueError(f"{path.name} has no points in it.")
    return {key: dict(frames) for key, frames in found.items()}


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Give each row of a CSV with its line, and refuse one without the columns that it needs."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            columns = reader.fieldnames or []
            for column in ("frame", "row", "column"):
                if column not in columns:
                    raise ValueError(
                        f"{path.name} has no column {column!r}; it needs frame, row and column."
                    )
            if ("row1" in columns) != ("column1" in columns):
                raise ValueError(
                    f"{path.name} has only one of the columns 'row1' and 'column1'; boxes need "
                    "both."
                )
            return [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from error


def _read_prompt(row: Mapping[str, str]) -> Prompt:
    frame = _number(row, "frame")
    if not frame.is_integer():
        raise ValueError(f"frame is {row['frame']}; it must be a whole number, from 0.")
    start = int(frame), _number(row, "row"), _number(row, "column")
    positive = parse_positive(row["positive"]) if row.get("positive") else True
    if not row.get("row1") and not row.get("column1"):
        return PointPrompt(*start, positive)
    if not positive:
        raise ValueError("A box cannot be negative; give points beside the object.")
    return BoxPrompt(*start, _number(row, "row1"), _number(row, "column1"))


def _number(row: Mapping[str, str], column: str) -> float:
    if not row.get(column):
        raise ValueError(f"{column} is missing.")
    try:
        return float(row[column])
    except ValueError as error:
        raise ValueError(f"{column} is {row[column]!r}; it must be a number.") from error


def _read_object(row: Mapping[str, str]) -> int | str:
    if not (name := row.get("object")):
        raise ValueError("object is missing; name it in every row, or in none.")
    try:
        return parse_object_id(name)
    except ValueError:
        return name


def _evaluate(options: argparse.Namespace) -> None:
    from napari_sam2.evaluation import report
    from napari_sam2.predictors import load_model
    from napari_sam2.predictors.device import choose_device, choose_precision
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.training.recipe import find_recipe

    only = find_recipe(options.kept_out_of).kept_out_stems() if options.kept_out_of else None
    if only is not None and not only:
        raise ValueError(f"The recipe {options.kept_out_of} keeps no images out.")
    device = choose_device(options.device)
    predictor = ImagePredictor(
        load_model(options.model, options.checkpoint, device=device),
        precision=choose_precision(options.precision, device),
        field=options.field,
    )
    measured = report.EvaluationOptions(
        only=only, whole=options.whole, frames=options.frames, tracked=options.track or 0
    )
    results = report.Report()
    for line in report.measure(predictor, options.folders, measured, results):
        print(line, flush=True)
    if options.csv:
        report.write_scores(options.csv, results.scores)
    if results.failures:
        raise ValueError("\n".join(["Some sets could not be measured:", *results.failures]))


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
