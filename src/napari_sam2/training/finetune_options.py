"""What a fine-tuning run is told, and what it tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.model.locations import models_folder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.evaluation.pictures import Picture
    from napari_sam2.training.adapt import Learning
    from napari_sam2.training.holding_out import By
    from napari_sam2.training.scoring import Scores

Sequences = Literal["auto", "on", "off"]

#: How a run ended.
Ending = Literal["all steps", "no better for long", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """How a model learns from a lab's own labels."""

    name: str  #: of the new model
    model: str | Path = EMBEDDED_MODEL  #: to begin with: a name, or a YAML file
    checkpoint: Path | None = None  #: weights to begin with, instead of the model's own
    #: For the state and the log of the run, which goes on from what is there; beside the user's
    #: models unless given.
    folder: Path | None = None
    learning: Learning = "frozen"  #: what the image trunk does; all else learns
    rank: int = 8  #: of the changes to the trunk's matrices, where it learns by LoRA
    hold_out: float = 0.2  #: share of the annotations that are only measured on
    hold_out_by: By = "auto"  #: whole frames, or some objects of each
    #: Whether following through memory is learnt, too: "auto" does where a stack's ids stay the
    #: same from frame to frame.
    sequences: Sequences = "auto"
    n_frames: int = 3  #: of a sequence
    steps: int = 400
    batch_size: int = 4  #: views a step
    objects: int = 8  #: prompted in a view, at most
    learning_rate: float = 2e-4
    trunk_learning_rate: float | None = None  #: unless given, a tenth of it, but with LoRA all
    weight_decay: float = 0.01
    evaluate_every: int = 50  #: steps
    patience: int = 6  #: measurements in a row without a better one, until a run ends early
    scored_objects: int = 40  #: at each measurement, at most
    recompute: bool = False  #: save memory: compute the trunk again when its gradients are
    device: str | None = None  #: the fastest there is unless given
    seed: int = 0
    minutes: float = math.inf  #: pause after this long, to go on later
    save_every: float = 2.0  #: minutes between checkpoints
    overwrite: bool = False  #: whether an earlier model of this name may be replaced

    @property
    def run_folder(self) -> Path:
        """Where state and log are."""
        return self.folder or models_folder() / "runs" / self.name

    @property
    def rate_of_trunk(self) -> float:
        """The learning rate of the trunk, or of the changes to it."""
        if self.trunk_learning_rate is not None:
            return self.trunk_learning_rate
        return self.learning_rate if self.learning == "lora" else self.learning_rate / 10

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size", "objects", "evaluate_every", "patience"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is 1 or more, got {getattr(self, key)}.")
        if self.n_frames < 2:
            raise ValueError(f"A sequence has 2 frames or more, got n_frames of {self.n_frames}.")
        if self.sequences not in ("auto", "on", "off"):
            raise ValueError(f"sequences is 'auto', 'on' or 'off', got {self.sequences!r}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is above 0, got {self.learning_rate}.")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step of a run."""

    stage: Literal["before", "training", "measuring", "after"]
    step: int  #: done of all steps of training
    steps: int  #: of training, in all
    loss: float | None = None  #: smoothed, after a step of training
    scores: Scores | None = None  #: after a measurement
    seconds_left: float | None = None  #: None until it can be told
    remark: str = ""  #: what the user should know, once


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """What came of a run."""

    name: str
    weights: Path
    before: Scores
    after: Scores
    ending: Ending
    is_honest: bool  #: whether the scores are of objects that were held out
    #: The same objects, before and after.
    pictures: tuple[tuple[Picture, Picture], ...] = ()

    @property
    def is_better(self) -> bool:
        """Whether it does better than what it began with."""
        return self.after.mean > self.before.mean
