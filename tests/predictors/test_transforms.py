import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.predictors.transforms import (
    cut_out,
    encode_clicks,
    frame_to_pixels,
    mask_to_input,
    mask_to_logits,
    normalize,
    to_model_points,
)
from napari_sam2.predictors.windows import Window
from napari_sam2.prompts import BoxPrompt, PointPrompt

CPU = torch.device("cpu")


WINDOWS = st.builds(
    Window, st.integers(0, 900), st.integers(0, 900), st.integers(1, 2000), st.integers(1, 2000)
)


@given(WINDOWS, st.floats(0, 1), st.floats(0, 1))
def test_points_keep_their_place_in_the_window(window, across, down):
    row, column = window.row + down * window.height, window.column + across * window.width

    x, y = to_model_points(np.array([row - 0.5, column - 0.5]), window, 512, CPU).tolist()

    assert np.isclose((x + 0.5) / 512, across, atol=1e-4)
    assert np.isclose((y + 0.5) / 512, down, atol=1e-4)


def test_pixel_centres_go_to_pixel_centres():
    corners = np.array([[0, 0], [63, 31]])

    assert to_model_points(corners, Window(0, 0, 64, 32), 128, CPU).tolist() == [
        [1.5, 0.5],
        [125.5, 126.5],
    ]


def test_box_goes_before_the_clicks_and_signs_are_kept():
    prompts = [PointPrompt(0, 5, 6), PointPrompt(0, 7, 8, positive=False), BoxPrompt(0, 1, 2, 3, 4)]

    points, labels = encode_clicks(prompts, Window(0, 0, 16, 16), 16, CPU)

    assert points.tolist() == [[[2, 1], [4, 3], [6, 5], [8, 7]]]
    assert labels.tolist() == [[2, 3, 1, 0]]


def test_frame_is_resized_and_normalised():
    frame = np.zeros((20, 40, 3), dtype=np.float32)
    frame[:, 20:] = 1

    pixels = frame_to_pixels(frame, 32, CPU)

    assert pixels.shape == (1, 3, 32, 32)
    black, white = normalize(torch.zeros(3, 1, 1)), normalize(torch.ones(3, 1, 1))
    torch.testing.assert_close(pixels[0, :, 5, 3], black[:, 0, 0])
    torch.testing.assert_close(pixels[0, :, 5, 28], white[:, 0, 0])


def test_bytes_and_fractions_are_normalised_alike():
    values = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1)

    torch.testing.assert_close(normalize(values), normalize(values.float() / 255))


@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_cut_out_mask_is_the_resized_logits_above_zero(height, width, seed):
    logits = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) - 1
    expected = (
        torch.nn.functional.interpolate(logits[None, None], (height, width), mode="bilinear") > 0
    )

    found = cut_out(3, logits, Window(7, 9, height, width), 0.5, 1.0).full((80, 90))

    assert np.array_equal(found[7 : 7 + height, 9 : 9 + width], expected[0, 0].numpy())
    assert found.sum() == expected.sum()


def test_absent_object_takes_no_room():
    found = cut_out(3, torch.full((16, 16), -1024.0), Window(0, 0, 50, 60), 0.5, -3.0)

    assert found.logits.size == 0
    assert not found.full((50, 60)).any()


def test_faintest_logits_stay_on_the_object():
    found = cut_out(1, torch.full((4, 4), 1e-12), Window(0, 0, 4, 4), 0.5, 1.0)

    assert found.area == 16


@pytest.mark.parametrize("shape", [(64, 64), (40, 100), (300, 200)])
def test_mask_comes_back_from_the_models_resolution(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = (abs(rows / shape[0] - 0.5) < 0.3) & (abs(columns / shape[1] - 0.5) < 0.2)

    assert mask_to_input(mask, 64, CPU).unique().tolist() == [0, 1]
    logits = mask_to_logits(mask, 256, CPU)[0, 0]
    back = cut_out(1, logits, Window(0, 0, *shape), 1.0, 10.0).full(shape)

    assert (back & mask).sum() / (back | mask).sum() > 0.9
