"""How near each part of the network comes to what the machine can do.

For each stage: its operations and the bytes that it has to move at the least (weights, input and
output, once each), over the time it takes; beside the fastest large matrix product and copy that
were measured here. Run ``python benchmarks/limits.py`` on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_sam2 import SAM2, load_config
from napari_sam2.model.sam2 import Memories, PromptTensors
from napari_sam2.predictors.device import PRECISIONS, autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRODUCT = 4096  #: edge of the matrices whose product is the peak
COPIED = 2**28  #: bytes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="sam2.1_hiera_tiny")
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()

    device = torch.device(options.device)
    model = SAM2(load_config(options.model)).to(device).eval().requires_grad_(False)
    bandwidth = copied_per_second(device, options.rounds)
    print(f"copy: {bandwidth / 1e9:.1f} GB/s, read and written\n")
    print("| stage | GFLOP | ms | TFLOP/s | of the peak | of the bandwidth |")
    print("|---|---|---|---|---|---|")
    for precision in (PRECISIONS[name].frames for name in options.precisions):
        peak = operations_per_second(precision, device, options.rounds)
        print(f"| large product, {label(precision)} | | | {peak / 1e12:.3f} | 1 | |", flush=True)
        for name, work in stages(model, options.objects, precision):
            operations, moved = count(model, work)
            taken = seconds_of(work, device, options.rounds)
            cells = (
                f"{operations / 1e9:.1f}",
                f"{1000 * taken:.0f}",
                f"{operations / taken / 1e12:.3f}",
                f"{operations / taken / peak:.2f}",
                f"{moved / taken / bandwidth:.2f}",
            )
            print(f"| {name}, {label(precision)} | {' | '.join(cells)} |", flush=True)


def stages(
    model: SAM2, objects: int, precision: torch.dtype
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give the parts of the network, each with its input."""
    config, device = model.config, model.device
    size, grid = config.image_size, config.grid_size

    def prepared(work: Callable[[], object]) -> Callable[[], object]:
        def done() -> object:
            with torch.inference_mode(), autocast(device, precision):
                return work()

        return done

    pixels = torch.randn(1, 3, size, size, device=device)
    yield "image encoder", prepared(lambda: model.encode_image(pixels))
    with torch.inference_mode(), autocast(device, precision):
        features = model.encode_image(pixels)
        logits = torch.randn(objects, 1, 4 * grid, 4 * grid, device=device)
        score = torch.ones(objects, 1, device=device)
        memory = model.encode_memory(features, logits, score, binarize=False)
        memories = Memories(
            memory[:, None].expand(-1, 7, -1, -1, -1),
            (0, 6, 5, 4, 3, 2, 1),
            torch.randn(objects, 7, config.d_model, device=device),
            torch.linspace(0, 1, 7, device=device).expand(objects, -1),
        )
        embedding = model.with_memory(features, memories)
    nothing = PromptTensors.none(objects, device)
    yield "memory attention", prepared(lambda: model.with_memory(features, memories))
    yield "mask decoder", prepared(lambda: model.decode(embedding, features, nothing))
    yield (
        "memory encoder",
        prepared(lambda: model.encode_memory(features, logits, score, binarize=False)),
    )


def count(model: SAM2, work: Callable[[], object]) -> tuple[int, int]:
    """Count operations, and the bytes of weights, input and output of the modules at work."""
    moved = 0

    def note(module: torch.nn.Module, inputs: object, output: object) -> None:
        nonlocal moved
        if not list(module.children()):
            own = [*module.parameters(recurse=False), *tensors(inputs), *tensors(output)]
            moved += sum(x.numel() * x.element_size() for x in own)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with FlopCounterMode(display=False) as counter:
            work()
    finally:
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops(), moved


def tensors(value: object) -> Iterator[torch.Tensor]:
    """Give the tensors in a tensor, or in a tuple of such."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors(one)


def operations_per_second(precision: torch.dtype, device: torch.device, rounds: int) -> float:
    """Measure a large matrix product."""
    a = torch.randn(PRODUCT, PRODUCT, device=device).to(precision)
    return 2 * PRODUCT**3 / seconds_of(lambda: a @ a, device, rounds)


def copied_per_second(device: torch.device, rounds: int) -> float:
    """Measure a large copy."""
    a = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    into = torch.empty_like(a)
    return 2 * COPIED / seconds_of(lambda: into.copy_(a), device, rounds)


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Take the median, after a run that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def label(precision: torch.dtype) -> str:
    """Name a precision."""
    return str(precision).removeprefix("torch.")


if __name__ == "__main__":
    main()
