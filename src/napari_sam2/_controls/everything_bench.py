"""What is computed to segment everything; the generators run in a worker's thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.predictors.device import choose_device
from napari_sam2.results.label_arrays import is_large, scratch_labels
from napari_sam2.results.labels import LABEL_DTYPE as SESSION_DTYPE
from napari_sam2.session import Session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from napari_sam2._layers import Stack
    from napari_sam2.automatic import (
        Everything,
        EverythingOptions,
        EverythingStep,
        Selection,
    )
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.session import Settings

LABEL_DTYPE = np.dtype(np.uint32)  #: every object that was found has a number, chosen or not


@dataclass(frozen=True, kw_only=True, eq=False)
class Errand:
    """All that a worker has to know of layers and controls, read at once."""

    stack: Stack
    model: str | SAM2
    settings: Settings  #: of which device and precision count
    options: EverythingOptions
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Settled:
    """A frame's labels were written."""

    frame: int
    count: int  #: objects that were chosen
    total: int  #: that were found


class Canvas:
    """Labels of a stack, to be shown: made where they are first asked for, large ones on the disk.

    Parameters
    ----------
    stack : Stack
    dtype : np.dtype
    """

    def __init__(self, stack: Stack, dtype: np.dtype) -> None:
        self._stack, self._dtype = stack, dtype

    @cached_property
    def array(self) -> Any:
        """The labels, which are background to begin with."""
        shape, seen = self._stack.laid_shape, self._stack.seen
        if is_large(shape, self._dtype):
            return scratch_labels(shape, self._dtype, seen)
        return np.zeros(shape, self._dtype)


class EverythingBench:
    """Holds the session in which everything is looked for."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._made_for: Errand | None = None

    @property
    def device(self) -> str:
        """Where the loaded model computes; empty before one is loaded."""
        return "" if self._session is None else str(self._session.model.device)

    def look(self, errand: Errand) -> Generator[EverythingStep, None, None]:
        """Look for everything on some frames."""
        session = self._session_for(errand)
        yield from session.segment_everything(errand.frames, errand.options)

    def begin_objects(
        self, errand: Errand, found: Everything, selection: Selection
    ) -> Generator[Session, None, None]:
        """Give a new session with the chosen objects of a frame, prompted with their masks."""
        model = self._session_for(errand).model
        session = _begin_session(errand, model)
        session.add_everything(found, selection)
        yield session

    def forget(self) -> None:
        """Let go of the image."""
        self._session = self._made_for = None

    def _session_for(self, errand: Errand) -> Session:
        made, model, stack = self._made_for, errand.model, errand.stack
        if self._session is not None and made is not None and made.model == model:
            if made.stack.same_pixels(stack) and made.settings == errand.settings:
                return self._session
            # Moved to another device, it would be gone from under those who go on with it.
            here = self._session.model.device == choose_device(errand.settings.device)
            model = self._session.model if here else model
        self._session = _begin_session(errand, model)
        self._made_for = errand
        return self._session


def _begin_session(errand: Errand, model: str | SAM2) -> Session:
    stack, view = errand.stack, errand.stack.view
    labels = None
    if is_large(stack.label_shape, SESSION_DTYPE):
        labels = scratch_labels(stack.label_shape, SESSION_DTYPE, stack.label_seen)
    return Session(stack.data, model, view.axis, view=view, settings=errand.settings, labels=labels)


def settle(
    found: Iterable[Everything], selection: Selection, stack: Stack, canvas: Canvas
) -> Generator[Settled, None, None]:
    """Write the chosen objects of frames into labels, each with a number of its own for good."""
    for one in found:
        plane, chosen = one.settle(selection)
        canvas.array[stack.index(one.frame)] = plane
        yield Settled(one.frame, len(chosen), len(one.objects))


def number_anew(
    found: Mapping[int, Everything], selection: Selection, stack: Stack
) -> Generator[Any, None, None]:
    """Give the chosen objects as labels of the stack, on each frame from 1 without gaps."""
    planes = {frame: one.labels(selection) for frame, one in found.items()}
    most = max(int(plane.max()) for plane in planes.values())
    dtype = np.dtype(np.uint16 if most <= np.iinfo(np.uint16).max else np.uint32)
    labels = Canvas(stack, dtype).array
    for frame, plane in planes.items():
        labels[stack.index(frame)] = plane
    yield labels
