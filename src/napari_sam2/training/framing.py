"""How close a view is to the object in its middle: as close as windows would be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_sam2.predictors.windows import CLOSEST
from napari_sam2.training.draws import chance, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_sam2.predictors.frames import Region

#: Views are this many times as long as the object in their middle, at least and at most.
LEAST_ROOM, MOST_ROOM = 1.1, 6.0
#: Some views are from within: a click into a large object is looked at there first, and who has
#: never been there takes what is seen, a vesicle or a nucleus, for the object. Small objects lose
#: by it, as an edge that is out of sight cannot be learnt.
ROOM_WITHIN, SHARE_WITHIN = 0.5, 0.25
SPARE = 1.1  #: so much more is cut out, for a view that is stretched
OFF = 0.25  #: of a view's edge, by which the object may be off its middle: windows lie on a grid


def draw_zoom(
    longest: float, shape: tuple[int, int], size: int, generator: torch.Generator
) -> float:
    """Choose how much larger than in the image an object is seen.

    Parameters
    ----------
    longest : float
        The object's longer side, in pixels.
    shape : tuple of int
        (H, W) of the image; never more than all of it is shown.
    size : int
        Edge of the view, in pixels.
    generator : torch.Generator
    """
    whole = size / max(shape)
    if chance(0.2, generator):
        return whole
    room = ROOM_WITHIN if chance(SHARE_WITHIN, generator) else LEAST_ROOM
    nearest = min(CLOSEST, size / (room * longest))
    farthest = max(whole, size / (MOST_ROOM * longest))
    low, high = sorted((min(farthest, CLOSEST), max(nearest, whole)))
    return math.exp(uniform(math.log(low), math.log(high), generator))


def cut(middle: Sequence[float], edge: int, shape: tuple[int, int]) -> Region:
    """Cut a square out of an image, as far as the image goes."""
    slices = []
    for centre, length in zip(middle, shape, strict=True):
        start = min(max(round(centre - edge / 2), 0), max(length - edge, 0))
        slices.append(slice(start, min(start + edge, length)))
    return slices[0], slices[1]
