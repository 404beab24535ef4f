"""Choosing among the masks that are offered for a click."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import find_contours

from napari_sam2._controls.keys import Keys
from napari_sam2._worker import Call, Job
from napari_sam2.prompts import OFFERED

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel

    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.prompt_layers import PromptLayers
    from napari_sam2._controls.results import Results
    from napari_sam2._layers import Stack
    from napari_sam2.predictors.frames import Region
    from napari_sam2.prompts import Candidates, ObjectMask

MARGIN = 0.25  #: around the masks, of their extent
SMALLEST = 24  #: pixels of the frame that are shown at least
FINE_ENOUGH = 152  #: pixels of a picture; of more only some are read


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the strip shows: see `CandidateStrip.offer`."""

    picture: np.ndarray
    outlines: list[list[np.ndarray]]


class Choosing:
    """Offers the masks of the current object on the current frame, and has one of them taken.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    bench : Bench
    layers : PromptLayers
        Where the choice is noted.
    results : Results
        What is offered.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        panels: Panels,
        bench: Bench,
        layers: PromptLayers,
        results: Results,
    ) -> None:
        self._viewer, self._panels, self._bench = viewer, panels, bench
        self._layers, self._results = layers, results
        self._strip = panels.prompts.candidates
        self._job = Job()
        self._offered: Candidates | None = None
        # Bound while there is something to choose: otherwise napari takes up tools with them.
        keys = {str(place + 1): partial(self.choose, place) for place in range(OFFERED)}
        self._keys = Keys(viewer, keys)
        self._strip.chosen.connect(self.choose)
        results.previewed.connect(self.update)
        panels.objects.current_changed.connect(self.update)
        viewer.dims.events.current_step.connect(self.update)

    def choose(self, place: int) -> None:
        """Take one of the masks that are offered, by its place among them."""
        offered, stack = self._offered, self._panels.image.shown()
        if offered is None or stack is None or place >= len(offered.masks):
            return
        object_id = offered.best.object_id
        self._results.preview(stack, replace(offered, chosen=place))
        self._layers.choose(stack, object_id, offered.frame, offered.numbers[place])

    def update(self, event: Any = None) -> None:
        """Offer what there is to choose from, if there is a choice."""
        stack = self._panels.image.shown()
        offered = None if stack is None else self._find(stack)
        if stack is None or offered is None:
            self._offered = None
            self._job.cancel()
            self._keys.give_back()
            self._strip.hide()
            return
        shown, self._offered = self._offered, offered
        self._keys.take()
        if shown is not None and _same_masks(shown, offered):
            self._strip.mark(offered.chosen)
            return
        self._job.start(
            Call(
                partial(_draw, self._bench, stack, offered),
                on_step=self._show,
                on_error=self._panels.status.fail,
            )
        )

    def shut(self) -> None:
        """Offer nothing more."""
        self._job.cancel()
        self._keys.give_back()
        self._viewer.dims.events.current_step.disconnect(self.update)

    def _find(self, stack: Stack) -> Candidates | None:
        frame = stack.current_frame(self._viewer.dims)
        found = self._results.candidates(stack, self._panels.objects.current(), frame)
        return found if found is not None and len(found.masks) > 1 else None

    def _show(self, pictures: Pictures) -> None:
        if (offered := self._offered) is not None:
            ious = [one.iou for one in offered.masks]
            self._strip.offer(pictures.picture, pictures.outlines, ious, offered.chosen)


def _same_masks(one: Candidates, other: Candidates) -> bool:
    return (
        one.frame == other.frame
        and one.best.object_id == other.best.object_id
        and one.numbers == other.numbers
        and all(
            a.origin == b.origin and np.array_equal(a.logits, b.logits)
            for a, b in zip(one.masks, other.masks, strict=True)
        )
    )


def _draw(bench: Bench, stack: Stack, offered: Candidates) -> Generator[Pictures, None, None]:
    region, step = surroundings(offered)
    for pixels in bench.read(stack, offered.frame, region):
        outlines = [_outlines(one, offered.shape, region, step) for one in offered.masks]
        yield Pictures((pixels * 255).round().astype(np.uint8), outlines)


def surroundings(offered: Candidates) -> tuple[Region, int]:
    """Give a square of the frame that holds all masks, and of how many pixels one is shown."""
    parts = [one.region for one in offered.masks if one.area]
    if not parts:
        parts = [(slice(0, offered.shape[0]), slice(0, offered.shape[1]))]
    lows = [min(part[axis].start for part in parts) for axis in (0, 1)]
    highs = [max(part[axis].stop for part in parts) for axis in (0, 1)]
    extents = [high - low for low, high in zip(lows, highs, strict=True)]
    edge = max(round(max(extents) * (1 + 2 * MARGIN)), SMALLEST)
    step = max(edge // FINE_ENOUGH, 1)
    ends = []
    for low, high, length in zip(lows, highs, offered.shape, strict=True):
        start = min(max((low + high - edge) // 2, 0), max(length - edge, 0))
        ends.append(slice(start, min(start + edge, length), step))
    return (ends[0], ends[1]), step


def _outlines(
    mask: ObjectMask, shape: tuple[int, int], region: Region, step: int
) -> list[np.ndarray]:
    shown = mask.full(shape)[region]
    # Masks that reach the edge of the picture end there.
    return [one - 1 for one in find_contours(np.pad(shown, 1).astype(float), 0.5)]
