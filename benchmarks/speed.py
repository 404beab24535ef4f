"""How fast we are beside Meta's sam2 1.1.0: the same weights, the same frames, in one run.

Each row is the median over pairs of runs, one of ours after one of Meta's. Weights are random:
they do not matter for the time. Meta's runs in float32 on a CPU, and compiled
(``vos_optimized``) in bfloat16 on a GPU; needs ``sam2`` (see the Makefile), rows of the embedded
model do not. Run ``python benchmarks/speed.py`` on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))

from napari_sam2 import (
    SAM2,
    ImagePredictor,
    PointPrompt,
    SAM2ImagePredictor,
    SAM2VideoPredictor,
    Session,
    Settings,
    load_config,
)
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import PRECISIONS, Precision, autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Frames with given masks; the three tracked after them attend to 6, 7 and 8 memories.
PROMPTED, TRACKED = 6, 3
MEASURED = ["float32", "mixed", "bfloat16"]  #: precisions of ours


class Pair:
    """A model of ours and Meta's, alike, and how either computes."""

    def __init__(self, name: str, device: torch.device) -> None:
        import parity_reference as reference

        self.config = load_config(name)
        self.device = device
        self.metas_precision = torch.float32 if device.type == "cpu" else torch.bfloat16
        ours, theirs = reference.pair(self.config)
        self.ours, self.theirs = ours.to(device), theirs.to(device)
        if device.type == "cuda":
            compile_metas(self.theirs)


def compile_metas(theirs: Any) -> None:
    """Compile Meta's parts as its ``SAM2VideoPredictorVOS`` does."""
    for owner, name in (
        (theirs.memory_encoder, "forward"),
        (theirs.memory_attention, "forward"),
        (theirs.sam_prompt_encoder, "forward"),
        (theirs.sam_mask_decoder, "forward"),
        (theirs.image_encoder, "forward"),
    ):
        dynamic = owner is theirs.memory_attention
        compiled = torch.compile(
            getattr(owner, name), mode="max-autotune", fullgraph=True, dynamic=dynamic
        )
        setattr(owner, name, compiled)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--model", default="sam2.1_hiera_tiny")
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=MEASURED)
    parser.add_argument("--threads", type=int, help="of the CPU; all unless given")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"{machine(device)}; median of {options.rounds} pairs\n")
    print("| | Meta's, ms | ours, ms | times as fast |\n|---|---|---|---|", flush=True)
    for name in options.only:
        for row in ROWS[name](options, device):
            print(f"| {' | '.join(row)} |", flush=True)


