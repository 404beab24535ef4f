"""Results as files for other programs, written a step at a time: to be watched and given up.

What is given up, or fails, leaves nothing: files have their names only once they are whole.
"""

from __future__ import annotations

import math
import shutil
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import tifffile
from skimage.transform import resize

from napari_sam2.results.exports import overlay, save_table
from napari_sam2.results.gif import open_gif
from napari_sam2.results.room import explaining_full_disk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from napari_sam2.session import Session

LONGEST_EDGE = 768  #: pixels, of an animation
FRAME_RATE = 8
CHUNK_EDGE = 1024  #: pixels
OME_ORDER = "TCZYX"
OME_BYTES = 4  #: of an integer, at most
#: What OME-Zarr calls the kinds of axes.
KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Axes:
    """The axes of labels, as other programs are to understand them."""

    names: str  #: a letter each, in the order of "TCZYX"; the last two are "YX"
    scale: tuple[float, ...]  #: size of a pixel along each
    units: tuple[str, ...]  #: of the sizes, as OME-Zarr spells them; empty where not known
    order: tuple[int, ...]  #: which axis of the labels each of them is


def name_axes(labels: Sequence[str], scale: Sequence[float], units: Sequence[Any]) -> Axes:
    """Name axes as OME does, after what the viewer calls them where that makes sense.

    OME has one order of axes, which labels are written in.

    Parameters
    ----------
    labels : sequence of str
        What each axis is called, as "time" or "z".
    scale : sequence of float
    units : sequence
        Of the sizes, by their full names; "pixel" where not known.

    Raises
    ------
    ValueError
        If there are more axes than OME knows.
    """
    named = "".join(label[:1].upper() for label in labels if label.isalpha())
    if not (len(set(named)) == len(labels) and set("YX") <= set(named) <= set(OME_ORDER)):
        named = _default_names(len(labels))
    order = sorted(range(len(named)), key=lambda n: OME_ORDER.index(named[n]))
    known = ["" if str(unit) == "pixel" else str(unit) for unit in units]
    return Axes(
        "".join(named[n] for n in order),
        tuple(float(scale[n]) for n in order),
        tuple(known[n] for n in order),
        tuple(order),
    )


