"""Semi-supervised video segmentation: first masks in, masks of all frames out.

Does what Meta's ``vos_inference`` does, with each frame written as soon as it is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.evaluation.mask_files import MaskFolder
from napari_sam2.model.sam2 import NO_OBJECT
from napari_sam2.predictors.meta.video_frames import JpegFolder
from napari_sam2.predictors.postprocess import without_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_sam2.predictors.meta.video import SAM2VideoPredictor

Given = dict[int, dict[int, np.ndarray]]  #: masks (H, W), bool, by object and frame


@dataclass(frozen=True, kw_only=True)
class VosOptions:
    """What is given, and how results are written."""

    score_threshold: float = 0.0  #: logits above it are the object
    every_mask: bool = False  #: use all masks there are, rather than each object's first
    appear_later: bool = False  #: whether objects may begin after the first frame


def find_videos(videos: Path, masks: Path, only: Sequence[str] | None = None) -> list[str]:
    """Give the names of the videos that have frames and masks.

    Raises
    ------
    ValueError
        If there are none, or a video that was asked for is missing.
    """
    for folder in (videos, masks):
        if not folder.is_dir():
            raise ValueError(f"There is no folder {folder}.")
    there = {
        child.name for child in videos.iterdir() if child.is_dir() and (masks / child.name).is_dir()
    }
    if missing := sorted(set(only or ()) - there):
        raise ValueError(f"{missing} are not in both {videos} and {masks}.")
    if not there:
        raise ValueError(f"No folder is in both {videos} and {masks}; expected one for each video.")
    return sorted(only or there)


def segment_video(
    predictor: SAM2VideoPredictor, frames: Path, masks: Path, out: Path, options: VosOptions
) -> Iterator[str]:
    """Follow the objects whose masks are given through one video.

    Each object is tracked from the first of its masks on, as if it were alone.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    frames : Path
        Folder of JPEGs, ``<number>.jpg``.
    masks : Path
        The given masks, in either layout of `MaskFolder`; results are written in the same.
    out : Path
        Folder for results, ``<number>.png`` or ``<object>/<number>.png``.
    options : VosOptions

    Yields
    ------
    str
        The name of each frame, when it has been written.

    Raises
    ------
    ValueError
        If there are no masks, or objects appear only later.
    """
    names = JpegFolder(frames).names
    folder = MaskFolder(masks)
    per_object = folder.per_object
    given = _given(folder, names, options)
    state = predictor.init_state(frames)
    shape = (state.video_height, state.video_width)
    for number, by_frame in given.items():
        for frame, mask in by_frame.items():
            predictor.add_new_mask(state, frame, number, mask)
    predictor.propagate_in_video_preflight(state)
    begins = {number: min(by_frame) for number, by_frame in given.items()}
    results = MaskFolder(out)
    for frame, name in enumerate(names):
        begun = [number for number in given if begins[number] <= frame]
        logits = torch.full((len(given), 1, *shape), NO_OBJECT)
        if begun:
            found = predictor.step(state, begun, frame).cpu()
            logits[[list(given).index(number) for number in begun]] = found
        if not per_object:
            logits = without_overlap(logits)
        found_masks = {
            number: (one[0] > options.score_threshold).numpy()
            for number, one in zip(given, logits, strict=True)
        }
        results.write(name, found_masks, shape, per_object=per_object)
        yield name


def _given(folder: MaskFolder, names: list[str], options: VosOptions) -> Given:
    """Read the masks to begin with, by object and frame."""
    given: Given = {}
    for frame, name in enumerate(names):
        if frame and not (options.appear_later or options.every_mask):
            break
        for number, mask in folder.read(name).items():
            _add(given, number, frame, mask, options)
    if not given:
        raise ValueError(
            f"No masks in {folder.path} to begin with"
            + ("." if options.appear_later else " on the first frame; may objects appear later?")
        )
    late = _late(given)
    if late and not options.appear_later:
        raise ValueError(
            f"In {folder.path}, objects {late} appear after the first frame. Say that objects "
            "may appear later to have them followed from there."
        )
    return dict(sorted(given.items()))


def _add(given: Given, number: int, frame: int, mask: np.ndarray, options: VosOptions) -> None:
    if options.appear_later and not mask.any():
        return
    known = given.setdefault(number, {})
    if options.every_mask or not known:
        known[frame] = mask


def _late(given: Mapping[int, Mapping[int, np.ndarray]]) -> list[int]:
    first = min(min(by_frame) for by_frame in given.values())
    return sorted(number for number, by_frame in given.items() if min(by_frame) > first)
