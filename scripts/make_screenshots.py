"""Take the pictures of the README: the real plugin, in a real window, on generated nuclei.

    python scripts/with_display.py python scripts/make_screenshots.py

Uses the embedded weights unless told otherwise (``--weights``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
import torch
from napari.settings import get_settings
from qtpy.QtTest import QTest

from napari_sam2.evaluation.prompting import find_targets
from napari_sam2.model.checkpoint import load_model
from napari_sam2.training.synthetic import Modality, SceneOptions, generate_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._widget import AnnotateWidget
    from napari_sam2.evaluation.prompting import Target

WINDOW = (1280, 800)  #: pixels
SCENE = SceneOptions(
    size=(344, 280),
    n_frames=16,
    modality=Modality.FLUORESCENCE,
    diameters=(30.0, 56.0),
    coverage=0.22,
)
SEED = 11  #: of the scene
MARGIN = 3  #: pixels; around boxes, and between objects and the edge
N_OBJECTS = 7
N_BOXES = 2  #: so many of them get a box, the others a click
LATER = 10  #: the frame that is shown after tracking
PATIENCE = 300.0  #: seconds, for one step of the model


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).parents[1]
    parser.add_argument("--folder", type=Path, default=root / "docs" / "images")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--weights", type=Path, help="for sam2.1_hiera_nano, not the embedded ones")
    parser.add_argument("--seed", type=int, default=SEED, help="of the scene")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    # Neither offer the user's unsaved work, nor leave any.
    os.environ["NAPARI_SAM2_AUTOSAVE"] = tempfile.mkdtemp()
    get_settings().appearance.theme = arguments.theme
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    try:
        take_pictures(viewer, arguments)
    finally:
        viewer.close()


def take_pictures(viewer: napari.Viewer, arguments: argparse.Namespace) -> None:
    """Prompt, preview, track, and save the window at each stage."""
    scene = generate_scene(SCENE, torch.Generator().manual_seed(arguments.seed), "cpu")
    images = (scene.images[:, 0] * 255).round().to(torch.uint8).numpy()
    limits = (float(np.percentile(images, 1)), float(np.percentile(images, 99.7)))
    viewer.add_image(images, name="nuclei", axis_labels=("t", "y", "x"), contrast_limits=limits)
    viewer.dims.set_point(0, 0)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    if arguments.weights:
        dock.panels.model.use(load_model("sam2.1_hiera_nano", arguments.weights))
    QTest.qWait(500)  # the dock takes room from the image
    viewer.reset_view()
    prompt(viewer, dock, choose_objects(scene.labels.numpy()))
    save(viewer, arguments.folder / "dock.png")
    dock.annotator.propagate()
    wait_for(dock.panels.track.propagate_button.isEnabled)
    viewer.dims.set_point(0, LATER)
    save(viewer, arguments.folder / "tracked.png")


def choose_objects(labels: np.ndarray) -> list[Target]:
    """Choose the largest nuclei that are whole in the first frame, and there in the later one."""
    height, width = labels.shape[1:]

    def is_whole(target: Target) -> bool:
        rows, columns = target.region
        inside = min(rows.start, columns.start, height - rows.stop, width - columns.stop) > MARGIN
        return inside and bool((labels[LATER] == target.object_id).any())

    whole = filter(is_whole, find_targets(labels[0]))
    return sorted(whole, key=lambda target: -target.area)[:N_OBJECTS]


def prompt(viewer: napari.Viewer, dock: AnnotateWidget, targets: list[Target]) -> None:
    """Draw boxes, each of which makes an object, and click the others, one also beside it."""
    dock.panels.prompts.tools["box"].click()
    for target in targets[:N_BOXES]:
        rows, columns = target.region
        top, bottom = rows.start - MARGIN, rows.stop - 1 + MARGIN
        left, right = columns.start - MARGIN, columns.stop - 1 + MARGIN
        corners = ((top, left), (top, right), (bottom, right), (bottom, left))
        viewer.layers["SAM 2 shapes"].add_rectangles([[0, *corner] for corner in corners])
    wait_for_answers(dock)
    dock.panels.prompts.tools["point"].click()
    for target in targets[N_BOXES:]:
        dock.panels.objects.new_button.click()
        viewer.layers["SAM 2 points"].add([0, *target.click])
        wait_for_answers(dock)
    rows, columns = targets[-1].region
    dock.annotator.toggle_sign()
    viewer.layers["SAM 2 points"].add([0, rows.stop + MARGIN, columns.stop + MARGIN])
    wait_for_answers(dock)
    dock.annotator.toggle_sign()


def wait_for_answers(dock: AnnotateWidget) -> None:
    """Wait for the previews of all objects."""
    QTest.qWait(1000)  # they begin when the hand rests
    wait_for(lambda: not dock.annotator.is_busy)


def wait_for(condition: Callable[[], bool]) -> None:
    """Let the window work until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("The plugin has not answered; see what it says in the window.")
        QTest.qWait(50)


def save(viewer: napari.Viewer, path: Path) -> None:
    """Save the whole window once it is drawn."""
    QTest.qWait(500)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


if __name__ == "__main__":
    main()
