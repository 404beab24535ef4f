"""What travels between the user and the engine: prompts in, masks out.

Everything is in pixels of the image, (row, column), pixel centres at integers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

CERTAIN = 10.0  #: logit of what the user gave as a mask
STEPS = 50  #: of sureness from a logit of 0 to 1, to 3, to 7; 255 of them reach 33
OFFERED = 3  #: masks that the network offers for a click

_POSITIVE = {"1", "1.0", "true", "t", "yes", "y", "positive", "+"}
_NEGATIVE = {"0", "0.0", "false", "f", "no", "n", "negative", "-"}


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A click on one frame: on the object, or beside it."""

    frame: int
    row: float
    column: float
    positive: bool = True
    #: Which of the masks offered for it is meant, where it is the first or the only prompt: 0 to
    #: 2, in the network's own order. The one with the highest predicted IoU unless given.
    candidate: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", whole_number("A frame", self.frame))
        _check_finite("A point", self.row, self.column)
        if self.candidate is not None and not 0 <= self.candidate < OFFERED:
            raise ValueError(f"Candidates are numbered 0 to {OFFERED - 1}; got {self.candidate}.")


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A box around the object on one frame, by the centres of its corner pixels.

    The corners may be given in any order; they are kept with the smaller row and column
    first.
    """

    frame: int
    row0: float
    column0: float
    row1: float
    column1: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", whole_number("A frame", self.frame))
        _check_finite("A box", self.row0, self.column0, self.row1, self.column1)
        for low, high in (("row0", "row1"), ("column0", "column1")):
            a, b = getattr(self, low), getattr(self, high)
            if a == b:
                raise ValueError(
                    f"A box needs an extent in both directions, got {low} = {high} = {a:g}. "
                    "Draw it around the object, or click a point instead."
                )
            object.__setattr__(self, low, min(a, b))
            object.__setattr__(self, high, max(a, b))


@dataclass(frozen=True, slots=True, eq=False, init=False)
class MaskPrompt:
    """The object's mask on one frame, taken as it is. An empty one says it is not there.

    Only the box of pixels that holds the object is kept: a thousand objects of a large frame
    take the room of one frame, not of a thousand.

    Parameters
    ----------
    frame : int
    mask : array-like, shape (H, W) or (h, w)
        Anything but 0 is the object.
    origin : tuple of int
        (row, column) in the frame of the first pixel of `mask`, where it is a part of it.
    shape : tuple of int, optional
        (H, W) of the frame, where `mask` is a part of it.
    """

    frame: int
    shape: tuple[int, int]  #: (H, W) of the frame
    origin: tuple[int, int]  #: (row, column) of the first pixel of `part` in the frame
    part: np.ndarray  #: (h, w), bool, without empty edges; (0, 0) where there is no object

    def __init__(
        self,
        frame: int,
        mask: ArrayLike,
        origin: tuple[int, int] = (0, 0),
        shape: tuple[int, int] | None = None,
    ) -> None:
        frame, given = whole_number("A frame", frame), np.asarray(mask)
        if given.ndim != 2:
            raise ValueError(f"A mask prompt is one frame, (H, W); got shape {given.shape}.")
        height, width = given.shape if shape is None else shape
        ends = origin[0] + given.shape[0], origin[1] + given.shape[1]
        if min(origin) < 0 or ends[0] > height or ends[1] > width:
            raise ValueError(f"A mask {given.shape} at {origin} reaches beyond {height, width}.")
        given = given.astype(bool)
        row, column, last_row, last_column = bounding_box(given) or (0, 0, -1, -1)
        part = given[row : last_row + 1, column : last_column + 1].copy()
        first = (origin[0] + row, origin[1] + column) if part.size else (0, 0)
        values = {"frame": frame, "shape": (height, width), "origin": first, "part": part}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def mask(self) -> np.ndarray:
        """The mask on the whole frame; bool, (H, W), made anew each time."""
        mask = np.zeros(self.shape, dtype=bool)
        (row, column), (height, width) = self.origin, self.part.shape
        mask[row : row + height, column : column + width] = self.part
        return mask

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Row0, column0, row1, column1 of the outermost pixels; None where there are none."""
        if not self.part.size:
            return None
        (row, column), (height, width) = self.origin, self.part.shape
        return row, column, row + height - 1, column + width - 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaskPrompt):
            return NotImplemented
        same_place = self.frame == other.frame and self.origin == other.origin
        return same_place and self.shape == other.shape and np.array_equal(self.part, other.part)

    __hash__ = None  # type: ignore[assignment]


Prompt = PointPrompt | BoxPrompt | MaskPrompt


