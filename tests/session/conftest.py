"""A session over two drifting discs; a trained model; and a tracker that finds what it is told."""

import pytest

from napari_sam2 import FrameMasks, MaskPrompt, ObjectMask, Session, load_model
from napari_sam2.predictors.tracker import Tracker


@pytest.fixture
def session(tiny_model, blobs):
    return Session(blobs[0], tiny_model)


@pytest.fixture(scope="session")
def nano():
    """The embedded model, which does follow blobs: half a second a frame."""
    return load_model("sam2.1_hiera_nano")


@pytest.fixture
def script(monkeypatch):
    """Have the tracker find objects where labels (T, Y, X) say; gives the visits it makes."""

    def begin(labels):
        asked = []

        def track(self, visits, *, reverse=False):
            for frame, ids in visits:
                asked.append((frame, tuple(ids)))
                masks = [MaskPrompt(frame, labels[frame] == i) for i in ids]
                found = map(ObjectMask.given, ids, masks)
                yield FrameMasks(frame, self.source.shape, tuple(found))

        monkeypatch.setattr(Tracker, "track", track)
        return asked

    return begin


@pytest.fixture
def path(tmp_path):
    """Give where a session is saved."""
    return tmp_path / "cells.sam2"
