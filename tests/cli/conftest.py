"""The small model and a stack, as the command line takes them."""

from __future__ import annotations

import pytest
import tifffile


@pytest.fixture
def tiny(tiny_files):
    """Options that choose the small model."""
    config, weights = tiny_files
    return ["--model", str(config), "--checkpoint", str(weights), "--device", "cpu"]


@pytest.fixture
def stack(tmp_path, blobs):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, blobs[0], photometric="minisblack")
    return path
