"""What a strategy decides while objects are followed, and what several of them share."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.predictors.memory import Attended, Note, ObjectMemory
    from napari_sam2.predictors.windows import Window


class Outlook(NamedTuple):
    """What one account of an object brings to a new frame.

    An object has one account of what happened, or several that rival.
    """

    attended: Attended
    before: Note | None  #: on the frame just before; None if it was prompted, or not visited


class Branch(NamedTuple):
    """How an account goes on: with a mask on the new frame."""

    account: int  #: which of the object's accounts it continues; 0 is the one in the lead
    candidate: int  #: which of the masks decoded from that account's memories is taken
    note: Note  #: kept with the frame


class Strategy(Protocol):
    """Decides what a frame attends to, and which masks are gone on from.

    It has no state: what it needs again it writes into the notes of tracked frames, so that
    corrections, cancelled runs and runs in reverse find what belongs to the frames before.
    """

    def attended(
        self, memory: ObjectMemory, frame: int, *, reverse: bool, n_frames: int
    ) -> Attended:
        """Choose what `frame` attends to; see `ObjectMemory.attended`."""

    def kept(self, memory: ObjectMemory, frame: int, *, reverse: bool) -> Sequence[int]:
        """Give the tracked frames after `frame` was, that later ones may attend to from afar.

        Nearest first. Of the others only those stay that are near, as with SAM 2's rule.
        """

    def choose(
        self, before: Sequence[Sequence[Note | None]], window: Window, decoded: DecodedMasks
    ) -> list[list[Branch]] | None:
        """Choose how some objects go on.

        Parameters
        ----------
        before : sequence of sequence of Note
            For each object, of each of its accounts: what was written down on the frame just
            before; None where that frame was prompted, or not visited.
        window : Window
            Where they were looked for.
        decoded : DecodedMasks
            Three candidates for each account of each object, in that order; B is the number
            of all accounts.

        Returns
        -------
        list of list of Branch, or None
            For each object the accounts it has from now on. The first is shown. None: the mask
            with the highest predicted IoU for each.
        """


def split(
    decoded: DecodedMasks, before: Sequence[Sequence[Note | None]]
) -> list[tuple[slice, list[list[float]], list[float]]]:
    """Divide what was decoded among objects, whose accounts follow each other.

    Returns
    -------
    list of (slice, list of list of float, list of float)
        For each object: its rows, the predicted IoUs of the candidates of each, and the
        object score of each.
    """
    ious, scores = decoded.ious.tolist(), decoded.object_score[:, 0].tolist()
    ends = accumulate(len(accounts) for accounts in before)
    rows = [slice(end - len(accounts), end) for end, accounts in zip(ends, before, strict=True)]
    return [(one, ious[one], scores[one]) for one in rows]


def sure_frames(memory: ObjectMemory, frame: int, *, reverse: bool) -> list[int]:
    """Give the tracked frames before one that can be relied on, nearest first.

    The frame just before always counts: nothing else tells where the object is now. A prompt
    overrules what was found before it, so that no frame beyond the last prompted one counts.
    """
    direction = -1 if reverse else 1
    ahead = {f: (frame - f) * direction for f in (*memory.tracked, *memory.prompted)}
    reach = min((ahead[f] for f in memory.prompted if ahead[f] > 0), default=None)
    return sorted(
        (
            f
            for f, one in memory.tracked.items()
            if ahead[f] > 0 and (reach is None or ahead[f] < reach)
            if ahead[f] == 1 or (one.note is not None and one.note.sure)
        ),
        key=ahead.__getitem__,
    )
