"""The training loop: mixed precision, averaged weights, checkpoints, resume, a log."""

from __future__ import annotations

import dataclasses
import math
import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from napari_sam2.model.config import load_config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.transforms import normalize
from napari_sam2.training.adapt import freeze, parameter_groups
from napari_sam2.training.datasets import Sample, StreamOptions, batches
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.files import write_whole
from napari_sam2.training.initialize import initialize, level
from napari_sam2.training.log import TrainingLog
from napari_sam2.training.steps import StepResult, dense_step, image_step, sequence_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam2.model.config import SAM2Config
    from napari_sam2.training.recipe import Recipe, Stage

WARM_UP = 200  #: steps over which the learning rate rises at the start of a stage
MAX_NON_FINITE = 50  #: steps in a row without a finite gradient, until a run gives up


class TrainingError(ValueError):
    """A run cannot go on; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and for how long a recipe runs."""

    folder: Path  #: state and log; a run goes on from what is there
    device: str = "cpu"
    nuclei: Path | None = None  #: folder of the dsb2018 set
    workers: int = 1  #: processes that make samples
    minutes: float = math.inf  #: stop after this long, to go on later
    save_every: float = 5.0  #: minutes between checkpoints


class Trainee(nn.Module):
    """Everything that is trained: the model, and the heads for its dense targets."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.model = SAM2(config)
        self.heads = DenseHeads(config.d_model)


class Trainer:
    """Runs a recipe, stage after stage, from the last checkpoint if there is one.

    Parameters
    ----------
    recipe : Recipe
    options : RunOptions
    """

    def __init__(self, recipe: Recipe, options: RunOptions) -> None:
        self.recipe = recipe
        self.options = options
        self.device = torch.device(options.device)
        options.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.config = load_config(recipe.model)
        self.parts = self._build(self.config.image_size)
        initialize(self.parts.model)
        self.average = {k: v.clone() for k, v in self.parts.state_dict().items()}
        self.stage_index, self.step = 0, 0
        self.optimizer: torch.optim.Optimizer | None = None
        self._restored: dict[str, Any] | None = None  # state of the optimizer to go on with
        self.seconds = 0.0
        self.non_finite = 0  # steps that were passed over for their gradient, in all
        self._non_finite_in_a_row = 0
        self._restore()

    def run(self) -> bool:
        """Train; return whether the recipe is finished, rather than the time over.

        However it ends, also by an interrupt, the state is saved and the next run goes on.
        """
        deadline = time.monotonic() + 60 * self.options.minutes
        while self.stage_index < len(self.recipe.stages):
            try:
                finished = self._run_stage(self.recipe.stages[self.stage_index], deadline)
            finally:
                self.save()
            if not finished:
                return False
            self.stage_index, self.step, self.optimizer = self.stage_index + 1, 0, None
            self._restored = None
        self.save()
        self.export(self.options.folder / self.config.checkpoint)
        return True

    def export(self, path: Path) -> None:
        """Write the averaged weights of the model as half-precision safetensors."""
        prefix = "model."
        weights = {
            key.removeprefix(prefix): value.half().cpu().contiguous()
            for key, value in self.average.items()
            if key.startswith(prefix)
        }
        write_whole(path, lambda partial: save_file(weights, partial))

    def save(self) -> None:
        """Write everything needed to go on; beside the last checkpoint, then over it.

        While steps give nothing finite the last checkpoint, of a time when they did, stays.
        """
        if self._non_finite_in_a_row:
            return
        state = {
            "parts": self.parts.state_dict(),
            "average": self.average,
            "stage": self.stage_index,
            "step": self.step,
            "optimizer": self.optimizer.state_dict() if self.optimizer else self._restored,
            "seconds": self.seconds,
            "non_finite": self.non_finite,
            "recipe": {"model": self.recipe.model, "stages": self.recipe.outline()},
        }
        write_whole(self._state_path, lambda partial: torch.save(state, partial))

    @property
    def _state_path(self) -> Path:
        return self.options.folder / "state.pt"

    def _build(self, image_size: int) -> Trainee:
        return Trainee(dataclasses.replace(self.config, image_size=image_size))

    def _restore(self) -> None:
        if not self._state_path.is_file():
            return
        try:
            state = torch.load(self._state_path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
            raise TrainingError(
                f"{self._state_path} cannot be read as the state of a run; is it complete? "
                f"Move it away to begin anew ({error})."
            ) from error
        self._check_recipe(state)
        self.parts.load_state_dict(state["parts"])
        self.average = state["average"]
        self.stage_index, self.step = state["stage"], state["step"]
        self._restored = state["optimizer"]
        self.seconds = state["seconds"]
        self.non_finite = state.get("non_finite", 0)

    def _check_recipe(self, state: dict[str, Any]) -> None:
        """Refuse a state whose stage and step are those of another recipe.

        Rates, lengths and the stages to come may be changed while a run is stopped.
        """
        begun = state.get("recipe")
        if begun is None:  # written before states named their recipe
            return
        if begun["model"] != self.recipe.model:
            raise TrainingError(
                f"{self._state_path} is of a run for {begun['model']}, but the recipe is for "
                f"{self.recipe.model}. Give the run a folder of its own."
            )
        # Of a run that was finished, no stage is under way; it may go on with further ones.
        count = min(state["stage"] + 1, len(begun["stages"]))
        before, now = begun["stages"][:count], self.recipe.outline()[:count]
        if before != now:
            raise TrainingError(
                f"{self._state_path} has come through the stages {before}, but the recipe "
                f"begins with {now}. Give the run a folder of its own, or the recipe it was "
                "begun with."
            )

    def _run_stage(self, stage: Stage, deadline: float) -> bool:
        """Train one stage; return whether it was finished before the deadline."""
        parts = self._build(stage.image_size)
        parts.load_state_dict(self.parts.state_dict())
        self.parts = parts.to(self.device).train()
        freeze(self.parts.model, stage.still)
        self.average = {k: v.to(self.device) for k, v in self.average.items()}
        self.optimizer = optimizer = self._make_optimizer(stage)
        samples = self._samples(stage)
        if self.step == 0 and self._follows_dense():
            self._level(next(samples))
        log = TrainingLog(self.options.folder / "log.csv")
        saved = time.monotonic()
        with tqdm(initial=self.step, total=stage.steps, desc=stage.name) as bar:
            while self.step < stage.steps:
                begun = time.monotonic()
                result = self._train(stage, optimizer, next(samples))
                self.step += 1
                self.seconds += time.monotonic() - begun
                if result is not None:
                    log.add(result)
                    bar.set_postfix(log.shown())
                bar.update()
                if self.step % 100 == 0:
                    log.write(stage.name, self.step, self.seconds, self.non_finite)
                if time.monotonic() > deadline:
                    return False
                if time.monotonic() - saved > 60 * self.options.save_every:
                    self.save()
                    saved = time.monotonic()
        return True

    def _follows_dense(self) -> bool:
        stages = self.recipe.stages
        before = stages[self.stage_index - 1].kind if self.stage_index else ""
        return before == "dense" != stages[self.stage_index].kind

    def _level(self, batch: Sample) -> None:
        """Go on from the averaged weights, with features of unit size."""
        self.parts.load_state_dict(self.average)
        pixels = normalize(batch.images.flatten(0, 1).to(self.device))
        level(self.parts.model.image_encoder, self.parts.heads, pixels)
        self.average = {k: v.clone() for k, v in self.parts.state_dict().items()}

    def _train(
        self, stage: Stage, optimizer: torch.optim.Optimizer, batch: Sample
    ) -> StepResult | None:
        """Take one step; None if the batch had nothing to learn from.

        Raises
        ------
        TrainingError
            If many steps in a row gave no finite gradient.
        """
        batch = Sample(*(x.to(self.device, non_blocking=True) for x in batch))
        seed = self.recipe.seed + 1_000_003 * self.stage_index + self.step
        generator = torch.Generator().manual_seed(seed)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _schedule(stage, self.step)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            result = self._loss(stage, batch, generator)
        if result is None:
            return None
        result.loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parts.parameters(), self.recipe.clip)
        if not norm.isfinite():
            self._pass_over(stage)
            return None
        self._non_finite_in_a_row = 0
        optimizer.step()
        self._update_average()
        return result

    def _pass_over(self, stage: Stage) -> None:
        self.non_finite += 1
        self._non_finite_in_a_row += 1
        if self._non_finite_in_a_row >= MAX_NON_FINITE:
            raise TrainingError(
                f"{MAX_NON_FINITE} steps in a row gave no finite gradient, up to step "
                f"{self.step} of stage {stage.name!r}. {self._state_path} holds the last good "
                "state, and the same command goes on from there; if it comes to this again, "
                "lower the learning rate of the stage."
            )

    def _loss(self, stage: Stage, batch: Sample, generator: torch.Generator) -> StepResult | None:
        model, heads = self.parts.model, self.parts.heads
        if stage.kind == "dense":
            return dense_step(model, heads, batch)
        step = image_step if stage.kind == "images" else sequence_step
        return step(model, heads, batch, stage.options, generator)

    @torch.no_grad()
    def _update_average(self) -> None:
        done = self.step + 1 + sum(stage.steps for stage in self.recipe.stages[: self.stage_index])
        decay = min(self.recipe.average, done / (done + 10))
        for key, value in self.parts.state_dict().items():
            self.average[key].lerp_(value, 1 - decay)

    def _make_optimizer(self, stage: Stage) -> torch.optim.Optimizer:
        trunk_rate = stage.trunk_learning_rate
        if trunk_rate is None:
            trunk_rate = stage.learning_rate
        groups = parameter_groups(
            self.parts.named_parameters(),
            lambda name: trunk_rate if "image_encoder" in name else stage.learning_rate,
            self.recipe.weight_decay,
        )
        optimizer = torch.optim.AdamW([{**group} for group in groups], fused=True)
        if self._restored is not None:
            optimizer.load_state_dict(self._restored)
            # The recipe has the last word, also on a run that goes on.
            for own, wanted in zip(optimizer.param_groups, groups, strict=True):
                own |= {name: wanted[name] for name in ("peak", "weight_decay")}
        return optimizer

    def _samples(self, stage: Stage) -> Iterator[Sample]:
        options = StreamOptions(
            size=stage.image_size,
            n_frames=stage.n_frames,
            # A run that goes on sees new samples, not the first ones again.
            seed=self.recipe.seed + 7919 * self.stage_index + self.step,
            nuclei=self.options.nuclei if stage.n_frames == 1 else None,
            nuclei_share=stage.nuclei_share,
            kept_out=self.recipe.kept_out_stems(),
            echo=stage.echo,
            zoom=stage.zoom,
            nuclei_zoom=stage.nuclei_zoom,
            around=stage.around,
            hiding=stage.hiding,
        )
        return batches(options, stage.batch_size, self.options.workers)


def _schedule(stage: Stage, step: int) -> float:
    rise = min(1.0, (step + 1) / WARM_UP)
    if not stage.decay:
        return rise
    return rise * (0.01 + 0.99 * (1 + math.cos(math.pi * step / stage.steps)) / 2)
