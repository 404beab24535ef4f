"""An image layer whose pixels are no units of the world."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image


@pytest.fixture
def image() -> Image:
    return Image(np.zeros((4, 12, 15), np.uint8), scale=(1, 0.5, 0.25), name="image")
