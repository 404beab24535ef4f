"""Models that look at frames in another size than their own."""

import numpy as np
import torch

from napari_sam2 import Session, Settings
from napari_sam2.predictors import load_model

CPU = torch.device("cpu")


def test_a_smaller_image_size_leaves_weights_and_the_given_model_as_they_are():
    own = load_model("sam2.1_hiera_nano", device=CPU)

    smaller = load_model(own, device=CPU, image_size=256)

    assert (own.config.image_size, smaller.config.image_size) == (512, 256)
    for name, weight in own.state_dict().items():
        torch.testing.assert_close(smaller.state_dict()[name], weight, rtol=0, atol=0)


def test_its_own_image_size_gives_the_same_model():
    own = load_model("sam2.1_hiera_nano", device=CPU)

    assert load_model(own, device=CPU, image_size=512) is own


def test_a_bright_disc_is_found_at_half_the_image_size():
    rows, columns = np.mgrid[:128, :128]
    disc = np.hypot(rows - 60, columns - 70) < 24
    stack = np.stack([disc * 200.0 + 20] * 2).astype(np.float32)
    session = Session(stack, settings=Settings(image_size=256))
    cell = session.add_object()
    session.add_box(cell, 0, [36, 46, 84, 94])

    *_, last = session.propagate()

    found = last.mask(cell)
    assert (found & disc).sum() / (found | disc).sum() > 0.8
