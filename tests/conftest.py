"""A small model, and moving blobs whose truth is known."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

# Mesa's software OpenGL and triton each bring an LLVM, and the process crashes where Mesa's was
# loaded first. The optimizers of torch import triton; the windows of napari load Mesa.
import torch._dynamo
import yaml
from random_models import set_presence, small_architecture
from safetensors.torch import save_file

from napari_sam2.model.sam2 import SAM2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam2.model.config import SAM2Config


WINDOWS = {"make_napari_viewer", "qapp", "qtbot"}  #: fixtures of tests with a window

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # there is a worker a core


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one worker open all windows: those of two would take the keyboard from each other."""
    for item in items:
        if WINDOWS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("windows"))


@pytest.fixture(scope="session", autouse=True)
def _no_models_of_whoever_runs_the_tests(tmp_path_factory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_SAM2_MODELS", str(tmp_path_factory.getbasetemp() / "no-models"))
        yield


@pytest.fixture(autouse=True)
def _unsaved_work_apart(tmp_path_factory, monkeypatch):
    """Keep the user's unsaved work out of tests, and theirs out of the user's."""
    monkeypatch.setenv("NAPARI_SAM2_AUTOSAVE", str(tmp_path_factory.mktemp("autosave")))


@pytest.fixture(scope="session")
def tiny_config() -> SAM2Config:
    return small_architecture()


@pytest.fixture
def tiny_model(tiny_config) -> SAM2:
    """Random weights, the same in every test, that find every object present."""
    torch.manual_seed(0)
    return set_presence(SAM2(tiny_config)).eval()


@pytest.fixture
def tiny_files(tmp_path, tiny_config, tiny_model) -> tuple[Path, Path]:
    """The small model on disk: a YAML file and its weights."""
    config, weights = tmp_path / "tiny.yaml", tmp_path / "tiny.safetensors"
    hiera = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(tiny_config.hiera).items()}
    config.write_text(yaml.safe_dump({**vars(tiny_config), "hiera": hiera}))
    save_file(tiny_model.state_dict(), weights)
    return config, weights


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: where others need the cores, or steps are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Eight frames (T, Y, X) of two discs that drift, uint8, and their labels."""
    rows, columns = np.mgrid[:96, :128]
    labels = np.zeros((8, 96, 128), dtype=np.uint8)
    for frame in range(8):
        labels[frame][(rows - 30 - 2 * frame) ** 2 + (columns - 40) ** 2 < 15**2] = 1
        labels[frame][(rows - 60) ** 2 + (columns - 90 + 3 * frame) ** 2 < 12**2] = 2
    noise = np.random.default_rng(0).integers(0, 20, labels.shape)
    return ((labels > 0) * 180 + noise).astype(np.uint8), labels


@pytest.fixture(scope="session")
def published_shapes() -> Callable[[str], dict[str, list[int]]]:
    """Names and shapes of every tensor in the eight checkpoints that Meta published."""
    path = Path(__file__).parent / "golden" / "published_shapes.json.gz"
    return json.loads(gzip.decompress(path.read_bytes())).__getitem__
