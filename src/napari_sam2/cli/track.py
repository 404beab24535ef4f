"""``napari-sam2 track``: follow objects through a stack."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli.compute import (
    chosen_model,
    chosen_settings,
    compute_options,
    held_position,
)
from napari_sam2.cli.prompt_table import PromptTable, read_prompts

if TYPE_CHECKING:
    import argparse

    import numpy as np

    from napari_sam2.cli.compute import Commands
    from napari_sam2.predictors.frames import ArrayLike
    from napari_sam2.session import Session


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    track = commands.add_parser(
        "track",
        parents=[compute_options()],
        help="follow objects through a stack from points in a CSV, or from labels",
    )
    track.add_argument("stack", type=Path, help="TIFF, npy, zarr or animation; (T, Y, X)")
    track.add_argument(
        "--points",
        type=Path,
        help="CSV with columns frame,row,column and, if wanted, object (its number in the labels, "
        "or a name), positive (1 or 0), and row1,column1 where a row is a box",
    )
    track.add_argument(
        "--labels",
        type=Path,
        help="labels to begin from, beside the points or in their place: of one frame, or of the "
        "stack, with objects on some of its frames; they keep their numbers",
    )
    track.add_argument(
        "--labels-frame", type=int, default=0, help="the frame, where they are of one; else 0"
    )
    track.add_argument("--out", type=Path, required=True, help="TIFF of labels to write")
    track.add_argument(
        "--tracks", type=Path, help="CSV of centroids to write, a line an object and frame"
    )
    track.add_argument(
        "--quality", type=Path, help="CSV to write, of how sure each object is on each frame"
    )
    track.add_argument(
        "--session",
        type=Path,
        metavar="FILE.sam2",
        help="session to write, for `Session.load` and the dock to go on with; also where the "
        "run is interrupted",
    )
    track.add_argument("--axis", type=int, default=0, help="axis to play through")
    track.add_argument(
        "--hold",
        type=held_position,
        action="append",
        default=[],
        metavar="AXIS=POSITION",
        help="where to stay on an axis that is neither played nor seen, as 1=7 for the eighth "
        "plane of (T, Z, Y, X); may be given again",
    )
    track.add_argument("--direction", default="both", choices=["forward", "backward", "both"])
    track.add_argument("--start", type=int, default=0, help="first frame")
    track.add_argument("--stop", type=int, help="frame to stop before")
    track.add_argument(
        "--stop-after-empty",
        type=int,
        metavar="N",
        help="look no further for an object that is not there on N frames in a row",
    )
    track.add_argument(
        "--divisions",
        action="store_true",
        help="watch for objects that divide; their daughters are objects of their own",
    )
    track.set_defaults(run=_track)


def _track(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from napari_sam2.predictors.frames import FrameSource, View
    from napari_sam2.results.divisions import DivisionRule
    from napari_sam2.results.exports import label_file
    from napari_sam2.results.stack_files import read_stack
    from napari_sam2.session import Session

    _check_paths(options)
    stack = read_stack(options.stack)
    prompts = read_prompts(options.points) if options.points else {}
    given = read_stack(options.labels) if options.labels else None
    model, view = chosen_model(options), View(axis=options.axis, held=dict(options.hold))
    shape = FrameSource(stack, view).label_shape
    with label_file(options.out, shape, _label_dtype(given, prompts)) as labels:
        session = Session(stack, model, view=view, settings=chosen_settings(options), labels=labels)
        if given is not None:
            _add_labels(session, given, options.labels_frame)
        _add_objects(session, prompts)
        span = (options.direction, options.start, options.stop)
        total = sum(len(one.frames) for one in session.plan(*span))
        steps = session.propagate(
            *span,
            stop_after_empty=options.stop_after_empty,
            divisions=DivisionRule() if options.divisions else None,
        )
        try:
            for _ in tqdm(steps, total=total, unit="frame"):
                pass
        finally:
            if options.session:
                _save_session(session, options)
    _report(session, prompts, options)


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse what would fail, or destroy something, at the end of a long run."""
    from napari_sam2.results.exports import check_label_path, check_target
    from napari_sam2.session_files.session_file import open_session

    sources = [one for one in (options.stack, options.points, options.labels) if one]
    if len(sources) == 1:
        raise ValueError("Nothing to follow: give --points, --labels or both.")
    check_label_path(options.out, sources)
    for table in (options.tracks, options.quality):
        if table:
            check_target(table, [*sources, options.out])
    if options.session:
        check_target(options.session, [*sources, options.out])
        if options.session.exists():
            with open_session(options.session):
                pass


def _save_session(session: Session, options: argparse.Namespace) -> None:
    from napari_sam2.session_files.session_file import Origin

    session.origin = Origin(options.stack.name, str(options.stack.absolute()))
    session.save(options.session)
    print(f"Session: {options.session}")


def _report(session: Session, prompts: PromptTable, options: argparse.Namespace) -> None:
    from napari_sam2.results.exports import save_table

    for object_id, known in session.objects.items():
        if known.name in prompts:
            print(f"{known.name}: {object_id} in the labels")
        if known.parent is not None:
            print(f"{object_id} comes from {known.parent}")
    print(f"{len(session.objects)} objects in {session.n_frames} frames: {options.out}")
    if options.tracks:
        save_table(options.tracks, session.tracks().table())
        print(f"Tracks: {options.tracks}")
    if options.quality:
        save_table(options.quality, session.quality.rows())
        print(f"Quality: {options.quality}")


def _label_dtype(given: ArrayLike | None, prompts: PromptTable) -> np.dtype:
    """Choose what labels are written as: as usual, where that has room for the numbers given."""
    import numpy as np

    from napari_sam2.results.labels import LABEL_DTYPE

    room = np.iinfo(LABEL_DTYPE).max
    highest = max((key for key in prompts if isinstance(key, int)), default=0)
    # Only long numbers are looked through, one frame in memory at a time.
    if given is not None and given.dtype.kind in "iu" and np.iinfo(given.dtype).max > room:
        frames = range(given.shape[0])
        highest = max([highest, *(int(np.max(given[n], initial=0)) for n in frames)])
    names = sum(isinstance(key, str) for key in prompts)  # numbered past the others
    return LABEL_DTYPE if highest + names <= room else np.dtype(np.uint32)


def _add_labels(session: Session, labels: ArrayLike, frame: int) -> None:
    """Begin the objects of labels of one frame, or of a stack."""
    import numpy as np

    source, shape = session.source, tuple(labels.shape)
    if shape == source.shape:
        session.add_labels(frame, labels[:])
    elif shape == source.label_shape:
        for one in range(source.n_frames):
            if (plane := np.asarray(labels[source.index(one)])).any():
                session.add_labels(one, plane)
    else:
        raise ValueError(
            f"Labels of one frame have the shape {source.shape} here, and of the stack "
            f"{source.label_shape}; got {shape}."
        )


def _add_objects(session: Session, prompts: PromptTable) -> None:
    numbers = [key for key in prompts if isinstance(key, int)]
    free = count(max((*numbers, *session.objects), default=0) + 1)
    for key, by_frame in prompts.items():
        name, object_id = ("", key) if isinstance(key, int) else (key, next(free))
        if object_id not in session.objects:  # the labels may have it
            session.add_object(name, object_id)
        for frame, on_frame in by_frame.items():
            try:
                session.set_prompts(object_id, frame, on_frame)
            except (ValueError, IndexError) as error:
                raise ValueError(f"{session.objects[object_id].name}: {error}") from error