def encoder(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Encode one image."""
    pair = Pair(options.model, device)
    size = pair.config.image_size
    pixels = torch.randn(1, 3, size, size, device=device)
    metas = in_precision(lambda: pair.theirs.forward_image(pixels), device, pair.metas_precision)
    for name, precision in of_frames(options).items():
        ours = in_precision(lambda: pair.ours.encode_image(pixels), device, precision)
        yield row(f"image encoder, {name}", metas, ours, options.rounds, device)


def click(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Ask for one click on an image that is set: three masks at the image's size."""
    import predictor_pairs as pairs

    pair = Pair(options.model, device)
    models = (pair.ours, pair.theirs)
    ours, theirs = pairs.image_predictors(pair.config, models=models)
    assert isinstance(ours, SAM2ImagePredictor)
    image = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    prompt = {"point_coords": np.array([[500.0, 400.0]]), "point_labels": np.array([1])}
    metas = in_precision(lambda: theirs.predict(**prompt), device, pair.metas_precision)
    with autocast(device, pair.metas_precision):
        theirs.set_image(image)
    for name, precision in of_frames(options).items():
        with autocast(device, precision):
            ours.set_image(image)
        mine = in_precision(lambda: ours.predict(**prompt), device, precision)
        yield row(f"click, {name}", metas, mine, 4 * options.rounds, device)


def video(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Follow objects, in the steady state."""
    pair = Pair(options.model, device)
    for count in options.objects:
        for name in options.precisions:
            seconds = track_both(pair, pair.ours, count, PRECISIONS[name])
            objects = f"{count} object{'s' * (count > 1)}"
            yield (f"video, {objects}, a frame, {name}", *shown(*seconds))


def approximate(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Follow objects, ours looking at half the image size."""
    pair = Pair(options.model, device)
    half = pair.config.image_size // 2
    ours = load_model(pair.ours, device=device, image_size=half)
    for count in options.objects:
        for name in options.precisions:
            seconds = track_both(pair, ours, count, PRECISIONS[name])
            objects = f"{count} object{'s' * (count > 1)}"
            yield (f"video, {objects}, a frame, {name}, ours at {half} px", *shown(*seconds))


def track_both(
    pair: Pair, model: SAM2, count: int, precision: Precision
) -> tuple[list[float], list[float]]:
    """Time Meta's and a model of ours on each of the tracked frames."""
    import parity_reference as reference

    size, n_frames = pair.config.image_size, PROMPTED + TRACKED
    numbers = torch.Generator().manual_seed(0)
    frames = torch.randn(n_frames, 3, size, size, generator=numbers)
    array = (frames.permute(0, 2, 3, 1) * 40 + 128).clamp(0, 255).byte().numpy()
    predictors = (pair.theirs, SAM2VideoPredictor(model, precision=precision))
    states = (reference.metas_state(pair.theirs, frames), predictors[1].init_state(array))
    contexts = (pair.metas_precision, torch.float32)
    steps = []
    for predictor, state, inside in zip(predictors, states, contexts, strict=True):
        for frame in range(PROMPTED):
            for number in range(count):
                mask = np.zeros((size, size), bool)
                mask[50 + 20 * number : 150 + 20 * number, 200:400] = True
                with autocast(pair.device, inside):
                    predictor.add_new_mask(state, frame, number + 1, mask)
        steps.append(predictor.propagate_in_video(state, start_frame_idx=0))
    seconds: tuple[list[float], list[float]] = ([], [])
    for frame in range(n_frames):
        for which, (step, inside) in enumerate(zip(steps, contexts, strict=True)):
            taken = seconds_of(
                in_precision(lambda step=step: next(step), pair.device, inside), pair.device
            )
            if frame >= PROMPTED:
                seconds[which].append(taken)
    return seconds


def embedded(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Time the embedded model by itself."""
    model = load_model("sam2.1_hiera_nano", device=device)
    for name in options.precisions:
        yield from embedded_in(name, model, options, device)


def embedded_in(
    precision: str, model: SAM2, options: argparse.Namespace, device: torch.device
) -> Iterator[tuple[str, ...]]:
    """Time the embedded model in one precision."""
    stack = np.random.default_rng(0).integers(0, 255, (40, 512, 512), dtype=np.uint8)
    name = f"nano, {precision}"
    predictor = ImagePredictor(model, precision=PRECISIONS[precision], field="frame")
    embedding, clicking = [], []
    for image in stack[: 4 * options.rounds]:
        predictor.set_image(image)
        first, again = (
            seconds_of(partial(predictor.predict, [PointPrompt(0, 100, column)]), device)
            for column in (200, 201)
        )
        embedding.append(first - again)
        clicking.append(again)
    yield f"{name}: embed", "", milliseconds(embedding), ""
    yield f"{name}: click", "", milliseconds(clicking), ""
    for count in (1, 10):
        settings = Settings(device=str(device), precision=precision)
        session = Session(stack, model, settings=settings)
        for number in range(count):
            cell = session.add_object()
            corner = np.array([40 + 40 * number, 30 + 42 * number])
            session.add_box(cell, 0, [*corner, *(corner + 30)])
        steps = session.propagate()
        for _ in range(9):
            next(steps)
        taken = [seconds_of(partial(next, steps), device) for _ in range(2 * options.rounds)]
        rate = 1 / statistics.median(taken)
        yield f"{name}: video, {count}, a frame", "", f"{milliseconds(taken)} ({rate:.1f}/s)", ""


ROWS: dict[str, Callable[..., Iterator[tuple[str, ...]]]] = {
    "encoder": encoder,
    "click": click,
    "video": video,
    "approximate": approximate,
    "embedded": embedded,
}


def of_frames(options: argparse.Namespace) -> dict[str, torch.dtype]:
    """Give what single frames are computed in, each once."""
    named = {PRECISIONS[name].frames: name for name in reversed(options.precisions)}
    return {name: dtype for dtype, name in reversed(named.items())}


def in_precision(
    work: Callable[[], object], device: torch.device, precision: torch.dtype
) -> Callable[[], object]:
    """Give work as it is done in a precision, without gradients."""

    def done() -> object:
        with torch.inference_mode(), autocast(device, precision):
            return work()

    return done


def row(
    name: str,
    metas: Callable[[], object],
    ours: Callable[[], object],
    rounds: int,
    device: torch.device,
) -> tuple[str, ...]:
    """Time both in turns, after a run that is not counted."""
    metas(), ours()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        seconds[0].append(seconds_of(metas, device))
        seconds[1].append(seconds_of(ours, device))
    return (name, *shown(*seconds))


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Time work until the device has done it."""
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def shown(metas: list[float], ours: list[float]) -> tuple[str, str, str]:
    """Give medians, and the median of the ratios."""
    ratio = statistics.median(m / o for m, o in zip(metas, ours, strict=True))
    return milliseconds(metas), milliseconds(ours), f"{ratio:.2f}"


def milliseconds(seconds: list[float]) -> str:
    """Give the median."""
    return f"{1000 * statistics.median(seconds):.0f}"


def machine(device: torch.device) -> str:
    """Say on what this ran."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{where}{threads}, Python {platform.python_version()}, torch {torch.__version__}"


if __name__ == "__main__":
    main()
