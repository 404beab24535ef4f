"""``napari-sam2 segment``: find everything on images, without prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2.cli.compute import chosen_model, compute_options, held_position

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np

    from napari_sam2.automatic import EverythingOptions, Selection
    from napari_sam2.cli.compute import Commands
    from napari_sam2.session import Session

#: What is taken for an image in a folder.
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}
LARGE = 2**24  #: pixels of a frame that may hold more objects than 16 bits can number


@dataclass(frozen=True)
class Job:
    """An image, and where what is found in it goes."""

    image: Path
    labels: Path

    @property
    def table(self) -> Path:
        """Where the objects are listed."""
        return self.labels.with_suffix(".csv")

    @property
    def picture(self) -> Path:
        """Where they are drawn over the first frame."""
        return self.labels.with_suffix(".png")


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    segment = commands.add_parser(
        "segment",
        parents=[compute_options(field=False)],
        help="find everything on an image, or on each of a folder, without prompts",
    )
    segment.add_argument("image", type=Path, help="TIFF, npy, zarr or picture; or a folder of them")
    segment.add_argument(
        "--out",
        type=Path,
        required=True,
        help="TIFF of labels to write, and beside it a table (.csv) and a picture (.png) of the "
        "same name; of a folder, the folder to write them into",
    )
    segment.add_argument(
        "--diameter",
        type=float,
        metavar="PIXELS",
        help="typical diameter of objects: small ones are looked at from closer then",
    )
    segment.add_argument(
        "--density", type=float, default=1.0, help="of the points that are asked at; 1 is usual"
    )
    segment.add_argument("--tile", type=int, metavar="PIXELS", help="edge of the tiles looked at")
    for name, text in (
        ("min-iou", "predicted IoU, 0 to 1; what suits the model unless given"),
        ("min-stability", "how little masks depend on their cut-off, 0 to 1; likewise"),
        ("min-area", "pixels"),
        ("max-area", "pixels"),
        ("max-overlap", "the part of an object that better ones may cover, 0 to 1"),
    ):
        segment.add_argument(f"--{name}", type=float, metavar="NUMBER", help=text)
    segment.add_argument("--axis", type=int, default=0, help="axis of the frames of a stack")
    segment.add_argument(
        "--hold",
        type=held_position,
        action="append",
        default=[],
        metavar="AXIS=POSITION",
        help="where to stay on an axis that is neither played nor seen; may be given again",
    )
    segment.set_defaults(run=_segment)


def _segment(options: argparse.Namespace) -> None:
    from napari_sam2.automatic import EverythingOptions, Selection
    from napari_sam2.predictors import load_model
    from napari_sam2.predictors.device import choose_device

    where = EverythingOptions(diameter=options.diameter, density=options.density, tile=options.tile)
    jobs = _jobs(options.image, options.out)
    model = load_model(
        chosen_model(options),
        options.checkpoint,
        device=choose_device(options.device),
        compiled=options.compile,
        image_size=options.image_size,
    )
    names = ("min_iou", "min_stability", "min_area", "max_area", "max_overlap")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    selection = Selection.suited(model.config, **given)
    wrong = []
    for job in jobs:
        try:
            _segment_one(job, model, (where, selection), options)
        except (ValueError, OSError) as error:
            if len(jobs) == 1:
                raise
            wrong.append(f"{job.image.name}: {error}")  # the others may do
            print(wrong[-1])
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(jobs)} images failed:\n" + "\n".join(wrong))


def _jobs(image: Path, out: Path) -> list[Job]:
    """Pair images with what is written of them.

    Raises
    ------
    ValueError
        If there is nothing to read, or it cannot be written there.
    """
    from napari_sam2.results.exports import check_label_path, check_target

    if image.is_dir() and not _is_zarr(image):
        paths = sorted(p for p in image.iterdir() if p.suffix.lower() in SUFFIXES or _is_zarr(p))
        if not paths:
            raise ValueError(f"There are no images in {image}: expected {sorted(SUFFIXES)}.")
        stems = [path.stem for path in paths]
        # a.png and a.tif would both be written as a.tif
        names = [p.stem if stems.count(p.stem) == 1 else p.name.replace(".", "_") for p in paths]
        if out.exists() and not out.is_dir():
            raise ValueError(f"{image} is a folder, so --out is one, too; {out} is a file.")
        out.mkdir(parents=True, exist_ok=True)
        if out.samefile(image):
            raise ValueError(f"Writing into {out} would mix labels with images; give another.")
        return [Job(path, out / f"{name}.tif") for path, name in zip(paths, names, strict=True)]
    job = Job(image, out)
    check_label_path(job.labels, [image])
    for target in (job.table, job.picture):
        check_target(target, [image])
    return [job]


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup"))


def _segment_one(
    job: Job,
    model: Any,
    wanted: tuple[EverythingOptions, Selection],
    options: argparse.Namespace,
) -> None:
    import numpy as np

    from napari_sam2.predictors.frames import FrameSource, View
    from napari_sam2.results.exports import (
        label_file,
        overlay,
        save_picture,
        save_table,
    )
    from napari_sam2.results.stack_files import read_stack
    from napari_sam2.session import Session, Settings

    view = View(axis=options.axis, held=dict(options.hold))
    settings = Settings(device=options.device, precision=options.precision)
    stack = read_stack(job.image)
    source = FrameSource(stack, view)
    dtype = np.dtype(np.uint32 if np.prod(source.shape) > LARGE else np.uint16)
    with label_file(job.labels, source.label_shape, dtype) as labels:
        session = Session(stack, model, view=view, settings=settings, labels=labels)
        rows = list(_frames(session, wanted, job.image.name))
        first = labels[source.index(0)]
    table = np.concatenate(rows)
    save_table(job.table, table)
    save_picture(job.picture, overlay(session.source.read(0), first))
    print(f"{len(table)} objects in {session.n_frames} frames: {job.labels}")


def _frames(
    session: Session,
    wanted: tuple[EverythingOptions, Selection],
    name: str,
) -> Iterator[np.ndarray]:
    """Write the labels of each frame, and give its table."""
    from tqdm import tqdm

    where, selection = wanted
    steps = session.segment_everything(None, where)
    with tqdm(unit="step", desc=name) as bar:
        for step in steps:
            bar.total = step.total
            bar.update()
            if step.is_complete:
                session.labels[session.source.index(step.found.frame)] = step.found.labels(
                    selection
                )
                yield step.found.table(selection)
