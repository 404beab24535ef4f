"""Masks of videos on disk: DAVIS's palette pictures, SA-V's pictures of each object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from pathlib import Path


def davis_palette() -> bytes:
    """Give the colours of DAVIS's pictures, 256 times (red, green, blue).

    As of PASCAL VOC: the bits of a number, from the lowest on, go to the highest bits of the
    channels in turn.
    """
    numbers = np.arange(256, dtype=np.uint8)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= ((numbers >> bit) & 1) << (7 - bit // 3)
    return colours.tobytes()


def read_png(path: Path) -> np.ndarray:
    """Read a picture of masks: palette indices or grey values, (H, W).

    Raises
    ------
    ValueError
        If it is no picture, or one in colour.
    """
    try:
        with Image.open(path) as image:
            mask = np.asarray(image)
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} cannot be read as a picture of masks: {error}") from error
    if mask.ndim != 2:
        raise ValueError(f"{path} is in colour; expected a picture with a palette, or a grey one.")
    return mask


def write_png(path: Path, mask: np.ndarray) -> None:
    """Write object numbers (H, W), uint8, with DAVIS's colours; beside, then under its name."""
    image = Image.fromarray(mask)
    image.putpalette(davis_palette())
    partial = path.with_suffix(".partial")
    image.save(partial, format="PNG")
    partial.replace(path)


@dataclass(frozen=True, slots=True)
class MaskFolder:
    """The masks of one video.

    Either ``<frame>.png``, with all objects in one picture (DAVIS), or ``<object>/<frame>.png``,
    where anything but 0 is the object (SA-V).
    """

    path: Path

    @property
    def per_object(self) -> bool:
        """Whether each object has pictures of its own."""
        return any(child.is_dir() for child in self.path.iterdir())

    @property
    def folders(self) -> list[Path]:
        """The folders with pictures in them: the objects', or the only one."""
        if not self.per_object:
            return [self.path]
        return sorted(child for child in self.path.iterdir() if child.is_dir())

    def read(self, frame: str) -> dict[int, np.ndarray]:
        """Give every object's mask (H, W), bool, on a frame; those without a picture are left out.

        Raises
        ------
        ValueError
            If a picture cannot be read, or a folder's name is no number.
        """
        if self.per_object:
            paths = {_number(folder): folder / f"{frame}.png" for folder in self.folders}
            return {i: read_png(path) > 0 for i, path in paths.items() if path.is_file()}
        path = self.path / f"{frame}.png"
        if not path.is_file():
            return {}
        picture = read_png(path)
        return {int(i): picture == i for i in np.unique(picture) if i}

    def write(
        self, frame: str, masks: dict[int, np.ndarray], shape: tuple[int, int], *, per_object: bool
    ) -> None:
        """Write every object's mask (H, W), bool, on a frame; of two on a pixel the lower wins."""
        if per_object:
            for number, mask in masks.items():
                folder = self.path / f"{number:03d}"
                folder.mkdir(parents=True, exist_ok=True)
                write_png(folder / f"{frame}.png", mask.astype(np.uint8))
            return
        picture = np.zeros(shape, dtype=np.uint8)
        for number in sorted(masks, reverse=True):
            picture[masks[number]] = number
        self.path.mkdir(parents=True, exist_ok=True)
        write_png(self.path / f"{frame}.png", picture)


def _number(folder: Path) -> int:
    try:
        return int(folder.name)
    except ValueError as error:
        raise ValueError(
            f"{folder} should be named by its object's number, as in 001 (got {folder.name!r})."
        ) from error
