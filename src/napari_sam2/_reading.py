"""Prompts as layers have them, in the pixels of an image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Points, Shapes
from skimage.draw import polygon

from napari_sam2._layers import PREVIEW_DTYPE
from napari_sam2._locating import Locator
from napari_sam2.prompts import (
    OFFERED,
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    Prompt,
    parse_object_id,
    parse_positive,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari.components import Dims

    from napari_sam2._layers import Stack

#: Rows and columns of the pixels within an outline, and its sign.
Filled = tuple[np.ndarray, np.ndarray, bool]
#: Feature columns of the prompt layers; a candidate of points only.
OBJECT, POSITIVE, CANDIDATE = "object", "positive", "candidate"
NO_CANDIDATE = -1
SMALLEST_BOX = 1.0  #: pixels; a click in box mode leaves a smaller one behind
BOXES = {"rectangle", "ellipse"}
SCRIBBLES = {"path", "line"}
#: Points that a scribble stands for. Each takes a step of the network, which was trained with
#: up to eight.
MOST_POINTS = 6
SPACING = 4.0  #: pixels between them at least


@dataclass(frozen=True)
class Reading:
    """What prompt layers say about a stack."""

    prompts: dict[int, dict[int, tuple[Prompt, ...]]]  #: by object, then by frame
    notices: tuple[str, ...] = ()  #: what was left out, for the user


def read_prompts(
    stack: Stack,
    dims: Dims,
    layers: Iterable[Points | Shapes],
    object_id: int,
    given: Mapping[int, Mapping[int, MaskPrompt]] | None = None,
) -> Reading:
    """Express every point and shape in the stack's own pixels, whatever the layers' transforms.

    Layers with fewer axes than the image speak of where the viewer is.

    Parameters
    ----------
    stack : Stack
    dims : Dims
        The viewer's.
    layers : iterable of Points or Shapes
    object_id : int
        The object of prompts that do not name one.
    given : mapping of int to mapping, optional
        Masks by object and frame that are on no layer; outlines are drawn over them.

    Raises
    ------
    ValueError
        If a prompt or a feature makes no sense.
    """
    found: dict[int, dict[int, list[Prompt]]] = defaultdict(lambda: defaultdict(list))
    notices: list[str] = []
    beneath = {(i, f): mask for i, by in (given or {}).items() for f, mask in by.items()}
    for layer in layers:
        if isinstance(layer, Points):
            read = _read_points(stack, dims, layer, object_id)
        else:
            read = _read_shapes(stack, dims, layer, object_id, notices, beneath)
        for one, prompt in read:
            found[one][prompt.frame].append(prompt)
    for (one, frame), mask in beneath.items():
        found[one][frame].append(mask)
    return Reading(
        {i: {frame: tuple(p) for frame, p in sorted(by.items())} for i, by in found.items()},
        tuple(notices),
    )


def prompts_of(
    stack: Stack, dims: Dims, layer: Points | Shapes, object_id: int, frame: int | None = None
) -> list[int]:
    """Find the points or shapes of an object, or of no one by name, on one frame or on all."""
    owners, locate = _owners(layer, object_id), Locator(stack, dims, layer)
    found = []
    for index, vertices in enumerate(_vertices(layer)):
        frames, _, here = locate(vertices)
        if owners[index] == object_id and (frame is None or (here.all() and frame in frames)):
            found.append(index)
    return found


def extra_boxes(stack: Stack, dims: Dims, shapes: Shapes, default: int) -> list[int]:
    """Find the boxes whose object has an earlier box on the same frame."""
    owners, taken, extra = _owners(shapes, default), set(), []
    locate = Locator(stack, dims, shapes)
    for index, (vertices, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        frames, pixels, here = locate(vertices)
        if kind in BOXES and here.all() and not _is_thin(pixels):
            where = (owners[index], int(frames[0]))
            if where in taken:
                extra.append(index)
            taken.add(where)
    return extra


def column(layer: Points | Shapes, name: str, default: int | bool) -> list[Any]:
    """Read a feature of every point or shape; the default where it is missing."""
    if name not in layer.features:
        return [default] * len(layer.data)
    parse = parse_positive if isinstance(default, bool) else parse_object_id
    values = layer.features[name]
    try:
        return [
            default if missing else parse(value)
            for value, missing in zip(values, values.isna(), strict=True)
        ]
    except ValueError as error:
        raise ValueError(f"The feature {name!r} of {layer.name!r}: {error}") from error


def _read_points(
    stack: Stack, dims: Dims, points: Points, object_id: int
) -> Iterator[tuple[int, Prompt]]:
    owners, signs = _owners(points, object_id), column(points, POSITIVE, True)
    chosen = column(points, CANDIDATE, NO_CANDIDATE)
    frames, pixels, here = Locator(stack, dims, points)(points.data)
    for index in np.flatnonzero(here):
        row, col = pixels[index].tolist()
        candidate = chosen[index] if 0 <= chosen[index] < OFFERED else None
        yield owners[index], PointPrompt(int(frames[index]), row, col, signs[index], candidate)


def _read_shapes(
    stack: Stack,
    dims: Dims,
    shapes: Shapes,
    object_id: int,
    notices: list[str],
    beneath: dict[tuple[int, int], MaskPrompt],
) -> Iterator[tuple[int, Prompt]]:
    """Read shapes; masks that outlines are drawn over are taken out of `beneath`."""
    owners, signs = _owners(shapes, object_id), column(shapes, POSITIVE, True)
    filled: dict[tuple[int, int], list[Filled]] = defaultdict(list)
    ignored: dict[str, int] = defaultdict(int)
    locate, fill = Locator(stack, dims, shapes), _Filling(shapes)
    for index, (vertices, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        frames, pixels, here = locate(vertices)
        if not here.all():
            continue
        frame, sign = int(frames[0]), signs[index]
        if why := _why_ignored(frames, pixels, kind, positive=sign):
            ignored[why] += 1
        elif kind in SCRIBBLES:
            for row, col in along(pixels).tolist():
                yield owners[index], PointPrompt(frame, row, col, sign)
        elif kind in BOXES:
            corners = (*pixels.min(axis=0).tolist(), *pixels.max(axis=0).tolist())
            yield owners[index], BoxPrompt(frame, *corners)
        else:
            filled[owners[index], frame].append((*fill(pixels, stack.shape), sign))
    fill.keep()
    for (owner, frame), parts in filled.items():
        if below := beneath.pop((owner, frame), None):
            parts.insert(0, _filled(below))
        mask = _mask_of(stack, frame, parts)
        # An empty mask would say that the object is not there.
        if mask.part.size:
            yield owner, mask
        else:
            ignored["outlines without a pixel of the image"] += 1
    notices += [f"{count} ignored: {what}" for what, count in ignored.items()]


def _filled(mask: MaskPrompt) -> Filled:
    rows, columns = np.nonzero(mask.part)
    return rows + mask.origin[0], columns + mask.origin[1], True


#: Rows and columns inside outlines of a layer, by their vertices.
_FILLED: WeakKeyDictionary[Shapes, dict[bytes, tuple[np.ndarray, np.ndarray]]] = WeakKeyDictionary()


class _Filling:
    """Fills outlines, those of a layer that have not moved since it was read last but once."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes, self._before = shapes, _FILLED.get(shapes, {})
        self._now: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(
        self, vertices: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give rows and columns of the pixels of a frame that are inside."""
        key = np.array(shape).tobytes() + vertices.tobytes()
        inside = self._before.get(key)
        if inside is None:
            rows, columns = polygon(vertices[:, 0], vertices[:, 1], shape)
            inside = rows.astype(np.int32), columns.astype(np.int32)  # half the room
        self._now[key] = inside
        return inside

    def keep(self) -> None:
        """Have those that are there now for the next time, and no others."""
        _FILLED[self._shapes] = self._now


def _mask_of(stack: Stack, frame: int, parts: Sequence[Filled]) -> MaskPrompt:
    """Fill outlines one after the other, in the box that holds them: there may be hundreds."""
    rows, columns = (np.concatenate([part[axis] for part in parts]) for axis in (0, 1))
    if not rows.size:
        return MaskPrompt(frame, np.zeros(stack.shape, dtype=bool))
    origin = int(rows.min()), int(columns.min())
    mask = np.zeros((rows.max() - origin[0] + 1, columns.max() - origin[1] + 1), dtype=bool)
    for its_rows, its_columns, positive in parts:
        mask[its_rows - origin[0], its_columns - origin[1]] = positive
    return MaskPrompt(frame, mask, origin, stack.shape)


def along(line: np.ndarray) -> np.ndarray:
    """Sample points along a scribble, in the middles of pieces of equal length.

    Parameters
    ----------
    line : np.ndarray, shape (N, 2)
        Its vertices, (row, column).

    Returns
    -------
    np.ndarray, shape (P, 2)
        From 1 to `MOST_POINTS`.
    """
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    count = int(np.clip(reached[-1] // SPACING, 1, MOST_POINTS))
    places = (np.arange(count) + 0.5) / count * reached[-1]
    return np.stack([np.interp(places, reached, axis) for axis in line.T], axis=1)


def _why_ignored(frames: np.ndarray, pixels: np.ndarray, kind: str, *, positive: bool) -> str:
    """Say what is wrong with a shape; empty if nothing is."""
    if (frames != frames[0]).any():
        return "shapes that reach over several frames"
    if kind in BOXES and not positive:
        return "negative boxes (use negative points)"
    if kind in BOXES and _is_thin(pixels):
        return "boxes thinner than a pixel"
    return ""


def _is_thin(pixels: np.ndarray) -> bool:
    return bool(np.ptp(pixels, axis=0).min() < SMALLEST_BOX)


def _owners(layer: Points | Shapes, default: int) -> list[int]:
    owners, most = column(layer, OBJECT, default), np.iinfo(PREVIEW_DTYPE).max
    for owner in owners:
        if not 1 <= owner <= most:
            raise ValueError(f"Objects are numbered 1 to {most}; {layer.name!r} has {owner}.")
    return owners


def _vertices(layer: Points | Shapes) -> list[np.ndarray]:
    return [np.atleast_2d(one) for one in layer.data]
