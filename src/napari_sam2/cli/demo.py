"""``napari-sam2 demo``: segment and track example data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli.compute import chosen_model, chosen_settings, compute_options

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands
    from napari_sam2.session import Session


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    demo = commands.add_parser(
        "demo",
        parents=[compute_options()],
        help="segment and track example data, and show how well",
    )
    demo.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for results")
    demo.add_argument("--show", action="store_true", help="open the result in napari")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from napari_sam2.demo import run_demo

    session = run_demo(options.out, chosen_model(options), chosen_settings(options), print)
    if options.show:
        show(session)


def show(session: Session) -> None:
    """Open a session of the demo in napari."""
    import napari

    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    dock.adopt(session, "time-lapse")
    napari.run()
