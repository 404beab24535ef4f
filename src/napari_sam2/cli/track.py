"""``napari-sam2 track``: follow objects through a stack."""

from __future__ import annotations

import argparse
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli.compute import chosen_model, chosen_settings, compute_options
from napari_sam2.cli.prompt_table import PromptTable, read_prompts

if TYPE_CHECKING:
    from napari_sam2.cli.compute import Commands
    from napari_sam2.session import Session


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    track = commands.add_parser(
        "track",
        parents=[compute_options()],
        help="follow objects through a stack from points in a CSV",
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
    model, view = chosen_model(options), View(axis=options.axis, held=dict(options.hold))
    shape = FrameSource(stack, view).label_shape
    with label_file(options.out, shape, LABEL_DTYPE) as labels:
        session = Session(stack, model, view=view, settings=chosen_settings(options), labels=labels)
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
