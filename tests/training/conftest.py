"""Objects and a batch whose truth is known."""

import pytest
import torch
from training_steps import generator

from napari_sam2.training.annotated import AnnotatedStack
from napari_sam2.training.datasets import Sample
from napari_sam2.training.finetune import FineTuneOptions, FineTuning


@pytest.fixture
def batch(blobs):
    """Two sequences of four frames, 128 pixels square."""
    images = torch.zeros(2, 4, 3, 128, 128, dtype=torch.uint8)
    labels = torch.zeros(2, 4, 128, 128, dtype=torch.int32)
    images[..., :96, :] = torch.from_numpy(blobs[0])[None, :4, None]
    labels[..., :96, :] = torch.from_numpy(blobs[1])[None, :4].int()
    return Sample(images, labels)


@pytest.fixture
def discs():
    """Twenty discs of several sizes, (N, H, W)."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(80), indexing="ij")
    drawn = generator(1)
    masks = []
    for _ in range(20):
        row, column = (int(torch.randint(10, 50, (), generator=drawn)) for _ in range(2))
        radius = int(torch.randint(2, 12, (), generator=drawn))
        masks.append((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)
    return torch.stack(masks)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of the user's own models."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(folder))
    return folder


@pytest.fixture
def begin(models, tiny_files, tmp_path, one_thread):
    """Begin a run on the small model; options may be changed."""

    def begin(stacks, **changes):
        options = {
            "name": "my-cells",
            "model": tiny_files[0],
            "folder": tmp_path / "run",
            "steps": 4,
            "evaluate_every": 2,
            "batch_size": 2,
            "n_frames": 2,
            "device": "cpu",
            "learning_rate": 1e-3,
        }
        return FineTuning(stacks, FineTuneOptions(**{**options, **changes}))

    return begin


@pytest.fixture
def stack(blobs):
    """Two discs on eight frames."""
    return AnnotatedStack(*blobs, name="blobs")
