"""Animations as GIF, written picture by picture."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from PIL import Image
from PIL.GifImagePlugin import getdata, getheader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np


class GifFile:
    """A GIF that loops, in constant memory: Pillow's own way of saving holds all pictures.

    Parameters
    ----------
    file : file, binary
    frame_rate : float
        Pictures a second.
    """

    def __init__(self, file: IO[bytes], frame_rate: float) -> None:
        self._file = file
        self._duration = round(1000 / frame_rate)  # ms
        self._is_begun = False

    def add(self, picture: np.ndarray) -> None:
        """Write a picture (H, W, 3), uint8, of the shape of those before."""
        image = Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE)
        if not self._is_begun:
            header, _ = getheader(image, info={"loop": 0})
            self._file.writelines(header)
            self._is_begun = True
        # Each has 256 colours of its own.
        parts = getdata(image, duration=self._duration, include_color_table=True)
        self._file.writelines(parts)
        parts.clear()  # Pillow has the list in a reference cycle, which may last

    def end(self) -> None:
        """Say that these are all."""
        self._file.write(b";")


@contextmanager
def open_gif(path: Path, frame_rate: float = 8) -> Iterator[GifFile]:
    """Open a GIF to write; it is whole once this is left without an error."""
    with path.open("wb") as file:
        gif = GifFile(file, frame_rate)
        yield gif
        gif.end()
