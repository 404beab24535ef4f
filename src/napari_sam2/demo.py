"""The whole way on example data: segment an image, track a time-lapse, show how well."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage import data
from tqdm import tqdm

from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.results.exports import overlay, save_animation, save_picture, save_stack
from napari_sam2.session import Session
from napari_sam2.training.synthetic import Modality, SceneOptions, generate_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_sam2.session import Settings

#: Clicks on single coins of scikit-image's picture of Greek coins from Pompeii.
COINS = ((50, 40), (50, 100), (115, 330), (190, 190), (260, 50), (265, 290))

#: Fluorescent nuclei that drift, grow and divide.
NUCLEI = SceneOptions(size=(320, 320), n_frames=20, modality=Modality.FLUORESCENCE)
SEED = 4  #: of the generated time-lapse
MIN_AREA = 150  #: pixels of the smallest object that is followed
MAX_OBJECTS = 8  #: followed


@dataclass(frozen=True, slots=True)
class TimeLapse:
    """Generated frames and their truth."""

    images: np.ndarray  #: (T, Y, X), uint8
    labels: np.ndarray  #: (T, Y, X), int32


def make_time_lapse(options: SceneOptions = NUCLEI, seed: int = SEED) -> TimeLapse:
    """Generate microscopy that moves; always the same for the same options and seed."""
    scene = generate_scene(options, torch.Generator().manual_seed(seed), "cpu")
    images = (scene.images[:, 0] * 255).round().to(torch.uint8)
    return TimeLapse(images.numpy(), scene.labels.numpy())


def run_demo(folder: Path, model: str, settings: Settings, say: Callable[[str], None]) -> Session:
    """Segment and track the example data, tell the scores, write the results.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of an earlier demo in it are replaced.
    model : str
    settings : Settings
    say : callable
        Takes each line of the report.

    Returns
    -------
    Session
        Of the time-lapse.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for line in _segment_coins(folder, model, settings):
        say(line)
    lapse = make_time_lapse()
    session = Session(lapse.images, model, settings=settings)
    for line in _track(session, lapse.labels):
        say(line)
    _write_time_lapse(folder, session)
    say(f"Results are in {folder.resolve()}")
    return session


def _segment_coins(folder: Path, model: str, settings: Settings) -> Iterator[str]:
    session = Session(data.coins(), model, settings=settings)
    for number, click in enumerate(COINS, start=1):
        coin = session.add_object(f"coin {number}")
        session.add_points(coin, frame=0, points=[click])
        found = session.segment(coin, 0)
        session.accept(found)
        yield f"coin {number}: {found.best.area} pixels, predicted IoU {found.best.iou:.2f}"
    save_stack(folder / "coins_labels.tif", session.labels)
    save_picture(folder / "coins.png", overlay(session.source.read(0), session.labels))


def _track(session: Session, truth: np.ndarray) -> Iterator[str]:
    """Click the larger objects of the first frame, follow them, and compare."""
    targets = find_targets(truth[0], MIN_AREA)[:MAX_OBJECTS]
    for target in targets:
        cell = session.add_object(f"nucleus {target.object_id}")
        session.add_points(cell, frame=0, points=[target.click])
    begun = time.perf_counter()
    for _ in tqdm(session.propagate(), total=session.n_frames, unit="frame", desc="tracking"):
        pass
    seconds = time.perf_counter() - begun
    for cell, target in enumerate(targets, start=1):
        ious = list(_ious(session.labels == cell, truth == target.object_id))
        yield f"nucleus {cell}: mean IoU {np.mean(ious):.2f} over {len(ious)} frames"
    rate = session.n_frames / seconds
    yield f"{len(targets)} objects, {session.n_frames} frames: {rate:.1f} frames a second"


def _write_time_lapse(folder: Path, session: Session) -> None:
    save_stack(folder / "time_lapse.tif", np.asarray(session.source.data))
    save_stack(folder / "time_lapse_labels.tif", session.labels)
    pictures = [
        overlay(session.source.read(frame), session.labels[frame])
        for frame in range(session.n_frames)
    ]
    save_picture(folder / "time_lapse.png", pictures[-1])
    save_animation(folder / "time_lapse.gif", pictures)


def _ious(found: np.ndarray, truth: np.ndarray) -> Iterator[float]:
    """Compare frame by frame, as long as the object is there."""
    for one, other in zip(found, truth, strict=True):
        if other.any():
            yield float((one & other).sum() / (one | other).sum())
