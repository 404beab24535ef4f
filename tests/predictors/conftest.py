"""Trackers over small frames, and over large ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import MaskPrompt


@pytest.fixture
def make_tracker(tiny_model, blobs):
    """Trackers over the same frames, each beginning anew."""
    source = FrameSource(blobs[0])

    def make(**options):
        return Tracker(tiny_model, source, options=TrackerOptions(**options))

    return make


@pytest.fixture
def field(tiny_model):
    """A tracker over frames that are large beside the model's input, and masks of discs there."""
    rows, columns = np.mgrid[:300, :400]
    stack = np.random.default_rng(0).integers(0, 255, (8, 300, 400), dtype=np.uint8)
    tracker = Tracker(tiny_model, FrameSource(stack))
    for object_id, (row, column) in enumerate([(60, 60), (70, 65), (240, 330)], start=1):
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 20**2
        tracker.prompt(object_id, 0, [MaskPrompt(0, disc)])
    return tracker
