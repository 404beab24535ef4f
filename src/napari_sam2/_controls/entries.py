"""One thing that was done in the dock, and how many of them are kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.layers import Labels

    from napari_sam2._controls.scenes import Scene
    from napari_sam2._layers import Stack
    from napari_sam2.session import Step

LONGEST = 1000  #: entries
MOST_BYTES = 100_000_000  #: of prompts, in all of them
STROKES = 100  #: as many as napari keeps of a layer


@dataclass(eq=False)
class Entry:
    """One thing that was done."""

    text: str
    before: Scene
    after: Scene
    where: Stack | None  #: the place in which it was done
    steps: list[Step] = field(default_factory=list)  #: of the session, that it led to
    painted: Labels | None = None  #: the layer on which a hand has painted
    size: int = field(init=False)  #: bytes that it takes beside the one before

    def __post_init__(self) -> None:
        self.end_with(self.after)

    def end_with(self, after: Scene) -> None:
        """Note what is there after it."""
        self.after, self.size = after, after.size_beside(self.before)

    def is_also(self, stack: Stack, step: Step) -> bool:
        """Whether a step is the same that was done at another place in the image."""
        is_elsewhere = self.where is not None and not self.where.same_position(stack)
        return is_elsewhere and bool(self.steps) and self.steps[-1].text == step.text

    def tell(self) -> str:
        """Say what it was; a run may have gone on since."""
        return self.text or self.steps[-1].text


def trim(at_hand: list[Entry], *others: list[Entry]) -> None:
    """Forget what was done so long ago that it cannot be undone, or takes too much room.

    All that was done before it is forgotten, too: things are undone in their order, or not at all.

    Parameters
    ----------
    at_hand : list of Entry
        The last of them stays, however large it is.
    *others : list of Entry
        What was done with other images, that which is needed first: it has the room that is left.
    """
    room = _trim(at_hand, MOST_BYTES, at_hand[-1:])
    for done in others:
        room = _trim(done, room, ())


def _trim(done: list[Entry], room: int, spared: Collection[Entry]) -> int:
    """Forget what is too much in one list, and give the bytes that are left for others."""
    first = max(0, len(done) - LONGEST)
    strokes: Counter[int] = Counter()  # by layer
    for place in reversed(range(first, len(done))):
        entry = done[place]
        if entry.painted is not None:
            strokes[id(entry.painted)] += 1
        too_many = entry.painted is not None and strokes[id(entry.painted)] > STROKES
        if too_many or (entry.size > room and entry not in spared):
            first = place + 1
            break
        room -= entry.size
    del done[:first]
    return room
