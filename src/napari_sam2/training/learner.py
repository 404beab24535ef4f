"""A model that learns from views: steps that survive a lack of memory, averaged weights, state."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2.predictors.batches import DeviceMemoryError, is_out_of_memory
from napari_sam2.predictors.heap import free
from napari_sam2.training.adapt import adapt, learning_groups, learnt_weights, recompute
from napari_sam2.training.datasets import Sample
from napari_sam2.training.loading import load_optimizers
from napari_sam2.training.steps import StepOptions, image_step, sequence_step
from napari_sam2.training.trainer import TrainingError
from napari_sam2.training.views import collate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.training.finetune_options import FineTuneOptions

WARM_UP = 20  #: steps over which the learning rate rises
AVERAGE = 0.98  #: decay of the moving average of the weights, a step
CLIP = 1.0  #: largest norm of the gradient
MAX_NON_FINITE = 20  #: steps in a row without a finite gradient, until a run gives up
SMOOTHING = 0.9  #: of the loss, a step


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is computed at once; the gradient of a step is the same, or nearly."""

    views: int  #: of a batch
    objects: int  #: of a view
    recompute: bool = False  #: whether the trunk is computed again for its gradients

    def less(self) -> Budget | None:
        """Give the next smaller one; None if there is none."""
        if self.views > 1:
            return replace(self, views=self.views // 2)
        if not self.recompute:
            return replace(self, recompute=True)
        if self.objects > 1:
            return replace(self, objects=self.objects // 2)
        return None


class Learner:
    """Takes steps.

    Parameters
    ----------
    model : SAM2
        Changed in place.
    options : FineTuneOptions
    """

    def __init__(self, model: SAM2, options: FineTuneOptions) -> None:
        self.model = model.train()
        self._options = options
        adapt(model, options.learning, rank=options.rank, seed=options.seed)
        self.budget = Budget(
            views=options.batch_size, objects=options.objects, recompute=options.recompute
        )
        groups = learning_groups(
            model, options.learning_rate, options.rate_of_trunk, options.weight_decay
        )
        load_optimizers()
        self._optimizer = torch.optim.AdamW(groups)
        #: What is measured and kept, by the names of the checkpoint.
        self.average = {name: w.clone() for name, w in learnt_weights(model).items()}
        self.loss: float | None = None  # smoothed
        #: False while weights are being changed: what is there then is of no step.
        self.is_whole = True
        self._non_finite_in_a_row = 0
        self._apply_budget()

    def learn(self, step: int, samples: Sequence[Sample]) -> str:
        """Take one step; less is computed at once where memory runs out, also from then on.

        Returns
        -------
        str
            What the user should know; empty as a rule.

        Raises
        ------
        DeviceMemoryError
            If there is no room for one object of one view.
        TrainingError
            If many steps in a row gave no finite gradient.
        """
        remark = ""
        while not self._try(step, samples):
            free(self.model.device)
            smaller = self.budget.less()
            if smaller is None:
                raise DeviceMemoryError(
                    f"There is not enough memory on {self.model.device} to learn from one object "
                    "of one view. Begin with a smaller model, or learn on another device."
                )
            self.budget = smaller
            self._apply_budget()
            remark = (
                f"Memory ran out: from here on {smaller.views} views and {smaller.objects} "
                "objects of each are computed at once."
            )
        return remark

    def state(self) -> dict[str, Any]:
        """Give everything that is needed to go on."""
        trained = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
        return {
            "trained": trained,
            "average": self.average,
            "optimizer": self._optimizer.state_dict(),
            "loss": self.loss,
            "budget": [self.budget.views, self.budget.objects, self.budget.recompute],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        device, parameters = self.model.device, dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in state["trained"].items():
                parameters[name].copy_(value)
        self.average = {name: value.to(device) for name, value in state["average"].items()}
        self._optimizer.load_state_dict(state["optimizer"])
        self.loss = state["loss"]
        views, objects, again = state["budget"]
        self.budget = Budget(views=views, objects=objects, recompute=again)
        self._apply_budget()

    def _apply_budget(self) -> None:
        if self.budget.recompute:
            recompute(self.model)

    def _try(self, step: int, samples: Sequence[Sample]) -> bool:
        """Take a step; return whether there was memory for it."""
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(step, self._options.steps)
        self._optimizer.zero_grad(set_to_none=True)
        try:
            loss = self._add_gradients(step, samples)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._optimizer.zero_grad(set_to_none=True)
            return False
        if loss is not None:
            self._go_down(loss)
        return True

    def _add_gradients(self, step: int, samples: Sequence[Sample]) -> float | None:
        """Give the loss; None if there was nothing to learn from."""
        total, size = None, self.budget.views
        options = StepOptions(objects=self.budget.objects)
        for begin in range(0, len(samples), size):
            batch = collate(samples[begin : begin + size])
            batch = Sample(*(x.to(self.model.device) for x in batch))
            seed = self._options.seed + 1_000_003 * step + begin
            generator = torch.Generator().manual_seed(seed)
            take = image_step
            if batch.labels.shape[1] > 1:
                take, options = sequence_step, StepOptions(objects=max(self.budget.objects // 2, 1))
            with _fast_attention(self.model.device):
                with _autocast(self.model.device):
                    result = take(self.model, None, batch, options, generator)
                if result is None:
                    continue
                share = len(batch.labels) / len(samples)
                (share * result.loss).backward()
            total = (total or 0.0) + share * float(result.loss.detach())
        return total

    def _go_down(self, loss: float) -> None:
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        if not norm.isfinite():
            self._non_finite_in_a_row += 1
            if self._non_finite_in_a_row >= MAX_NON_FINITE:
                raise TrainingError(
                    f"{MAX_NON_FINITE} steps in a row gave no finite gradient. Lower the learning "
                    "rate, and begin anew."
                )
            return
        self._non_finite_in_a_row = 0
        self.is_whole = False
        self._optimizer.step()
        self.loss = loss if self.loss is None else SMOOTHING * self.loss + (1 - SMOOTHING) * loss
        with torch.no_grad():
            for name, value in learnt_weights(self.model).items():
                self.average[name].lerp_(value, 1 - AVERAGE)


def schedule(step: int, steps: int) -> float:
    """Give the share of the learning rate at a step: a quick rise, then down by a cosine."""
    rise = min(1.0, (step + 1) / min(WARM_UP, max(steps // 5, 1)))
    return rise * (0.02 + 0.98 * (1 + math.cos(math.pi * min(step / steps, 1))) / 2)


def copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy weights to the computer's own memory."""
    return {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}


def _fast_attention(device: torch.device) -> AbstractContextManager[None]:
    # By plain products, as the gradient takes half as long on a CPU in single precision.
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _autocast(device: torch.device) -> Any:
    # Single precision but on CUDA: few CPUs are faster in half.
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
