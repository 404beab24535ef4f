"""What a video predictor knows of a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.model.sam2 import ObjectOutput
    from napari_sam2.predictors.tracker import Tracker


class Answer(NamedTuple):
    """What was found from prompts since the last propagation."""

    output: ObjectOutput
    prompted: bool  #: whether other frames will attend to it as to a prompted one


@dataclass(slots=True)
class VideoObject:
    """What Meta's rules know of one object, beside what the tracker knows."""

    #: By frame: (1, P, 2), (x, y) in the model's input, and labels (1, P).
    points: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    masks: set[int] = field(default_factory=set)  #: frames on which a mask was given
    answers: dict[int, Answer] = field(default_factory=dict)  #: not yet attended to
    tracked: dict[int, bool] = field(default_factory=dict)  #: by frame: whether in reverse


@dataclass(slots=True)
class InferenceState:
    """One video, and everything that was said and found about it.

    ``state["obj_ids"]``, ``["num_frames"]``, ``["video_height"]`` and ``["video_width"]`` can
    be read as in Meta's.
    """

    tracker: Tracker
    num_frames: int
    video_height: int
    video_width: int
    objects: dict[int, VideoObject] = field(default_factory=dict)

    @property
    def obj_ids(self) -> list[int]:
        """Objects in the order of their first prompts."""
        return list(self.objects)

    def __getitem__(self, key: str) -> Any:
        if key not in {"obj_ids", "num_frames", "video_height", "video_width"}:
            raise KeyError(f"The inference state has no {key!r} here; it is an object of its own.")
        return getattr(self, key)

    def check_frame(self, frame: int) -> None:
        """Refuse a frame that the video does not have.

        Raises
        ------
        IndexError
        """
        if not 0 <= frame < self.num_frames:
            raise IndexError(f"There is no frame {frame}; the video has {self.num_frames}.")
