"""Free memory goes back to the system, where the system has a way for it."""

import ctypes
from types import SimpleNamespace

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

    asked = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: asked.append(name) or none(name))

    heap.trim()
    heap.free(torch.device("cpu"))

    assert asked == [None], "it is asked once, and not again"


def test_system_with_a_way_is_asked_to_give_all_back(monkeypatch):
    kept = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=kept.append))

    heap.trim()

    assert kept == [0]


def test_memory_goes_back_every_few_images(tiny_model, monkeypatch):
    trimmed = []
    monkeypatch.setattr("napari_sam2.predictors.features.trim", lambda: trimmed.append(1))
    cache = FeatureCache(tiny_model, FrameSource(np.zeros((40, 32, 32), np.uint8)), max_bytes=0)
    for frame in range(2 * TRIMMED_AFTER):
        _ = cache[frame, Window(0, 0, 32, 32)]

    assert len(trimmed) == 2
