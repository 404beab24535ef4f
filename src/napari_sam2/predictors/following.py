"""From what objects attend to on a frame to their masks there, and to new memories."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.model.mask_decoder import DecodedMasks, candidates
from napari_sam2.model.sam2 import ObjectOutput
from napari_sam2.predictors.batches import Batches
from napari_sam2.predictors.memory import FrameMemory, group
from napari_sam2.predictors.objects import Sighting
from napari_sam2.predictors.retention import unfilled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from napari_sam2.predictors.cancelling import Cancellation
    from napari_sam2.predictors.segmenter import Segmenter
    from napari_sam2.predictors.strategies.strategy import Outlook, Strategy
    from napari_sam2.predictors.windows import Window


class Followed(NamedTuple):
    """What was found of one object on a tracked frame, as one account has it."""

    account: int  #: which of the object's accounts it continues
    output: ObjectOutput  #: with B = 1
    memory: FrameMemory
    unfilled: Tensor | None = None  #: the logits before holes were filled, if any were

    def sighting(self, window: Window) -> Sighting:
        """Give where the object was seen."""
        return Sighting(window, self.output.logits, self.output.object_score, self.unfilled)


class Follower:
    """Follows objects in batches, as a strategy would have it.

    Parameters
    ----------
    segmenter : Segmenter
    strategy : Strategy
    cancellation : Cancellation
        Asked before every batch.
    """

    def __init__(
        self, segmenter: Segmenter, strategy: Strategy, cancellation: Cancellation
    ) -> None:
        self.segmenter = segmenter
        self.strategy = strategy
        self._cancellation = cancellation
        self._batches = Batches(segmenter.options.max_objects, segmenter.model.device)

    def follow_each(
        self, frame: int, window: Window, outlooks: Mapping[int, Sequence[Outlook]]
    ) -> Iterator[tuple[int, list[Followed]]]:
        """Find objects on a frame, all in one window, a batch at a time; see `follow`.

        Parameters
        ----------
        frame : int
        window : Window
        outlooks : mapping of int to sequence of Outlook
            By object.

        Yields
        ------
        object_id : int
        accounts : list of Followed
        """

        def follow_some(ids: Sequence[int]) -> dict[int, list[Followed]]:
            self._cancellation.check()
            followed = self.follow(frame, window, [outlooks[i] for i in ids])
            return dict(zip(ids, followed, strict=True))

        return self._batches.each(_alike(outlooks), follow_some)

    def follow(
        self, frame: int, window: Window, outlooks: Sequence[Sequence[Outlook]]
    ) -> list[list[Followed]]:
        """Find objects on a frame, all in one window.

        Parameters
        ----------
        frame : int
        window : Window
        outlooks : sequence of sequence of Outlook
            Of each object, of each of its accounts.

        Returns
        -------
        list of list of Followed
            For each object its accounts from now on; the first is in the lead.
        """
        rows = [one.attended for accounts in outlooks for one in accounts]
        before = [[one.before for one in accounts] for accounts in outlooks]
        decoded = self.segmenter.follow(frame, window, rows)
        branches = self.strategy.choose(before, window, candidates(decoded))
        if branches is None:
            return [[one] for one in self._settle(frame, window, decoded)]
        starts = accumulate((len(accounts) for accounts in outlooks[:-1]), initial=0)
        chosen = [
            (start + branch.account, branch.candidate)
            for start, of_object in zip(starts, branches, strict=True)
            for branch in of_object
        ]
        settled = iter(self._settle(frame, window, decoded, chosen))
        return [
            [
                one._replace(account=branch.account, memory=replace(one.memory, note=branch.note))
                for branch, one in zip(of_object, settled, strict=False)
            ]
            for of_object in branches
        ]

    def _settle(
        self,
        frame: int,
        window: Window,
        decoded: DecodedMasks,
        chosen: Sequence[tuple[int, int]] | None = None,
    ) -> list[Followed]:
        """Do as `Segmenter.settle`, one by one."""
        found, memory, logits = self.segmenter.settle(frame, window, decoded, chosen)
        settled = []
        for i in range(len(found.ious)):
            row = slice(i, i + 1)
            # Copies: a view would keep the whole batch for as long as any one object of it.
            output = ObjectOutput(*(x[row].clone() for x in found))
            remembered = FrameMemory(memory[row].clone(), output.pointer)
            holes = unfilled(logits[row].clone(), output.logits)
            settled.append(Followed(0, output, remembered, holes))
        return settled


def _alike(outlooks: Mapping[int, Sequence[Outlook]]) -> list[list[int]]:
    """Group objects that attend to memories of the same ages and to as many pointers."""
    ids = list(outlooks)
    alike = group([tuple(one.attended.shape for one in outlooks[i]) for i in ids])
    return [[ids[k] for k in indices] for indices in alike]
