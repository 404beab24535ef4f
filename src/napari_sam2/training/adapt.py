"""Which parts of a model learn, and how: whole, frozen, or by low-rank changes (LoRA)."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_sam2.model.sam2 import SAM2

Learning = Literal["frozen", "lora", "all"]


class LowRank(nn.Module):
    """A change of a matrix by the product of two narrow ones (Hu et al. 2021, LoRA).

    torch's own parametrization holds it, so that modules keep their names and kinds, and the
    changed weights are read like any others.

    Parameters
    ----------
    weight : Tensor, shape (outputs, inputs)
        What is changed; the change begins as nothing.
    rank : int
    generator : torch.Generator
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        bound = 1 / math.sqrt(inputs)
        down = (2 * torch.rand(rank, inputs, generator=generator) - 1) * bound
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        changed: Tensor = weight + self.up @ self.down
        return changed


def freeze(model: SAM2, parts: Iterable[str]) -> None:
    """Have parts of a model stay as they are, by their names in it.

    Raises
    ------
    ValueError
        If the model has no such part.
    """
    by_part: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        by_part.setdefault(name.split(".")[0], []).append(parameter)
    for part in parts:
        if part not in by_part:
            raise ValueError(f"The model has no part {part!r} to freeze; it has {list(by_part)}.")
        for parameter in by_part[part]:
            parameter.requires_grad_(False)


def adapt(model: SAM2, learning: Learning, *, rank: int = 8, seed: int = 0) -> None:
    """Choose what of a model learns.

    Parameters
    ----------
    model : SAM2
        Changed in place.
    learning : {"frozen", "lora", "all"}
        Whether the image trunk stays as it is, has the matrices of its blocks changed by
        products of `rank`, or learns like everything else. The rest learns in any case.
    rank : int
    seed : int
        Of what the products begin with.

    Raises
    ------
    ValueError
        If there is no such way, or no such rank.
    """
    if learning not in get_args(Learning):
        raise ValueError(
            f"There is no way {learning!r} to learn: choose from {get_args(Learning)}."
        )
    if rank < 1:
        raise ValueError(f"The rank of a change is 1 or more, got {rank}.")
    model.requires_grad_(True)
    # In the checkpoints, but read by nothing, or not changed by what is learnt from.
    model.no_mem_pos_enc.requires_grad_(False)
    trunk = model.image_encoder.trunk
    if learning != "all":
        trunk.requires_grad_(False)
    if learning == "lora":
        generator = torch.Generator().manual_seed(seed)
        for module in list(trunk.blocks.modules()):
            if isinstance(module, nn.Linear):
                change = LowRank(module.weight, rank, generator)
                parametrize.register_parametrization(module, "weight", change, unsafe=True)


def learnt_weights(model: nn.Module) -> dict[str, Tensor]:
    """Give the weights that learning may have changed, under the names of the checkpoint.

    Changes by products are worked in.
    """
    weights = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        owner, found, _ = name.partition(".parametrizations.")
        if found:
            module = cast("nn.Linear", model.get_submodule(owner))
            weights[f"{owner}.weight"] = module.weight.detach()
        else:
            weights[name] = parameter.detach()
    return weights


def recompute(model: SAM2) -> None:
    """Hold less in memory: the trunk's blocks are computed again when gradients are.

    Takes about a third longer, and only where gradients reach the trunk.
    """
    for block in model.image_encoder.trunk.blocks:
        if not isinstance(block.forward, partial):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def learning_groups(
    model: SAM2, rate: float, trunk_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Sort what learns into an optimizer's groups; see `parameter_groups`."""
    learning = ((name, one) for name, one in model.named_parameters() if one.requires_grad)
    return parameter_groups(
        learning,
        lambda name: trunk_rate if name.startswith("image_encoder.trunk.") else rate,
        weight_decay,
    )


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]],
    rate_of: Callable[[str], float],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Sort parameters into an optimizer's groups, by rate and decay.

    Parameters
    ----------
    parameters : iterable of (str, nn.Parameter)
        By name.
    rate_of : callable
        Gives the learning rate of a name.
    weight_decay : float
        Of matrices. Norms, biases and lone tokens are not pulled to 0.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters:
        decay = weight_decay if parameter.ndim >= 2 and "embed" not in name else 0.0
        groups.setdefault((rate_of(name), decay), []).append(parameter)
    return [
        {"params": members, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]
