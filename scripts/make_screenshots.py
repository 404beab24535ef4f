"""Take the pictures of the documentation, in a real window, while the story of the tests is told.

Needs a display, or: ``xvfb-run -s "-screen 0 1600x1000x24 +extension GLX" python
scripts/make_screenshots.py``, and the package with its extras ``qt`` and ``test``. Nothing in
the pictures is drawn by hand but the pointer of the mouse in the film.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import napari
import torch
from napari.settings import get_settings

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / room) for room in ("controls", "walk")]

from cameras import Album, Film  # noqa: E402
from story import FILMED, Story  # noqa: E402

FILM_SIZE = (860, 620)  #: pixels


def main() -> None:
    """Take all pictures, then the film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800), help="of the window")
    parser.add_argument("--only", choices=("pictures", "film"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    get_settings().appearance.theme = arguments.theme
    if arguments.only != "film":
        album = Album(arguments.folder)
        tell(camera=album, size=arguments.size)
    if arguments.only != "pictures":
        film = Film()
        tell(FILMED, camera=film, size=FILM_SIZE, is_bare=True)
        film.save(arguments.folder / "walk.webp")


def tell(*chapters, **options) -> None:
    """Tell the story in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        # Neither offer the user's unsaved work, nor leave any.
        os.environ["NAPARI_SAM2_AUTOSAVE"] = str(Path(folder) / "autosave")
        story = Story(Path(folder), open_window, n_boxes=3, **options)
        try:
            list(story.tell(*chapters))
        finally:
            story.close()


def open_window() -> napari.Viewer:
    """Open an empty window."""
    return napari.Viewer(show=True, show_welcome_screen=False)


if __name__ == "__main__":
    main()
