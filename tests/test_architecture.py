"""The rooms stay apart: imports point inwards, and the core needs neither Qt nor napari."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "napari_sam2"
CORE = {"model", "predictors", "prompts"}

#: What each room may import, of our own and of the libraries that not every room may.
ALLOWED = {
    "__init__": CORE
    | {"automatic", "downloads", "meta", "results", "session", "session_files", "training"}
    | {"volumes"},
    "model": {"model"},
    "prompts": set(),
    "predictors": CORE,
    "meta": CORE | {"downloads", "meta"},
    "downloads": {"model", "pooch", "requests"},
    "automatic": {"model", "predictors"},
    "results": {"predictors", "prompts", "results"},
    "workspace": {"predictors", "prompts", "results", "workspace"},
    "session_files": {"predictors", "prompts", "results", "session_files", "workspace"},
    "annotations": {"predictors", "prompts", "results", "workspace"},
    "single_frames": {"annotations", "automatic", "predictors", "prompts", "results"},
    "planning": {"predictors", "prompts", "workspace"},
    "propagation": CORE | {"results", "workspace"},
    "settings": {"model", "predictors", "results", "workspace"},
    "persistence": {"annotations", "predictors", "results", "session_files", "settings"},
    "session": CORE
    | {
        "persistence",
        "planning",
        "propagation",
        "results",
        "settings",
        "single_frames",
        "workspace",
    },
    "autosave": {"results", "session", "session_files"},
    "result_files": {"results", "session"},
    "volumes": {"predictors", "prompts", "results", "session"},
    "training": CORE | {"evaluation", "results", "training"},
    "evaluation": CORE | {"automatic", "evaluation"},
    "demo": {"evaluation", "results", "session", "training"},
    "vos": {"evaluation", "meta", "model", "predictors"},
    "cli": CORE
    | {"automatic", "cli", "demo", "downloads", "evaluation", "meta", "napari", "results"}
    | {"session", "session_files", "training", "vos"},
    "_label_layers": {"napari"},
    "_layers": {"_label_layers", "napari", "predictors", "prompts", "session"},
    "_locating": {"_layers", "napari"},
    "_painted": {"_layers", "napari", "prompts", "results"},
    "_reader": {"_label_layers", "_layers", "results", "session_files"},
    "_reading": {"_layers", "_locating", "napari", "prompts"},
    "_sample_data": {"demo", "napari", "training"},
    "_worker": {"napari", "qtpy", "superqt"},
    "_controls": CORE
    | {"_controls", "_label_layers", "_layers", "_locating", "_painted", "_reader", "_reading"}
    | {"_worker", "automatic", "autosave", "downloads", "evaluation", "magicgui", "napari", "qtpy"}
    | {"result_files", "results", "session", "session_files", "settings", "superqt", "training"},
    "_everything": {"_controls", "_widget", "model", "napari", "qtpy", "session"},
    "_widget": CORE
    | {"_controls", "_label_layers", "_layers", "_painted", "_reading", "_worker"}
    | {"automatic", "magicgui", "napari", "qtpy", "session", "superqt"},
}
GUI = {"magicgui", "napari", "qtpy", "superqt"}
NETWORK = {"pooch", "requests"}


def room_of(parts: Sequence[str]) -> str:
    """Give the room of a module by its path: the outermost part, but Meta's faces are their own."""
    if tuple(parts[:2]) == ("predictors", "meta"):
        return "meta"
    return parts[0].removesuffix(".py")


def rooms_used_by(source: str) -> set[str]:
    """Our own rooms, and those libraries, that a file imports, for types or for real."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # ``from napari_sam2 import x`` names rooms too.
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = {room_of(m.split(".")[1:]) for m in modules if m.startswith("napari_sam2.")}
    return ours | {m.split(".")[0] for m in modules} & (GUI | NETWORK)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_inwards(path):
    room = room_of(path.relative_to(ROOT).parts)

    assert rooms_used_by(path.read_text(encoding="utf-8")) <= ALLOWED[room]


@pytest.mark.parametrize(
    "line",
    [
        "import napari",
        "from napari.layers import Image",
        "from napari_sam2.session import Session",
        "from napari_sam2 import session",
        "import napari_sam2._widget",
        "import pooch",
    ],
)
def test_wrong_import_would_be_found(line):
    assert not rooms_used_by(line) <= ALLOWED["predictors"]


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def test_importing_the_package_loads_neither_torch_nor_qt_nor_napari_nor_pooch():
    loaded = run_python("import sys, napari_sam2; print(*sys.modules)").split()

    assert not {"torch", "numpy", "qtpy", "napari", "pooch", "requests"} & set(loaded)


def test_core_runs_without_qt_and_napari():
    loaded = run_python(
        "import sys, napari_sam2.cli, napari_sam2.session, napari_sam2.demo;"
        "import napari_sam2.training.trainer, napari_sam2.evaluation.report; print(*sys.modules)"
    ).split()

    assert not {"qtpy", "napari", "magicgui", "superqt", "vispy"} & set(loaded)


def test_metas_api_needs_none_of_what_metas_code_needs():
    loaded = run_python("import sys, napari_sam2.predictors.meta.automatic; print(*sys.modules)")

    assert not {"cv2", "hydra", "pycocotools", "torchvision"} & set(loaded.split())


def test_network_and_training_run_without_what_downloads_need():
    code = "import sys; sys.modules |= dict.fromkeys(['pooch', 'requests'])\n"
    code += "import napari_sam2.model.checkpoint, napari_sam2.predictors.tracker\n"
    code += "import napari_sam2.training.trainer, napari_sam2.session, napari_sam2.cli"

    assert run_python(code) == ""


def test_every_public_name_can_be_imported():
    import napari_sam2

    assert all(getattr(napari_sam2, name) is not None for name in napari_sam2.__all__)


def test_unknown_name_is_an_attribute_error():
    import napari_sam2

    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = napari_sam2.Sesion
