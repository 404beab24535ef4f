"""What tests of the tracker do alike."""

from __future__ import annotations

import numpy as np
import torch

from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

FRAMES = range(8)


def follow(tracker, ids, frames=FRAMES, *, reverse=False):
    return {frame: tracker.step(ids, frame, reverse=reverse) for frame in frames}


def assert_same(one, other, tolerance=1e-4):
    assert one.keys() == other.keys()
    for key, output in one.items():
        torch.testing.assert_close(output.logits, other[key].logits, atol=tolerance, rtol=0)
        torch.testing.assert_close(output.ious, other[key].ious, atol=tolerance, rtol=0)


def lose(tracker, frame):
    """Have the first object not found on a frame that it was tracked over."""
    sightings = tracker._objects[1].sightings
    sightings[frame] = sightings[frame]._replace(logits=torch.full((1, 1, 32, 32), -10.0))


def prompt_several(tracker, ids):
    """Objects prompted on different frames and in every way."""
    rows, columns = np.mgrid[:96, :128]
    prompts = {
        1: (0, [PointPrompt(0, 30, 40)]),
        2: (0, [BoxPrompt(0, 45, 75, 75, 105)]),
        3: (2, [MaskPrompt(2, (rows - 34) ** 2 + (columns - 40) ** 2 < 100)]),
        4: (0, [PointPrompt(0, 60, 90), PointPrompt(0, 30, 40, positive=False)]),
        5: (0, [PointPrompt(0, 10, 10)]),
    }
    for object_id in ids:
        frame, on_frame = prompts[object_id]
        tracker.prompt(object_id, frame, on_frame)
