"""Which part of a frame the model looks at.

The model's input has few pixels: a whole field of view shrunk to them loses its small objects.
So an object is looked for in a window around it, which the frame is cut to before it is
resized. Windows lie on a coarse grid, so that neighbouring objects share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar, get_args

import torch
import torch.nn.functional as F

from napari_sam2.model.sam2 import NO_OBJECT
from napari_sam2.prompts import BoxPrompt, MaskPrompt, bounding_box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from torch import Tensor

    from napari_sam2.prompts import Prompt

Field = Literal["auto", "frame"]

ROOM = 2  #: a new window is this many times as long as its object, or up to twice that
MOST_ROOM = 8  #: one that is longer still is left for a closer one
LEAST_ROOM = 1.5  #: and one that is shorter for a wider one
MARGIN = 1 / 16  #: of a window's edge, between the object and what is beyond the window
CLOSEST = 4  #: pixels of the input for one of the frame, at most
ASKED_AGAIN = 3  #: windows tried after the first, at most

T = TypeVar("T")


class Extent(NamedTuple):
    """A bounding box, by the centres of its corner pixels."""

    row0: float
    column0: float
    row1: float
    column1: float

    @property
    def longest(self) -> float:
        """The longer side, in pixels."""
        return max(self.row1 - self.row0, self.column1 - self.column0) + 1

    def union(self, other: Extent) -> Extent:
        """Give the extent of both."""
        return Extent(
            min(self.row0, other.row0),
            min(self.column0, other.column0),
            max(self.row1, other.row1),
            max(self.column1, other.column1),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame, in its pixels."""

    row: int  #: the first
    column: int  #: the first
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the part."""
        return self.height, self.width

    @property
    def region(self) -> tuple[slice, slice]:
        """The part's pixels in an array of the frame."""
        rows = slice(self.row, self.row + self.height)
        return rows, slice(self.column, self.column + self.width)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was found in a window."""

    answer: T
    extent: Extent | None  #: of the mask, in the frame; None where there is none
    confidence: float  #: the IoU that the model predicts


class Windows:
    """Chooses windows on frames of one shape.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the frames.
    image_size : int
        Edge of the model's input, in pixels.
    field : {"auto", "frame"}
        What the model sees: a window that suits the object, or always the whole frame.
    """

    def __init__(self, shape: tuple[int, int], image_size: int, field: Field = "auto") -> None:
        if field not in get_args(Field):
            raise ValueError(f"There is no field {field!r}: choose from {get_args(Field)}.")
        self.shape = shape
        self.image_size = image_size
        self.field = field

    @property
    def whole(self) -> Window:
        """The window that is the frame."""
        return Window(0, 0, *self.shape)

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Sizes of windows, in pixels, each twice the last; none is almost the frame."""
        edges, edge = [], max(self.image_size // CLOSEST, 1)
        while self.field == "auto" and edge < 0.75 * max(self.shape):
            edges.append(edge)
            edge *= 2
        return tuple(edges)

    def around(self, extent: Extent, least: float = 0) -> Window:
        """Give the closest window with room around an object; at least `least` pixels long."""
        wanted = max(ROOM * extent.longest, least)
        edge = next((edge for edge in self.edges if edge >= wanted), None)
        if edge is None:
            return self.whole
        starts, lengths = [], []
        centre = (extent.row0 + extent.row1) / 2, (extent.column0 + extent.column1) / 2
        for middle, length in zip(centre, self.shape, strict=True):
            step = edge // 2
            start = round((middle - edge / 2) / step) * step
            starts.append(min(max(start, 0), max(length - edge, 0)))
            lengths.append(min(edge, length))
        return Window(*starts, *lengths)

    def first(self, prompts: Sequence[Prompt]) -> tuple[Window, ...]:
        """Give the windows in which prompts are looked at first.

        A box or a mask tells the size of its object. How large the one under a point is
        nobody knows: it is looked for at the frame's own resolution, and from closer.
        """
        extent = extent_of_prompts(prompts)
        if extent is None:
            return (self.whole,)
        if any(isinstance(p, BoxPrompt | MaskPrompt) for p in prompts):
            return (self.around(extent),)
        edges = (*(edge for edge in self.edges if edge < self.image_size), self.image_size)
        return tuple(dict.fromkeys(self.around(extent, least=edge) for edge in edges))

    def fit(self, window: Window, found: Extent | None, prompts: Sequence[Prompt] = ()) -> Window:
        """Give a window that suits what was found in one: the same one if it does.

        Parameters
        ----------
        window : Window
            Where the object was looked for.
        found : Extent, optional
            Of its mask; None where there is none.
        prompts : sequence of Prompt
            What must be in the window as well.
        """
        asked = extent_of_prompts(prompts)
        both = [extent for extent in (found, asked) if extent is not None]
        if not both:
            return window
        extent = both[0].union(both[-1])
        edge = max(window.shape)
        closest = self.edges[0] if self.edges else edge
        closer = found is not None and MOST_ROOM * extent.longest < edge and edge > closest
        wider = LEAST_ROOM * extent.longest > edge and window != self.whole
        if not (closer or wider) and self._inside(window, extent, MARGIN * edge):
            return window
        return self.around(extent, least=0 if found else edge)

    def settle(
        self,
        windows: Sequence[Window],
        prompts: Sequence[Prompt],
        ask: Callable[[Window], Found[T]],
    ) -> tuple[Window, T]:
        """Ask in some windows, and go on from the surest answer until it suits its window.

        Parameters
        ----------
        windows : sequence of Window
            Asked first. Of those that suit what was found in them, the one with the surest
            answer counts.
        prompts : sequence of Prompt
            What stays in the window.
        ask : callable
            Looks for the object in a window.

        Returns
        -------
        window : Window
            Where the answer comes from.
        answer
        """
        found = {window: ask(window) for window in windows}
        suited = [window for window in found if self._suits(window, found[window], prompts)]
        window = max(suited or found, key=lambda window: found[window].confidence)
        for _ in range(ASKED_AGAIN):
            better = self.fit(window, found[window].extent, prompts)
            if better in found:
                break
            found[better] = ask(better)
            window = better
        return window, found[window].answer

    def _suits(self, window: Window, found: Found[T], prompts: Sequence[Prompt]) -> bool:
        return found.extent is not None and self.fit(window, found.extent, prompts) == window

    def _inside(self, window: Window, extent: Extent, margin: float) -> bool:
        """Whether an extent keeps its distance from where the frame goes on."""
        axes = zip(
            (window.row, window.column),
            window.shape,
            extent[:2],
            extent[2:],
            self.shape,
            strict=True,
        )
        return all(
            (start == 0 or low >= start + margin)
            and (start + size == length or high <= start + size - 1 - margin)
            for start, size, low, high, length in axes
        )


def extent_of_prompts(prompts: Sequence[Prompt]) -> Extent | None:
    """Give the extent of points, boxes and masks together; None if they have none."""
    extent = None
    for prompt in prompts:
        if isinstance(prompt, MaskPrompt):
            one = Extent(*prompt.box) if prompt.box else None
        elif isinstance(prompt, BoxPrompt):
            one = Extent(prompt.row0, prompt.column0, prompt.row1, prompt.column1)
        else:
            one = Extent(prompt.row, prompt.column, prompt.row, prompt.column)
        if one is not None:
            extent = extent.union(one) if extent else one
    return extent


def extent_of_mask(mask: np.ndarray) -> Extent | None:
    """Give the extent of a mask (H, W); None if it is empty."""
    box = bounding_box(mask)
    return None if box is None else Extent(*box)


def extent_of_logits(logits: Tensor, window: Window) -> Extent | None:
    """Give the extent, in the frame, of a mask known in a window.

    Parameters
    ----------
    logits : Tensor, shape (h, w)
        At low resolution.
    window : Window
        What they cover.
    """
    found = extent_of_mask((logits > 0).cpu().numpy())
    if found is None:
        return None
    height, width = window.height / logits.shape[0], window.width / logits.shape[1]
    # From the outer edges of the low-resolution pixels to the frame's pixels within them.
    return Extent(
        window.row + found.row0 * height,
        window.column + found.column0 * width,
        window.row + (found.row1 + 1) * height - 1,
        window.column + (found.column1 + 1) * width - 1,
    )


def move_logits(logits: Tensor, old: Window, new: Window) -> Tensor:
    """Bring logits from one window to another; what was not seen is not the object.

    Parameters
    ----------
    logits : Tensor, shape (B, M, h, w)
    old, new : Window
        What they cover, and what they are to cover.

    Returns
    -------
    Tensor, of the same shape
    """
    if old == new:
        return logits
    axes = []
    for (begin, length), (new_begin, new_length), size in zip(
        ((old.row, old.height), (old.column, old.width)),
        ((new.row, new.height), (new.column, new.width)),
        logits.shape[-2:],
        strict=True,
    ):
        middles = (torch.arange(size, device=logits.device) + 0.5) / size
        axes.append((new_begin + middles * new_length - begin) / length * 2 - 1)
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack((columns, rows), dim=-1).expand(len(logits), -1, -1, -1)
    # Beyond the old window zeros are read: let them mean what its emptiest pixels do.
    outside = logits.amin(dim=(-2, -1), keepdim=True).clamp(NO_OBJECT, 0)
    moved = F.grid_sample(logits - outside, grid.to(logits.dtype), align_corners=False)
    return moved + outside
