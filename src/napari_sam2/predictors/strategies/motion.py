"""SAMURAI's motion-aware choice of masks and memories (Yang et al. 2024, arXiv 2411.11922).

Of the three masks on a frame the one is taken that is both good by predicted IoU and where the
object's motion leads (section 4.1 of the paper); and only frames are remembered on which the
mask was good, the object there, and the motion as expected (section 4.2).

The authors also count objects as present down to an object score of -1, and start their filter
anew only after frames of a low predicted IoU; here an object is present above 0, as everywhere,
and a frame without it starts the filter anew, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.model.sam2 import TRACKED_MEMORIES
from napari_sam2.predictors.memory import Attended, Note, ObjectMemory
from napari_sam2.predictors.strategies.kalman import BoxMotion, box_iou
from napari_sam2.predictors.strategies.strategy import Branch, split, sure_frames
from napari_sam2.predictors.windows import extent_of_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.predictors.windows import Extent, Window

# The paper's, and the defaults of the authors' code (github.com/yangchris11/samurai).
MOTION_WEIGHT = 0.15  #: alpha_kf: of the overlap with the box predicted, beside predicted IoU
STABLE_FRAMES = 15  #: tau_kf: frames that the filter is fed before it has a say
STABLE_IOU = 0.3  #: predicted; with less the filter starts anew
LEAST_IOU = 0.5  #: tau_mask: predicted; less is not remembered
LEAST_OVERLAP = 0.0  #: tau_kf of memories: with the box predicted; no more is not remembered


@dataclass(frozen=True, slots=True)
class MotionNote(Note):
    """A frame along the way of an object."""

    motion: BoxMotion | None  #: None where the filter starts anew
    fed: int  #: frames since it started


class MotionAware:
    """Go on from masks that lie where the object was heading, and attend to frames that do."""

    def attended(
        self, memory: ObjectMemory, frame: int, *, reverse: bool, n_frames: int
    ) -> Attended:
        """Choose prompted frames and the last 6 that were sure; pointers are those of SAM 2.

        Distances of memories are counted in the frames chosen.
        """
        latest = memory.attended(frame, reverse=reverse, n_frames=n_frames)
        given = memory.attended_prompts(frame, reverse=reverse)
        sure = sure_frames(memory, frame, reverse=reverse)[:TRACKED_MEMORIES]
        chosen = [(age, memory.tracked[f].features) for age, f in enumerate(sure, start=1)]
        near = [(age, features) for age, features in chosen if features is not None]
        return latest._replace(spatial=given.spatial + near)

    def kept(self, memory: ObjectMemory, frame: int, *, reverse: bool) -> Sequence[int]:
        """Give the last frames that were sure."""
        after = frame - 1 if reverse else frame + 1
        return sure_frames(memory, after, reverse=reverse)[:TRACKED_MEMORIES]

    def choose(
        self, before: Sequence[Sequence[Note | None]], window: Window, decoded: DecodedMasks
    ) -> list[list[Branch]]:
        """Choose one mask of each object."""
        logits = decoded.logits.cpu()
        branches = []
        for notes, (rows, ious, scores) in zip(before, split(decoded, before), strict=True):
            boxes = [extent_of_logits(mask, window) for mask in logits[rows][0]]
            branches.append([_choose(notes[0], ious[0], scores[0], boxes)])
        return branches


def _choose(
    before: Note | None, ious: Sequence[float], score: float, boxes: Sequence[Extent | None]
) -> Branch:
    """Choose one of an object's masks, and learn from it how the object moves."""
    expected, fed = None, 0
    if isinstance(before, MotionNote) and before.motion:
        expected, fed = before.motion.predict(), before.fed
    trusted = expected if fed >= STABLE_FRAMES else None
    overlaps = [_overlap(trusted, box) for box in boxes]
    sums = [
        MOTION_WEIGHT * overlap + (1 - MOTION_WEIGHT) * iou
        for overlap, iou in zip(overlaps, ious, strict=True)
    ]
    best = sums.index(max(sums))
    iou, box = ious[best], boxes[best]
    motion = None
    if box and score > 0 and iou > STABLE_IOU:
        motion = expected.update(box) if expected else BoxMotion.begin(box)
    sure = iou > LEAST_IOU and score > 0 and overlaps[best] > LEAST_OVERLAP
    return Branch(0, best, MotionNote(sure, motion, fed + 1 if motion else 0))


def _overlap(expected: BoxMotion | None, box: Extent | None) -> float:
    """Say how well a box lies where it was expected; without expectations all do."""
    if expected is None:
        return 1.0
    return box_iou(expected.box, box) if box else 0.0
