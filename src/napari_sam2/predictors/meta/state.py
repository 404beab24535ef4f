"""What a video predictor knows of a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from napari_sam2.model.sam2 import NO_OBJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.sam2 import ObjectOutput
    from napari_sam2.predictors.meta.tracker import RuledTracker


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

    def click(
        self, frame: int, points: Tensor, labels: Tensor, *, replace: bool
    ) -> tuple[Tensor, Tensor]:
        """Put clicks on a frame, in the place of what was there or on top; give all of them."""
        if not replace and frame in self.points:
            points = torch.cat([self.points[frame][0], points], dim=1)
            labels = torch.cat([self.points[frame][1], labels], dim=1)
        self.points[frame] = points, labels
        self.masks.discard(frame)
        return points, labels

    def give_mask(self, frame: int) -> None:
        """Note that a mask was given on a frame, in the place of clicks."""
        self.masks.add(frame)
        self.points.pop(frame, None)


@dataclass(slots=True)
class InferenceState:
    """One video, and everything that was said and found about it.

    ``state["obj_ids"]``, ``["num_frames"]``, ``["video_height"]`` and ``["video_width"]`` can
    be read as in Meta's.
    """

    tracker: RuledTracker
    num_frames: int
    video_height: int
    video_width: int
    objects: dict[int, VideoObject] = field(default_factory=dict)

    @property
    def obj_ids(self) -> list[int]:
        """Objects in the order of their first prompts."""
        return list(self.objects)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the video."""
        return self.video_height, self.video_width

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

    def order(self, start: int | None, count: int | None, *, reverse: bool) -> range:
        """Give the frames to visit: from the first prompted one, to the end, unless told.

        Parameters
        ----------
        start : int, optional
        count : int, optional
            How many frames to go beyond the first.
        reverse : bool
        """
        if start is None:
            start = min(min(self.tracker.prompted_frames(obj_id)) for obj_id in self.objects)
        self.check_frame(start)
        count = self.num_frames if count is None else count
        if not reverse:
            return range(start, min(start + count, self.num_frames - 1) + 1)
        # Meta's predictor does not visit frame 0 alone in reverse.
        return range(start, max(start - count, 0) - 1, -1) if start > 0 else range(0)

    def hand_over_answers(self, *, clear_around: bool) -> None:
        """Have the tracker take the answers to prompts, for other frames to attend to.

        Raises
        ------
        ValueError
            If there is no object, or one without prompts.
        """
        if not self.objects:
            raise ValueError("There are no prompts: add points, a box or a mask first.")
        for obj_id, one in self.objects.items():
            # Those that are tracked over first, as in Meta's predictor.
            for frame, answer in sorted(one.answers.items(), key=lambda item: item[1].prompted):
                self.tracker.take(obj_id, frame, answer.output, prompted=answer.prompted)
                if clear_around:
                    self.tracker.forget_around(obj_id, frame)
            one.answers.clear()
            if not self.tracker.prompted_frames(obj_id):
                raise ValueError(f"Object {obj_id} has no prompts: add some, or remove it.")

    def forget_around_prompts(self, obj_ids: Sequence[int], frame: int) -> None:
        """Forget what was tracked around a frame of the objects that are prompted on it."""
        for obj_id in obj_ids:
            if frame in self.tracker.prompted_frames(obj_id):
                self.tracker.forget_around(obj_id, frame)

    def remove(self, obj_id: int) -> list[int]:
        """Forget an object; give the frames that it was asked for on."""
        gone = self.objects.pop(obj_id)
        self.tracker.remove(obj_id)
        return list(dict.fromkeys((*gone.points, *gone.masks)))

    def clear_prompts(self, obj_id: int, frame: int) -> None:
        """Take an object's prompts back on a frame, which counts as tracked from now on."""
        one = self.objects.setdefault(obj_id, VideoObject())
        one.points.pop(frame, None)
        one.masks.discard(frame)
        one.answers.pop(frame, None)
        if frame in self.tracker.prompted_frames(obj_id):
            self.tracker.demote(obj_id, frame)
            one.tracked.pop(frame, None)

    def embedding(self, obj_id: int, frame: int) -> Tensor:
        """Give the features of a frame: with an object's memories where it has been tracked."""
        reverse = self.objects[obj_id].tracked.get(frame)
        if reverse is None:
            return self.tracker.segmenter.embedding(frame, self.tracker.windows.whole)
        return self.tracker.embedding(obj_id, frame, reverse=reverse)

    def last_logits(
        self, obj_id: int, frame: int, *, prompted: bool | None = None
    ) -> Tensor | None:
        """Give an object's last mask on a frame; of new answers only those as `prompted`.

        Returns
        -------
        Tensor, shape (1, 1, H / 4, W / 4), or None
            Logits in the model's input.
        """
        answer = self.objects[obj_id].answers.get(frame)
        if answer and prompted in {None, answer.prompted}:
            return answer.output.logits
        seen = self.tracker.sighting(obj_id, frame)
        return seen.logits if seen else None

    def logits(self, frame: int, *, prompted: bool | None = None) -> Tensor:
        """Give the last masks of all objects, (N, 1, H / 4, W / 4); see `last_logits`.

        Unless told, new answers count that are prompted, if there are any, or else the others.
        """
        if prompted is None:
            answers = [one.answers.get(frame) for one in self.objects.values()]
            prompted = any(answer and answer.prompted for answer in answers)
        model = self.tracker.segmenter.model
        low = model.config.image_size // 4
        absent = torch.full((1, 1, low, low), NO_OBJECT, device=model.device)
        known = [self.last_logits(obj_id, frame, prompted=prompted) for obj_id in self.objects]
        return torch.cat([absent if one is None else one for one in known])
