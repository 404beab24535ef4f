"""A session over two drifting discs."""

import pytest

from napari_sam2 import Session


@pytest.fixture
def session(tiny_model, blobs):
    return Session(blobs[0], tiny_model)
