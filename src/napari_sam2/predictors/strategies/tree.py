"""SAM2Long's constrained memory tree (Ding et al. 2024, arXiv 2410.16268, section 3).

Several pathways through the sequence are kept, each with memories of its own. On every frame
each one offers three masks, and those branches with the highest sums of log predicted IoU
become the new pathways; where the network is unsure, branches that differ.

Two things differ from the paper. The mask shown on a frame is that of the pathway in the lead
when it is reached, for results are written frame by frame; the paper looks back from the last
frame. And pathways that are the same are computed once: they part where the network is unsure,
so that elsewhere the tree costs little more than SAM 2's rule.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.model.sam2 import MAX_POINTERS, TRACKED_MEMORIES
from napari_sam2.predictors.memory import Attended, Note, ObjectMemory, pointer_span
from napari_sam2.predictors.strategies.strategy import Branch, split, sure_frames
from napari_sam2.prompts import CERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.predictors.windows import Window

# As the authors run it (github.com/Mark12Ding/SAM2Long, tools/README.md).
PATHWAYS = 3  #: P
LEAST_IOU = 0.1  #: predicted; less is not remembered
CERTAINTY = 2.0  #: largest object score, either way, up to which the network is unsure
LIGHTEST, HEAVIEST = 0.95, 1.05  #: weights of the keys of memories, by their object scores
_TINY = 1e-5  #: keeps the logarithm finite


@dataclass(frozen=True, slots=True)
class PathwayNote(Note):
    """A frame of a pathway."""

    object_score: float  #: logit; > 0 where the object is on the frame
    total: float  #: of the logarithms of predicted IoUs, since the last prompt
    copies: int  #: how many of the pathways are this one


class _Offer(NamedTuple):
    """A branch that may become a pathway."""

    pathway: int  #: 0 to P - 1
    account: int
    candidate: int
    total: float
    iou: float  #: negative where the object is not on the frame


class MemoryTree:
    """Keep several accounts of an object apart until it is clear which is the true one."""

    def attended(
        self, memory: ObjectMemory, frame: int, *, reverse: bool, n_frames: int
    ) -> Attended:
        """Choose prompted frames, and the last ones that were sure.

        Their distances are counted in the frames chosen. The keys of memories are weighted by
        the rank of their object scores, prompted frames highest (section 3.3 of the paper).
        """
        prompts = memory.attended_prompts(frame, reverse=reverse)
        sure = sure_frames(memory, frame, reverse=reverse)[: pointer_span(n_frames) - 1]
        pointers = [(age, memory.tracked[f]) for age, f in enumerate(sure, start=1)]
        spatial = [
            (age, one.features, one.note)
            for age, one in pointers[:TRACKED_MEMORIES]
            if one.features is not None
        ]
        return Attended(
            prompts.spatial + [(age, features) for age, features, _ in spatial],
            prompts.pointers + [(age, one.pointer) for age, one in pointers],
            (
                *weigh(_scores(prompts.spatial) + [_object_score(note) for *_, note in spatial]),
                *weigh(_scores(prompts.pointers) + [_object_score(m.note) for _, m in pointers]),
            ),
        )

    def kept(self, memory: ObjectMemory, frame: int, *, reverse: bool) -> Sequence[int]:
        """Give the last frames that were sure."""
        after = frame - 1 if reverse else frame + 1
        return sure_frames(memory, after, reverse=reverse)[: MAX_POINTERS - 1]

    def choose(
        self, before: Sequence[Sequence[Note | None]], window: Window, decoded: DecodedMasks
    ) -> list[list[Branch]]:
        """Choose the branches with the highest sums, of each object."""
        return [
            _grow(_pathways(notes), ious, scores)
            for notes, (_, ious, scores) in zip(before, split(decoded, before), strict=True)
        ]


def weigh(scores: Sequence[float]) -> list[float]:
    """Weigh memories evenly from the lightest to the heaviest, by the rank of their scores."""
    if len(scores) < 2:
        return [1.0] * len(scores)
    weights = [0.0] * len(scores)
    step = (HEAVIEST - LIGHTEST) / (len(scores) - 1)
    for rank, index in enumerate(sorted(range(len(scores)), key=scores.__getitem__)):
        weights[index] = LIGHTEST + rank * step
    return weights


def _pathways(notes: Sequence[Note | None]) -> list[PathwayNote]:
    """Give how pathways stand. A single one is all of them, and has nothing to compare with."""
    pathways = [note for note in notes if isinstance(note, PathwayNote)]
    if len(notes) == 1:
        return [PathwayNote(sure=True, object_score=CERTAIN, total=0.0, copies=PATHWAYS)]
    return pathways


def _scores(prompted: Sequence[object]) -> list[float]:
    return [CERTAIN] * len(prompted)


def _object_score(note: Note | None) -> float:
    return note.object_score if isinstance(note, PathwayNote) else 0.0


def _grow(
    pathways: Sequence[PathwayNote], ious: Sequence[Sequence[float]], scores: Sequence[float]
) -> list[Branch]:
    """Choose how the pathways of one object go on."""
    slots = [i for i, pathway in enumerate(pathways) for _ in range(pathway.copies)]
    offers = [
        _Offer(
            slot,
            account,
            candidate,
            pathways[account].total + math.log(iou + _TINY),
            math.copysign(iou, scores[account]),
        )
        for slot, account in enumerate(slots)
        for candidate, iou in enumerate(ious[account])
    ]
    offers.sort(key=lambda offer: offer.total, reverse=True)
    unsure = max(abs(score) for score in scores) <= CERTAINTY
    best = _distinct(offers) if unsure else offers[:PATHWAYS]
    copies = Counter((offer.account, offer.candidate) for offer in best)
    totals = {(offer.account, offer.candidate): offer.total for offer in best}
    branches = []
    for (account, candidate), count in copies.items():
        iou, score = ious[account][candidate], scores[account]
        note = PathwayNote(
            sure=iou > LEAST_IOU and score > 0,
            object_score=score,
            total=totals[account, candidate],
            copies=count,
        )
        branches.append(Branch(account, candidate, note))
    return branches


def _distinct(offers: Iterable[_Offer]) -> list[_Offer]:
    """Take the best branches whose predicted IoUs differ in two digits, then of other pathways."""
    offers = list(offers)
    best: dict[float, _Offer] = {}
    for offer in offers:
        best.setdefault(round(offer.iou, 2), offer)
    chosen = list(best.values())[:PATHWAYS]
    taken = {offer.pathway for offer in chosen}
    first: dict[int, _Offer] = {}
    for offer in offers:
        if offer.pathway not in taken:
            first.setdefault(offer.pathway, offer)
    left = [first[pathway] for pathway in sorted(first)]
    return chosen + left[: PATHWAYS - len(chosen)]
