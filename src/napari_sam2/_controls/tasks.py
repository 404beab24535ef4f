"""What workers are told, and what they tell: read at once, and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from napari_sam2.session import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2._layers import Stack
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.passes import Direction
    from napari_sam2.prompts import Prompt

_serials = count()


def next_serial() -> int:
    """Give a number between those of the tasks read before and of those read from now on."""
    return next(_serials)


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """All that a worker has to know of layers and controls, read at once."""

    stack: Stack
    model: str | SAM2
    names: Mapping[int, str]  #: of all objects
    prompts: Mapping[int, Mapping[int, tuple[Prompt, ...]]]  #: by object, then by frame
    frame: int  #: where the viewer is
    object_id: int  #: the current object
    settings: Settings = field(default_factory=Settings)  #: of which device and precision count
    serial: int = field(default_factory=next_serial)  #: later ones have larger ones

    def same_session(self, other: Task) -> bool:
        """Whether one session does for both."""
        ours, theirs = self.settings, other.settings
        return (
            self.model == other.model
            and (ours.device, ours.precision) == (theirs.device, theirs.precision)
            and self.stack.same_pixels(other.stack)
        )


@dataclass(frozen=True)
class Route:
    """Where to follow objects."""

    direction: Direction
    start: int
    stop: int
    objects: tuple[int, ...] | None  #: None for all
    divisions: bool = False  #: whether to watch for them


@dataclass(frozen=True)
class Refused:
    """An object whose prompts on a frame make no sense; others go on."""

    object_id: int
    frame: int
    why: str


@dataclass(frozen=True)
class Awaited:
    """The first step of looking for several objects."""

    total: int  #: how many will be looked for


@dataclass(frozen=True, eq=False)
class Begun:
    """The first step of following objects."""

    labels: Any  #: where results are written
    total: int  #: how many frames will be visited
    refused: tuple[Refused, ...] = ()  #: objects that are not followed


@dataclass(frozen=True, eq=False)
class Written:
    """The labels were changed."""

    labels: Any
