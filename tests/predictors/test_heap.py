"""Free memory goes back to the system, where the system has a way for it."""

import ctypes

import numpy as np
import pytest
import torch

from napari_sam2.predictors import heap
from napari_sam2.predictors.features import TRIMMED_AFTER, FeatureCache
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.windows import Window


@pytest.fixture(autouse=True)
def _look_anew():
    heap._malloc_trim.cache_clear()
    yield
    heap._malloc_trim.cache_clear()


def test_system_without_a_way_is_left_alone(monkeypatch):
    def none(_):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", none)

    heap.trim()
    heap.free(torch.device("cpu"))


def test_memory_goes_back_every_few_images(tiny_model, monkeypatch):
    trimmed = []
    monkeypatch.setattr("napari_sam2.predictors.features.trim", lambda: trimmed.append(1))
    cache = FeatureCache(tiny_model, FrameSource(np.zeros((40, 32, 32), np.uint8)), max_bytes=0)
    for frame in range(2 * TRIMMED_AFTER):
        _ = cache[frame, Window(0, 0, 32, 32)]

    assert len(trimmed) == 2
