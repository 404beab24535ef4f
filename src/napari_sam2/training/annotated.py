"""Images with the labels that somebody drew: what is annotated where, checked before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import ndimage

from napari_sam2.predictors.frames import EVERYTHING, FrameSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sam2.predictors.frames import ArrayLike, Region, View

Unlabelled = Literal["background", "ignored"]

UNKNOWN = -1  #: in codes: a pixel of which nothing is known
MIN_AREA = 24  #: pixels of the smallest object that is learnt from or measured
LOOKED_AT = 12  #: pairs of frames that are looked at to tell whether ids stay the same
MOST_JUMPS = 0.5  #: share of objects that overlap another id on the next frame, at most


class AnnotationError(ValueError):
    """Images and labels cannot be learnt from; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """What the numbers in labels mean. Of pixels with negative ones nothing is ever known."""

    #: What 0 is: no object, or not looked at yet. Ignored pixels teach nothing.
    unlabelled: Unlabelled = "background"
    background: int | None = None  #: a number that was painted where there is no object for sure

    def __post_init__(self) -> None:
        if self.unlabelled not in ("background", "ignored"):
            raise AnnotationError(
                f"unlabelled is 'background' or 'ignored', got {self.unlabelled!r}."
            )

    def is_object(self, identity: int) -> bool:
        """Whether a number is that of an object."""
        return identity > 0 and identity != self.background


class Outline(NamedTuple):
    """One object on one frame."""

    area: int  #: pixels
    region: Region  #: its bounding box

    @property
    def longest(self) -> int:
        """Its longer side, in pixels."""
        longest: int = max(part.stop - part.start for part in self.region)
        return longest

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of its box, (row, column)."""
        rows, columns = self.region
        return (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2


class AnnotatedStack:
    """A stack, or one image, with labels; both are read a frame at a time.

    Parameters
    ----------
    images : array-like
        (T, Y, X) or (Y, X), in colour with an axis more; see `FrameSource`.
    labels : array-like
        Of the same shape without colour: whole numbers, one an object. Frames without any
        are taken to be not annotated.
    view : View, optional
        Axes and contrast of the images.
    name : str
        By which errors call it.
    rule : LabelRule, optional

    Attributes
    ----------
    objects : dict of int to dict of int to Outline
        What is annotated: by frame, by id.

    Raises
    ------
    AnnotationError
        If shapes differ, labels are no whole numbers or empty, or nothing is to be seen on
        an annotated frame.
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike,
        view: View | None = None,
        *,
        name: str = "image",
        rule: LabelRule | None = None,
    ) -> None:
        self.name, self.rule = name, rule or LabelRule()
        self.source = FrameSource(images, view)
        self._labels = labels
        _check_shapes(self)
        _check_numbers(self)
        self.objects = self._find_objects()
        if not self.objects:
            raise AnnotationError(
                f"The labels of {name} have no object of {MIN_AREA} pixels or more. Paint some, "
                "each with a number of its own; 0 is no object."
            )
        ids = {identity for on_frame in self.objects.values() for identity in on_frame}
        self._ids = np.array(sorted(ids))
        self._check_images()

    @property
    def frames(self) -> tuple[int, ...]:
        """The annotated frames."""
        return tuple(self.objects)

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return tuple(int(n) for n in self._labels.shape)

    @property
    def label_dtype(self) -> np.dtype:
        """Kind of the labels' numbers."""
        kind: np.dtype = np.dtype(self._labels.dtype)
        return kind

    def raw_labels(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read labels of a frame as they were drawn; (h, w), int64."""
        index = list(self.source.index(frame))
        for axis, part in zip(self.source.seen, region, strict=True):
            index[axis] = part
        # Of one image in a stack of one frame, labels may lack the axis that is played.
        index = index[len(index) - len(self._labels.shape) :]
        return np.asarray(self._labels[tuple(index)]).astype(np.int64)

    def codes(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read labels of a frame as training takes them.

        Returns
        -------
        np.ndarray, shape (h, w), int32
            1, 2, ... for objects (see `code_of`), 0 for what is none of them, `UNKNOWN` for
            pixels of which nothing is known.
        """
        raw = self.raw_labels(frame, region)
        place = np.searchsorted(self._ids, raw).clip(max=len(self._ids) - 1)
        codes = np.where(self._ids[place] == raw, place + 1, 0).astype(np.int32)
        codes[raw < 0] = UNKNOWN
        if self.rule.unlabelled == "ignored":
            codes[raw == 0] = UNKNOWN
        return codes

    def code_of(self, identity: int) -> int:
        """Give the number in `codes` of an object."""
        return int(np.searchsorted(self._ids, identity)) + 1

    def jumps(self) -> float:
        """Give the share of objects whose best overlap on the next frame is with another id.

        Near 0 where ids are linked through time, near 1 where every frame was numbered by
        itself. Objects that overlap nothing do not count.
        """
        pairs = list(pairwise(self.frames))
        chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), LOOKED_AT)).round().astype(int)
        same = other = 0
        for first, second in (pairs[i] for i in dict.fromkeys(chosen.tolist())):
            before, after = self.codes(first), self.codes(second)
            for identity in self.objects[first]:
                code = self.code_of(identity)
                there = after[before == code]
                counts = np.bincount(there[there > 0], minlength=1)
                if counts.any():
                    same += int(counts.argmax()) == code
                    other += int(counts.argmax()) != code
        return other / max(same + other, 1)

    def _find_objects(self) -> dict[int, dict[int, Outline]]:
        found = {}
        for frame in range(self.source.n_frames):
            raw = self.raw_labels(frame)
            ids, codes = np.unique(raw, return_inverse=True)
            codes = codes.reshape(raw.shape) + 1
            areas = np.bincount(codes.ravel(), minlength=len(ids) + 1)[1:]
            outlines = {
                int(identity): Outline(int(area), (region[0], region[1]))
                for identity, area, region in zip(
                    ids, areas, ndimage.find_objects(codes), strict=True
                )
                if self.rule.is_object(int(identity)) and area >= MIN_AREA
            }
            if outlines:
                found[frame] = outlines
        return found

    def _check_images(self) -> None:
        for frame in self.frames:
            shown = self.source.read(frame)
            if shown.min() == shown.max():
                raise AnnotationError(
                    f"Frame {frame} of {self.name} is annotated, but there is nothing to be seen "
                    "on it: all its pixels are NaN, or alike. Mend the image, or take its labels "
                    "away."
                )