@dataclass(frozen=True, slots=True, eq=False)
class ObjectMask:
    """One object on one frame: the box of pixels that holds it, and how sure the model is."""

    object_id: int
    origin: tuple[int, int]  #: (row, column) of the first pixel of `logits` in the frame
    logits: np.ndarray  #: (h, w), float16; > 0 is object. (0, 0) where the object is absent
    iou: float  #: predicted IoU with the truth, in [0, 1]
    object_score: float  #: logit; > 0 where the object is on the frame

    @classmethod
    def given(cls, object_id: int, prompt: MaskPrompt) -> ObjectMask:
        """Make one out of a mask that is known to be true."""
        logits = np.where(prompt.part, CERTAIN, -CERTAIN).astype(np.float16)
        score = CERTAIN if prompt.part.size else -CERTAIN
        return cls(object_id, prompt.origin, logits, 1.0, score)

    @property
    def region(self) -> tuple[slice, slice]:
        """The pixels of the frame that `logits` covers."""
        (row, column), (height, width) = self.origin, self.logits.shape
        return slice(row, row + height), slice(column, column + width)

    @property
    def area(self) -> int:
        """Size of the object, in pixels."""
        return int((self.logits > 0).sum())

    @property
    def sureness(self) -> np.ndarray:
        """How sure each pixel is, and 0 beside the object: uint8, (h, w).

        The logarithm of one more than its logit, in steps: where objects overlap it says who
        has a pixel, and being a byte it can be kept for every pixel of every frame.
        """
        steps = np.ceil(STEPS * np.log2(1 + np.maximum(self.logits, 0, dtype=np.float32)))
        sureness: np.ndarray = np.minimum(steps, 255).astype(np.uint8)
        return sureness

    def full(self, shape: tuple[int, int]) -> np.ndarray:
        """Give the mask on the whole frame; bool, of the given shape (H, W)."""
        mask = np.zeros(shape, dtype=bool)
        mask[self.region] = self.logits > 0
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class FrameMasks:
    """Every object that was looked for on one frame."""

    frame: int
    shape: tuple[int, int]  #: (H, W) of the frame
    objects: tuple[ObjectMask, ...]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects looked for, also those that are not on the frame."""
        return tuple(one.object_id for one in self.objects)

    def mask(self, object_id: int) -> np.ndarray:
        """Give one object's mask; bool, (H, W).

        Raises
        ------
        KeyError
            If the object was not looked for.
        """
        for one in self.objects:
            if one.object_id == object_id:
                return one.full(self.shape)
        raise KeyError(f"Object {object_id} is not among {self.object_ids} on frame {self.frame}.")

    def labels(self, dtype: np.dtype | type = np.int32) -> np.ndarray:
        """Give all objects in one image of labels, (H, W); where two overlap the surer wins."""
        labels = np.zeros(self.shape, dtype=dtype)
        best = np.zeros(self.shape, dtype=np.uint8)
        for one in self.objects:
            sureness = one.sureness
            wins = sureness > best[one.region]
            labels[one.region][wins] = one.object_id
            best[one.region][wins] = sureness[wins]
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What one object's prompts on one frame may mean, best first by predicted IoU."""

    frame: int
    shape: tuple[int, int]  #: (H, W) of the frame
    masks: tuple[ObjectMask, ...]  #: three after a single click, else one
    chosen: int = 0  #: which of `masks` is taken
    numbers: tuple[int, ...] = ()  #: of each of `masks`, in the network's own order

    @property
    def best(self) -> ObjectMask:
        """The mask that is taken: the surest, unless the user chose another."""
        return self.masks[self.chosen]


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """Bound a mask (H, W): row0, column0, row1, column1 of its outermost pixels; None if empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def point_prompts(
    frame: int, points: ArrayLike, positive: Sequence[bool] | None = None
) -> list[PointPrompt]:
    """Make clicks of an array.

    Parameters
    ----------
    frame : int
    points : array-like, shape (N, 2) or (2,)
        (row, column).
    positive : sequence of bool, optional
        Whether each point is on the object; all are unless given.

    Raises
    ------
    ValueError
        If the shape is another, or there are not as many signs as points.
    """
    positions = np.atleast_2d(np.asarray(points, dtype=float))
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ValueError(
            f"Points are (row, column), of shape (N, 2); got shape {np.shape(points)}. "
            "The frame is given apart."
        )
    signs = [True] * len(positions) if positive is None else list(positive)
    if len(signs) != len(positions):
        raise ValueError(f"Got {len(positions)} points but {len(signs)} signs.")
    return [
        PointPrompt(frame, float(row), float(column), bool(sign))
        for (row, column), sign in zip(positions, signs, strict=True)
    ]


def box_prompt(frame: int, box: ArrayLike) -> BoxPrompt:
    """Make a box of an array (row0, column0, row1, column1).

    Raises
    ------
    ValueError
        If the shape is another, or the box has no extent.
    """
    corners = np.asarray(box, dtype=float)
    if corners.shape != (4,):
        raise ValueError(f"A box is (row0, column0, row1, column1); got shape {corners.shape}.")
    return BoxPrompt(frame, *corners.tolist())


def parse_positive(value: object) -> bool:
    """Read whether a prompt is positive, from a table or a file: a truth value, number or word.

    Raises
    ------
    ValueError
        If it is none of those that are known.
    """
    word = str(value).strip().lower()
    for known, meaning in ((_POSITIVE, True), (_NEGATIVE, False)):
        if word in known:
            return meaning
    raise ValueError(f"'positive' must be 1 or 0, or true or false; got {value!r}.")


def whole_number(what: str, value: Any) -> int:
    """Give an integer, of numpy or another kind, as Python's own, which can be saved.

    Parameters
    ----------
    what : str
        What it is of, for the message, with an article.
    value : int or np.integer

    Raises
    ------
    TypeError
        If it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is a whole number; got {value!r}.") from None


def whole_numbers(what: str, values: SupportsIndex | Iterable[SupportsIndex]) -> list[int]:
    """Give one integer or several as Python's own; see `whole_number`."""
    if isinstance(values, Iterable) and getattr(values, "ndim", None) != 0:  # as numpy's may be
        return [whole_number(what, value) for value in values]
    return [whole_number(what, values)]


def parse_object_id(value: object) -> int:
    """Read an object's number, from a table or a file: 3, 3.0 and "3" are the same.

    Raises
    ------
    ValueError
        If it is not a whole number.
    """
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f"An object has a whole number; got {value!r}.")
    return int(number)


def _check_finite(what: str, *values: float) -> None:
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"{what} must have finite coordinates, got {values}.")
