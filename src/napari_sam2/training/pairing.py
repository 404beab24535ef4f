"""Which file of labels belongs to which image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.results.stack_files import read_stack
from napari_sam2.training.annotated import AnnotatedStack, AnnotationError, LabelRule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam2.predictors.frames import View

#: What programs add to the name of an image for its labels; the longest first.
ENDINGS = ("_cp_masks", "_labels", "_masks", "_label", "_mask", "_seg", "-labels", "-mask")
SUFFIXES = (".tif", ".tiff", ".npy", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".zarr")
SHOWN = 3  #: names in an error, at most


class Pair(NamedTuple):
    """An image or a stack, and its labels."""

    image: Path
    labels: Path


def read_annotated(
    images: Sequence[Path],
    labels: Sequence[Path],
    *,
    view: View | None = None,
    rule: LabelRule | None = None,
) -> list[AnnotatedStack]:
    """Open images and their labels; see `pair_files`.

    Parameters
    ----------
    images, labels : sequence of Path
        Files, or folders of files.
    view : View, optional
        How all are looked at.
    rule : LabelRule, optional
        What the numbers in labels mean.

    Raises
    ------
    AnnotationError
        If they do not belong together, or cannot be learnt from.
    ValueError
        If one cannot be read.
    """
    return [
        AnnotatedStack(
            read_stack(pair.image), read_stack(pair.labels), view, name=pair.image.name, rule=rule
        )
        for pair in pair_files(images, labels)
    ]


def pair_files(images: Sequence[Path], labels: Sequence[Path]) -> list[Pair]:
    """Find the labels of every image.

    One file and one file belong together. More are matched by name without suffix, where that
    of labels may end in ``_masks``, ``_labels`` and the like; images without labels are left
    out. Images and labels may be in one folder, then labels are told by such an ending.

    Parameters
    ----------
    images, labels : sequence of Path
        Files, folders of files, or zarr folders.

    Raises
    ------
    AnnotationError
        If something is not there, or labels are left without an image.
    """
    image_files, label_files = _files(images), _files(labels)
    if len(image_files) == len(label_files) == 1 and image_files != label_files:
        return [Pair(image_files[0], label_files[0])]
    label_files = [path for path in label_files if _is_labels(path, image_files)]
    by_name = {path.stem: path for path in image_files if path not in label_files}
    pairs, lost = [], []
    for path in label_files:
        image = by_name.get(path.stem) or by_name.get(_without_ending(path.stem))
        if image is None:
            lost.append(path.name)
        else:
            pairs.append(Pair(image, path))
    if lost or not pairs:
        what = f"the labels {_some(lost)}" if lost else "any labels"
        raise AnnotationError(
            f"There is no image for {what} among {len(by_name)} images ({_some(sorted(by_name))}). "
            "Labels are to be named like their images, or with _masks or _labels after that."
        )
    return pairs


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise AnnotationError(f"There is no file or folder {path}.")
        if path.is_dir() and not _is_zarr(path):
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise AnnotationError(
                    f"There are no images in {path}; expected files that end in one of "
                    f"{', '.join(SUFFIXES)}."
                )
            found += inside
        else:
            found.append(path)
    return found


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def _is_labels(path: Path, images: Sequence[Path]) -> bool:
    """Whether a file is one of labels: in a folder of both, those with an ending are."""
    return path not in images or _without_ending(path.stem) != path.stem


def _without_ending(stem: str) -> str:
    return next((stem.removesuffix(end) for end in ENDINGS if stem.endswith(end)), stem)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