@dataclass(frozen=True)
class Part:
    """Some annotated frames of a stack, and some of the objects on them."""

    stack: AnnotatedStack
    frames: tuple[int, ...]
    ids: frozenset[int] | None = None  #: all unless given

    def objects(self, frame: int) -> dict[int, Outline]:
        """Give the objects on a frame, by their ids."""
        known = self.stack.objects[frame]
        return {i: one for i, one in known.items() if self.ids is None or i in self.ids}

    def codes(self, frame: int, region: Region = EVERYTHING) -> np.ndarray:
        """Read `AnnotatedStack.codes`; objects that are left out are none of those sought."""
        codes = self.stack.codes(frame, region)
        if self.ids is not None:
            kept = [self.stack.code_of(i) for i in self.ids]
            codes[(codes > 0) & ~np.isin(codes, kept)] = 0
        return codes

    @property
    def n_objects(self) -> int:
        """How many objects there are, counted on every frame."""
        return sum(len(self.objects(frame)) for frame in self.frames)


def check_all(stacks: Sequence[AnnotatedStack]) -> None:
    """Refuse what cannot be learnt from although every stack can be read.

    Raises
    ------
    AnnotationError
    """
    if not stacks:
        raise AnnotationError("There is nothing to learn from: give images and their labels.")
    for stack in stacks:
        for frame in stack.frames if stack.rule.unlabelled == "ignored" else ():
            codes = stack.codes(frame)
            if len(np.unique(codes[codes >= 0])) < 2:
                raise AnnotationError(
                    f"Frame {frame} of {stack.name} has one object and no other labelled pixel, "
                    "as unlabelled ones are ignored: nothing says where the object ends. Paint "
                    "some background with a number of its own, and give that number as background."
                )


def is_linked(stack: AnnotatedStack) -> bool:
    """Whether a stack's ids stay with their objects from frame to frame."""
    return len(stack.frames) > 1 and stack.jumps() <= MOST_JUMPS


def check_links(stacks: Iterable[AnnotatedStack]) -> None:
    """Refuse stacks whose ids jump; see `is_linked`.

    Raises
    ------
    AnnotationError
    """
    for stack in stacks:
        if len(stack.frames) > 1 and not is_linked(stack):
            raise AnnotationError(
                f"The ids in the labels of {stack.name} jump: {stack.jumps():.0%} of the objects "
                "overlap another id on the next annotated frame. Link them (one id an object "
                "through all frames), or learn from single images (sequences='off')."
            )


def _check_shapes(stack: AnnotatedStack) -> None:
    shape, source = stack.label_shape, stack.source
    if shape == source.label_shape or (source.n_frames == 1 and shape == source.shape):
        return
    raise AnnotationError(
        f"The images of {stack.name} are of shape {tuple(source.data.shape)}, and their labels of "
        f"{shape}; expected labels of {source.label_shape}. Give the labels that were drawn on "
        "these images, uncropped and at the same resolution."
    )


def _check_numbers(stack: AnnotatedStack) -> None:
    if stack.label_dtype.kind in "biu":
        return
    if stack.label_dtype.kind == "f":
        raise AnnotationError(
            f"The labels of {stack.name} are {stack.label_dtype}: expected whole numbers, one an "
            "object. If they are labels, convert them (labels.astype('int32')); if they are "
            "probabilities, threshold and label them first."
        )
    raise AnnotationError(
        f"The labels of {stack.name} are {stack.label_dtype}; expected whole numbers."
    )
