"""Take the pictures of the README: the real plugin, in a real window, on generated nuclei.

    xvfb-run -s "-screen 0 1600x1000x24 +extension GLX" python scripts/make_screenshots.py

Uses the weights that ``NAPARI_SAM2_CACHE`` or the package hold.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import torch
from napari.settings import get_settings
from qtpy.QtTest import QTest

from napari_sam2._sample_data import nuclei

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._widget import AnnotateWidget

SIZE = (1280, 800)  #: of the window, pixels
BOXES = ((14, 122, 88, 180), (114, 88, 164, 168))  #: row0, column0, row1, column1
POINT = (242, 226)  #: row, column
LATER = 12  #: the frame that is shown after tracking
PATIENCE = 120.0  #: seconds, for one step of the model


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).parents[1]
    parser.add_argument("--folder", type=Path, default=root / "docs" / "images")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    get_settings().appearance.theme = arguments.theme
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*SIZE)
    try:
        take_pictures(viewer, arguments.folder)
    finally:
        viewer.close()


def take_pictures(viewer: napari.Viewer, folder: Path) -> None:
    """Prompt, preview, track, and save the window at each stage."""
    ((images, _, _),) = nuclei()
    viewer.add_image(images, name="nuclei", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    QTest.qWait(500)  # the dock takes room from the image
    viewer.reset_view()
    prompt(viewer, widget)
    save(viewer, folder / "dock.png")
    widget.annotator.propagate()
    wait_for(widget.panels.track.propagate_button.isEnabled)
    viewer.dims.set_point(0, LATER)
    save(viewer, folder / "tracked.png")


def prompt(viewer: napari.Viewer, widget: AnnotateWidget) -> None:
    """Draw two boxes, which make two objects, and click a third."""
    said = widget.panels.status.label
    widget.panels.prompts.tools["box"].click()
    for row0, column0, row1, column1 in BOXES:
        viewer.layers["SAM 2 shapes"].add_rectangles(
            [
                [0, r, c]
                for r, c in ((row0, column0), (row0, column1), (row1, column1), (row1, column0))
            ]
        )
    wait_for(lambda: "predicted IoU" in said.text())
    widget.panels.prompts.tools["point"].click()
    widget.panels.objects.new_button.click()
    viewer.layers["SAM 2 points"].add([0, *POINT])
    wait_for(lambda: "object 3" in said.text())


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
