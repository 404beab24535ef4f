"""SAM 2's own rule (Ravi et al. 2024): the best mask by predicted IoU, the latest frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.predictors.memory import Attended, Note, ObjectMemory
    from napari_sam2.predictors.windows import Window


class LatestFrames:
    """Go on from the best mask, and attend to the latest frames whatever is on them."""

    def attended(
        self, memory: ObjectMemory, frame: int, *, reverse: bool, n_frames: int
    ) -> Attended:
        """Choose as `ObjectMemory.attended` does."""
        return memory.attended(frame, reverse=reverse, n_frames=n_frames)

    def kept(self, memory: ObjectMemory, frame: int, *, reverse: bool) -> Sequence[int]:
        """Give none: only near frames are attended to."""
        return ()

    def choose(
        self, before: Sequence[Sequence[Note | None]], window: Window, decoded: DecodedMasks
    ) -> None:
        """Leave it at the mask with the highest predicted IoU."""
