"""Videos as Meta's predictor reads them: JPEG folders, MP4 files; and any array.

Frames are read when they are asked for, and none is kept.
"""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_sam2.predictors.frames import (
    EVERYTHING,
    ArrayLike,
    FrameError,
    Frames,
    FrameSource,
    Region,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

JPEG_SUFFIXES = {".jpg", ".jpeg"}


class Pictures(Protocol):
    """Frames as 8-bit pictures."""

    def __len__(self) -> int: ...
    def __getitem__(self, frame: int, /) -> Image.Image: ...


class JpegFolder:
    """The frames of a folder, ``<number>.jpg``, in the order of their numbers.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ValueError
        If there are no JPEGs in it, or their names are no numbers.
    """

    def __init__(self, folder: Path) -> None:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in JPEG_SUFFIXES]
        if not paths:
            raise ValueError(f"No images found in {folder}; expected JPEGs named <number>.jpg.")
        if odd := [path.name for path in paths if not path.stem.isdecimal()]:
            raise ValueError(f"JPEGs of a video are named <number>.jpg; got {sorted(odd)[:3]}.")
        self._paths = sorted(paths, key=lambda path: int(path.stem))

    @property
    def names(self) -> list[str]:
        """The frames' names, without ``.jpg``."""
        return [path.stem for path in self._paths]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, frame: int) -> Image.Image:
        path = self._paths[frame]
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise FrameError(f"Frame {frame} could not be read from {path}: {error}") from error


class ByteArray:
    """An array of 8-bit frames, (T, H, W) or (T, H, W, 3 or 4).

    Parameters
    ----------
    data : array-like
        uint8; numpy, dask, zarr, memmap.
    """

    def __init__(self, data: ArrayLike) -> None:
        self._data = data

    def __len__(self) -> int:
        return int(self._data.shape[0])

    def __getitem__(self, frame: int) -> Image.Image:
        try:
            pixels = np.asarray(self._data[frame])
        except Exception as error:  # whatever a lazy array's storage may raise
            raise FrameError(f"Frame {frame} could not be read: {error}") from error
        return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


class VideoFile:
    """The frames of an MP4, decoded forward; to go back is to begin anew.

    Parameters
    ----------
    file : Path or bytes
        The file, or what is in it.

    Raises
    ------
    ValueError
        If PyAV is not installed, or the file holds no video.
    """

    def __init__(self, file: Path | bytes) -> None:
        if find_spec("av") is None:
            raise ValueError(
                'Video files are read with PyAV: pip install "napari-sam2[video]". A folder of '
                "JPEGs, or an array of frames, needs nothing more."
            )
        self._file = file
        self._next = 0
        self._pictures: Iterator[Image.Image] = self._decode()
        self._count = sum(1 for _ in self._decode())
        if not self._count:
            raise ValueError(f"There are no frames in {self._name}.")

    @property
    def _name(self) -> str:
        return str(self._file) if isinstance(self._file, Path) else "the video"

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, frame: int) -> Image.Image:
        if frame < self._next:
            self._pictures, self._next = self._decode(), 0
        for picture in self._pictures:
            self._next += 1
            if self._next > frame:
                return picture
        raise FrameError(f"Frame {frame} could not be read: {self._name} ended before it.")

    def _decode(self) -> Iterator[Image.Image]:
        import av

        source = BytesIO(self._file) if isinstance(self._file, bytes) else str(self._file)
        try:
            with av.open(source, "r") as container:
                for frame in container.decode(video=0):
                    yield Image.fromarray(frame.to_ndarray(format="rgb24"))
        except (av.FFmpegError, IndexError) as error:
            raise FrameError(f"{self._name} could not be read as a video: {error}") from error


class SquareFrames:
    """Pictures resized to the model's input as Meta's loader does: by Pillow, in 8 bits.

    Parameters
    ----------
    pictures : sequence of pictures
    size : int
        Edge of the model's input, in pixels.
    """

    def __init__(self, pictures: Pictures, size: int) -> None:
        self._pictures = pictures
        self._size = size

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return len(self._pictures)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame as it is given."""
        return self._size, self._size

    def read(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read one frame; (size, size, 3), float32, in [0, 1]."""
        picture = self._pictures[frame].resize((self._size, self._size))
        return (np.asarray(picture) / 255.0).astype(np.float32)[region]


def open_video(video: str | Path | bytes | ArrayLike, size: int) -> tuple[Frames, tuple[int, int]]:
    """Open whatever a video comes as.

    Parameters
    ----------
    video : str, Path, bytes or array-like
        A folder of JPEGs, an MP4 or what is in it, or an array (T, H, W) or (T, H, W, 3 or 4).
        An array of 8 bits gives the numbers of a folder of lossless pictures; any other is
        shown between the 0.1 and 99.9 percentiles of a few of its frames.
    size : int
        Edge of the model's input, in pixels.

    Returns
    -------
    frames : Frames
    shape : tuple of int
        (H, W) of the video.

    Raises
    ------
    ValueError
        If it is none of these, or empty.
    """
    if isinstance(video, str | Path):
        path = Path(video)
        if path.is_dir():
            return _squares(JpegFolder(path), size)
        if not path.is_file():
            raise ValueError(f"There is no folder of JPEGs and no video file {path}.")
        return _squares(VideoFile(path), size)
    if isinstance(video, bytes):
        return _squares(VideoFile(video), size)
    shape = tuple(getattr(video, "shape", ()))
    if len(shape) not in {3, 4} or (len(shape) == 4 and shape[-1] not in {3, 4}) or 0 in shape:
        raise ValueError(
            f"A video is a folder of JPEGs, an MP4, or an array (T, H, W) or (T, H, W, 3); got "
            f"{f'shape {shape}' if shape else type(video).__name__}."
        )
    if video.dtype == np.uint8:
        return SquareFrames(ByteArray(video), size), (int(shape[1]), int(shape[2]))
    source = FrameSource(video, View(rgb=len(shape) == 4))
    return source, source.shape


def _squares(pictures: Pictures, size: int) -> tuple[Frames, tuple[int, int]]:
    width, height = pictures[0].size
    return SquareFrames(pictures, size), (height, width)
