"""Annotated images and sequences on disk.

Two layouts are read: ``images/*.png|tif`` beside ``labels/<same stem>.tif``, and sequences
or volumes, ``images.tif`` beside ``labels.tif``, (T, Y, X), with one id an object through
the whole sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from skimage.io import imread

from napari_sam2.predictors.frames import FrameSource, View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """One image with its truth, and how it is shown to the model."""

    name: str
    image: np.ndarray  #: (H, W) or (H, W, 3)
    labels: np.ndarray  #: (H, W); 0 is not annotated, or background
    view: View


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence with its truth, read when asked for."""

    name: str
    folder: Path

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Give images (T, Y, X) and labels (T, Y, X).

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        images = tifffile.imread(self.folder / "images.tif")
        labels = tifffile.imread(self.folder / "labels.tif")
        _check_shapes(self.name, images, labels)
        return images, labels


def find_sequences(folder: Path) -> list[Sequence]:
    """Find every sequence in a folder or anywhere below it."""
    found = sorted(path.parent for path in folder.rglob("images.tif"))
    return [
        Sequence(str(path.relative_to(folder)) if path != folder else folder.name, path)
        for path in found
        if (path / "labels.tif").is_file()
    ]


def read_frames(
    folder: Path, *, only: frozenset[str] | None = None, per_sequence: int = 10
) -> Iterator[AnnotatedFrame]:
    """Read the annotated images of a folder one by one.

    Parameters
    ----------
    folder : Path
        In either layout; of sequences, evenly spaced frames are taken.
    only : frozenset of str, optional
        Stems of the images to read; all unless given.
    per_sequence : int
        Frames of each sequence, at most.

    Raises
    ------
    ValueError
        If labels do not have the shape of their image.
    """
    for path in sorted((folder / "images").glob("*")):
        truth = folder / "labels" / f"{path.stem}.tif"
        if truth.is_file() and (only is None or path.stem in only):
            image, labels = imread(path), tifffile.imread(truth)
            _check_shapes(path.stem, image, labels)
            yield AnnotatedFrame(path.stem, image, labels, View())
    for sequence in find_sequences(folder):
        images, labels = sequence.read()
        view = View(contrast_limits=FrameSource(images).contrast_limits)
        count = min(per_sequence, len(images))
        for index in np.linspace(0, len(images) - 1, count).round().astype(int):
            if labels[index].any():
                yield AnnotatedFrame(f"{sequence.name}/{index}", images[index], labels[index], view)


def _check_shapes(name: str, image: np.ndarray, labels: np.ndarray) -> None:
    """Refuse labels of another shape than their image, colour aside."""
    if labels.shape != image.shape[: labels.ndim] or image.ndim - labels.ndim not in {0, 1}:
        raise ValueError(f"{name} is of shape {image.shape}, but its labels of {labels.shape}.")
