"""What was done with each image: that of one is left as it is while another one is chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2._controls.entries import Entry, trim
from napari_sam2._controls.scenes import tell_change

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_sam2._controls.scenes import Scene
    from napari_sam2._layers import Stack
    from napari_sam2.session import Step


@dataclass(eq=False)
class Past:
    """What was done with one image, in its order, and what of it was undone."""

    image: Image | None
    now: Scene  #: what is drawn and listed; where the image is not chosen, what was
    stack: Stack | None = None  #: how it was played last
    done: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)

    def forget(self, now: Scene) -> None:
        """Begin anew from what is there now."""
        self.done.clear()
        self.undone.clear()
        self.now = now

    def note(self, now: Scene, where: Stack | None) -> bool:
        """Note what was drawn or listed since; say whether anything was."""
        before, self.now = self.now, now
        if before.same(now):
            return False
        self._add(Entry(tell_change(before, now), before, now, where))
        return True

    def note_stroke(self, text: str, layer: Labels, where: Stack | None) -> None:
        """Note that a hand has painted on a layer."""
        self._add(Entry(text, self.now, self.now, where, painted=layer))

    def note_step(self, stack: Stack, step: Step, unlisted: int) -> None:
        """Note a step of the session with what has led to it, or else as something done.

        Parameters
        ----------
        stack : Stack
            Where it was made.
        step : Step
        unlisted : int
            The object that it removed as it was not listed any more, or 0.
        """
        causes = (one for one in reversed(self.done) if unlisted in one.before.names)
        cause = next((one for one in causes if unlisted not in one.after.names), None)
        if cause is None and self.done and self.done[-1].is_also(stack, step):
            cause = self.done[-1]
        if cause is not None:
            cause.steps.append(step)
        else:
            self._add(Entry("", self.now, self.now, stack, [step]))

    def knows(self, step: Step) -> bool:
        """Whether a step of the session is part of it."""
        return any(step in entry.steps for entry in (*reversed(self.done), *self.undone))

    def amend(self, now: Scene) -> None:
        """Note what is there now as what was done last has left it."""
        if self.done and not self.now.same(now):
            self.done[-1].end_with(now)
        self.now = now

    def relist(self, step: Step | None, now: Scene) -> None:
        """Note that objects are listed otherwise, by a step of the session or by none."""
        gone = self.now.names.keys() - now.names.keys()
        changed = {i: n for i, n in now.names.items() if self.now.names.get(i) != n}
        entries = iter(self.done)
        if step is None:  # it is no part of what was done, and is not to be undone with any of it
            entries = iter((*self.done, *self.undone))
        elif cause := next((one for one in entries if step in one.steps), None):
            cause.after = cause.after.relisted(changed, gone)
        for later in entries:
            later.before = later.before.relisted(changed, gone)
            later.after = later.after.relisted(changed, gone)
        self.now = now

    def _add(self, entry: Entry) -> None:
        self.undone.clear()
        self.done.append(entry)


class Pasts:
    """Keeps the past of each image that was worked on; one of them is at hand.

    Parameters
    ----------
    now : Scene
        What is drawn and listed before any image is chosen.
    """

    def __init__(self, now: Scene) -> None:
        self.at_hand = Past(None, now)
        self._others: dict[Image, Past] = {}  #: that were left; the last of them last

    def of(self, image: Image) -> Past | None:
        """Give the past of an image, or None if it was not worked on."""
        return self.at_hand if image is self.at_hand.image else self._others.get(image)

    def turn_to(self, image: Image | None, now: Scene) -> Past:
        """Have the past of another image at hand; it begins now if the image is a new one."""
        left = self.at_hand
        if image is not left.image:
            kept = None if image is None else self._others.pop(image, None)
            self.at_hand = kept or Past(image, now)
            if left.image is not None:
                self._others[left.image] = left
        return self.at_hand

    def drop(self, image: Image) -> None:
        """Forget what was done with an image that is gone."""
        self._others.pop(image, None)

    def trim(self) -> None:
        """Forget what takes too much room: first what was done with images that were left first."""
        others = [
            kept for past in reversed(self._others.values()) for kept in (past.undone, past.done)
        ]
        trim(self.at_hand.done, *others)
