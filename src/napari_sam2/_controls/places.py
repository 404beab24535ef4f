"""The sessions of each image: one for each way to play it, of which one is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari.layers import Image

    from napari_sam2._controls.synchronising import Made
    from napari_sam2._layers import Stack

WARM = 2  #: places in an image, of which what is remembered of frames is kept


class Places(Mapping["Image", "Made"]):
    """Gives what is at hand of each image, and keeps what was made at other places in it.

    A place is the axis that is played, and positions on those that are held: the sessions of a
    volume through time share its labels, and each has objects, locks and a history of its own.
    Workers put what they have made while the window may put something else there.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[Image, tuple[Made, ...]] = {}  #: that at hand first, the oldest last

    def __getitem__(self, image: Image) -> Made:
        return self._made[image][0]

    def __iter__(self) -> Iterator[Image]:
        return iter(list(self._made))

    def __len__(self) -> int:
        return len(self._made)

    def of(self, image: Image) -> tuple[Made, ...]:
        """Give what was made at all places in an image, that at hand first."""
        return self._made.get(image, ())

    def find(self, stack: Stack) -> Made | None:
        """Give what was made where a stack is played, or None."""
        return find(self.of(stack.image), stack)

    def put(self, made: Made, known: tuple[Made, ...], *, at_hand: bool = True) -> bool:
        """Put something in the place of what was there; say whether it is still as it was known.

        Parameters
        ----------
        made : Made
        known : tuple of Made
            What `of` gave; nothing is done if it would give something else by now.
        at_hand : bool
            Whether to have it at hand from now on, or behind the others.
        """
        stack = made.task.stack
        others = tuple(one for one in known if not one.task.stack.same_position(stack))
        is_first = at_hand or not others or known[0] not in others
        with self._lock:
            if self._made.get(stack.image, ()) != known:
                return False
            self._made[stack.image] = (made, *others) if is_first else (*others, made)
        if is_first and known and known[0] in others:
            for cold in others[WARM - 1 : WARM]:
                cold.session.release()
        return True

    def replace(self, image: Image, made: Iterable[Made]) -> tuple[Made, ...]:
        """Have these instead of all that were made of an image, which are given."""
        new = tuple(made)
        with self._lock:
            earlier = self._made.pop(image, ())
            if new:
                self._made[image] = new
        return earlier


def find(known: Iterable[Made], stack: Stack) -> Made | None:
    """Give what was made where a stack is played, or None."""
    return next((one for one in known if one.task.stack.same_position(stack)), None)
