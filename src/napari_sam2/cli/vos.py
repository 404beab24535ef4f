"""``napari-sam2 vos`` and ``vos-score``: the benchmarks of video object segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli.compute import chosen_model, compute_options

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands


def add_command(commands: Commands) -> None:
    """Add the commands to the parser."""
    vos = commands.add_parser(
        "vos",
        parents=[compute_options(field=False)],
        help="follow the masks of first frames through a folder of videos",
    )
    vos.add_argument("videos", type=Path, help="a folder of JPEGs, <number>.jpg, for each video")
    vos.add_argument(
        "masks",
        type=Path,
        help="given masks, a folder for each video: <frame>.png with all objects (DAVIS), or "
        "<object>/<frame>.png (SA-V); results are written alike",
    )
    vos.add_argument("--out", type=Path, required=True, help="folder for results")
    vos.add_argument("--only", nargs="+", metavar="VIDEO", help="names of videos; else all")
    vos.add_argument(
        "--every-mask", action="store_true", help="use all given masks, not each object's first"
    )
    vos.add_argument(
        "--appear-later", action="store_true", help="objects may begin after the first frame"
    )
    vos.add_argument(
        "--postprocess",
        action="store_true",
        help="fill holes, and let the best of three masks replace unstable ones; benchmarks do not",
    )
    vos.add_argument("--threshold", type=float, default=0.0, help="logits above it are the object")
    _add_scoring(vos)
    vos.add_argument("--truth", type=Path, help="folder of true masks, to score the results")
    vos.set_defaults(run=_vos)

    score = commands.add_parser("vos-score", help="J, F and J&F of masks of videos")
    score.add_argument("truth", type=Path, help="folder of true masks, as DAVIS or SA-V have them")
    score.add_argument("found", type=Path, help="folder of masks that were found")
    score.add_argument("--some", action="store_true", help="not all videos need be in both")
    _add_scoring(score)
    score.set_defaults(run=_score)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--with-ends",
        action="store_true",
        help="score the first and last annotated frame too, which benchmarks leave out",
    )


def _vos(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from napari_sam2.model.checkpoint import weights_of
    from napari_sam2.model.config import load_config
    from napari_sam2.predictors.device import choose_precision
    from napari_sam2.predictors.meta.build import build_sam2_video_predictor
    from napari_sam2.predictors.meta.video_frames import JpegFolder
    from napari_sam2.vos import VosOptions, find_videos, segment_video

    model, size = chosen_model(options), options.image_size
    sizes = [] if size is None else [f"++model.image_size={size}"]
    predictor = build_sam2_video_predictor(
        model,
        options.checkpoint or weights_of(load_config(model)),
        options.device,
        apply_postprocessing=options.postprocess,
        vos_optimized=options.compile,
        hydra_overrides_extra=sizes,
    )
    predictor.precision = choose_precision(options.precision, predictor.device)
    rules = VosOptions(
        score_threshold=options.threshold,
        every_mask=options.every_mask,
        appear_later=options.appear_later,
    )
    for name in find_videos(options.videos, options.masks, options.only):
        frames, out = options.videos / name, options.out / name
        steps = segment_video(predictor, frames, options.masks / name, out, rules)
        for _ in tqdm(steps, total=len(JpegFolder(frames)), unit="frame", desc=name):
            pass
    print(f"Masks are in {options.out.resolve()}")
    if options.truth:
        _report(options.truth, options.out, strict=not options.only, ends=options.with_ends)


def _score(options: argparse.Namespace) -> None:
    _report(options.truth, options.found, strict=not options.some, ends=options.with_ends)


def _report(truth: Path, found: Path, *, strict: bool, ends: bool) -> None:
    """Print the scores, and write them beside the masks that were found."""
    from napari_sam2.evaluation.video_benchmark import score_videos, table, write_results

    scores = list(score_videos(truth, found, skip_ends=not ends, strict=strict))
    for line in table(scores):
        print(line)
    print(f"Scores are in {write_results(found, scores)}")