def _default_names(n_axes: int) -> str:
    if not 2 <= n_axes <= len(OME_ORDER):
        raise ValueError(f"OME files have 2 to 5 axes, {OME_ORDER}; these labels have {n_axes}.")
    return {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX"}[n_axes]


def write_labels(path: Path, labels: Any, axes: Axes) -> Generator[int, None, None]:
    """Write labels as OME-Zarr where the path ends in ``.zarr``, else as compressed OME-TIFF.

    Parameters
    ----------
    path : Path
    labels : array-like, integers
    axes : Axes

    Yields
    ------
    int
        How many steps there are in all.

    Raises
    ------
    ValueError
        If there is a folder of the name.
    NoRoomError
        If the disk is full.
    """
    write = _write_zarr if path.suffix.lower() == ".zarr" else _write_tiff
    with _beside(path) as place:
        yield from write(place, _Arranged(labels, axes.order), axes)


def write_quality(path: Path, session: Session) -> Generator[int, None, None]:
    """Write the quality table as CSV; see `QualityTable` for its columns."""
    with _beside(path) as place:
        save_table(place, session.quality.rows())
        yield 1


def write_animation(path: Path, session: Session) -> Generator[int, None, None]:
    """Draw objects over all frames, as an MP4 where the path ends so, else as a GIF.

    Yields
    ------
    int
        How many frames there are in all.
    """
    with _beside(path) as place:
        if path.suffix.lower() == ".mp4":
            yield from _write_film(place, session)
            return
        with open_gif(place, FRAME_RATE) as gif:
            for frame in range(session.n_frames):
                gif.add(_picture(session, frame))
                yield session.n_frames


class _Arranged:
    """Labels with their axes in another order, read a plane at a time."""

    def __init__(self, labels: Any, order: Sequence[int]) -> None:
        self._labels, self._order = labels, order
        self.shape = tuple(int(labels.shape[n]) for n in order)
        self.dtype = np.dtype(labels.dtype)
        self.n_planes = math.prod(self.shape[:-2])

    def planes(self) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """Give each plane, (Y, X), with its position on the other axes."""
        *leading, rows, columns = self._order
        for position in np.ndindex(*self.shape[:-2]):
            at = dict(zip(leading, position, strict=True))
            index = tuple(at.get(n, slice(None)) for n in range(len(self.shape)))
            plane = np.asarray(self._labels[index])
            yield position, plane if rows < columns else plane.T


def _write_tiff(path: Path, labels: _Arranged, axes: Axes) -> Generator[int, None, None]:
    dtype, total = labels.dtype, labels.n_planes
    if dtype.itemsize > OME_BYTES:
        total *= 2
        dtype = yield from _shorter_dtype(labels, total)
    dtype = dtype.newbyteorder("<")
    # Compressed here: tifffile asks for all planes in one go, which cannot be watched.
    strips = []
    for _, plane in labels.planes():
        strips.append(zlib.compress(np.ascontiguousarray(plane, dtype).tobytes(), 6))
        yield total
    about: dict[str, Any] = {"axes": axes.names}
    for letter, scale, unit in zip(axes.names, axes.scale, axes.units, strict=True):
        if letter in "XYZ" and unit:
            about |= {f"PhysicalSize{letter}": scale, f"PhysicalSize{letter}Unit": _short(unit)}
        elif letter == "T" and unit:
            about |= {"TimeIncrement": scale, "TimeIncrementUnit": _short(unit)}
    tifffile.imwrite(
        path,
        iter(strips),
        shape=labels.shape,
        dtype=dtype,
        byteorder="<",
        bigtiff=sum(map(len, strips)) > 2**31,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        rowsperstrip=labels.shape[-2],
        metadata=about,
    )


def _shorter_dtype(labels: _Arranged, total: int) -> Generator[int, None, np.dtype[Any]]:
    """Choose a type that OME has, by the numbers that there are; yields a step a plane."""
    lowest = highest = 0
    for _, plane in labels.planes():
        lowest, highest = min(lowest, int(plane.min())), max(highest, int(plane.max()))
        yield total
    for dtype in (np.uint16, np.uint32, np.int32):
        if np.iinfo(dtype).min <= lowest and highest <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise ValueError(
        f"OME-TIFF has 32 bits for a label; these go from {lowest} to {highest}. Give a name that "
        "ends in .zarr."
    )


def _write_zarr(path: Path, labels: _Arranged, axes: Axes) -> Generator[int, None, None]:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    *leading, height, width = labels.shape
    array = group.create_array(
        "0",
        shape=labels.shape,
        dtype=labels.dtype,
        chunks=(*(1 for _ in leading), min(height, CHUNK_EDGE), min(width, CHUNK_EDGE)),
        dimension_names=[letter.lower() for letter in axes.names],
    )
    described: list[Any] = [
        {"name": letter, "type": KINDS[letter], **({"unit": unit} if unit else {})}
        for letter, unit in zip(axes.names.lower(), axes.units, strict=True)
    ]
    scale: dict[str, Any] = {"type": "scale", "scale": list(axes.scale)}
    ome: dict[str, Any] = {
        "version": "0.5",
        "image-label": {"version": "0.5"},
        "multiscales": [
            {
                "name": "labels",
                "axes": described,
                "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
            }
        ],
    }
    group.attrs["ome"] = ome
    for position, plane in labels.planes():
        if plane.any():
            array[position] = plane
        yield labels.n_planes


def _picture(session: Session, frame: int) -> np.ndarray:
    """Draw a frame, (H, W, 3), uint8, no larger than an animation should be."""
    image = session.source.read(frame)
    found = np.asarray(session.labels[session.source.index(frame)])
    share = LONGEST_EDGE / max(found.shape)
    if share < 1:
        shape = [max(1, round(n * share)) for n in found.shape]
        rows, columns = (
            (np.arange(n) * (have / n)).astype(int)
            for n, have in zip(shape, found.shape, strict=True)
        )
        found = found[np.ix_(rows, columns)]
        image = resize(image, (*shape, 3), anti_aliasing=True)
    return overlay(image, found)


def _write_film(path: Path, session: Session) -> Generator[int, None, None]:
    try:
        import av
    except ImportError as error:
        raise ValueError("To write MP4: pip install av; or write a GIF.") from error
    with av.open(str(path), "w", format="mp4") as film:
        stream: Any = None
        for number in range(session.n_frames):
            picture = _picture(session, number)
            height, width = (n - n % 2 for n in picture.shape[:2])  # as the format has it
            if stream is None:
                stream = film.add_stream("h264", rate=Fraction(FRAME_RATE))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            picture = np.ascontiguousarray(picture[:height, :width])
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            yield session.n_frames
        film.mux(stream.encode())


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a name beside, whose file gets the right one when all is done."""
    if path.is_dir():
        raise ValueError(f"There is a folder {path} already; give another name.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} into.")
    place = path.with_name(f".{path.stem}-{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        with explaining_full_disk(f"{path}"):
            yield place
        place.replace(path)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.unlink(missing_ok=True)


def _short(unit: str) -> str:
    return {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "second": "s"}.get(
        unit, unit
    )
