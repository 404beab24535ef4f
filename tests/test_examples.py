"""Every example runs as its readers would run it, and writes a picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
#: By script: options that make it take seconds.
SHORT = {
    "automatic_masks": ["--points-per-side", "4"],
    "batch_prediction": ["--objects", "4"],
    "image_prediction": [],
    "session": ["--frames", "3", "--size", "400"],
    "video": ["--frames", "3"],
}


def run(script, out, *options):
    command = [sys.executable, EXAMPLES / f"{script}.py", "--out", out, "--device", "cpu", *options]
    return subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)


def test_every_example_is_run():
    helpers = {"drawing"}

    assert {path.stem for path in EXAMPLES.glob("*.py")} == SHORT.keys() | helpers


@pytest.mark.parametrize("script", SHORT)
def test_example_writes_a_picture(script, tmp_path):
    done = run(script, tmp_path, *SHORT[script])

    assert done.returncode == 0, done.stderr
    picture = np.asarray(Image.open(tmp_path / f"{script}.png"))
    assert picture.ndim == 3
    assert picture.std() > 5  # of 255: it is not blank


def test_readme_names_every_example():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert [script for script in SHORT if f"`{script}.py`" not in text] == []
