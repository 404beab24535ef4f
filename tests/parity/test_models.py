"""Whole models give Meta's numbers: all eight configs, one frame and ten tracked ones."""

import dataclasses

import pytest
import torch

from napari_sam2.model.config import load_config

comparisons = pytest.importorskip("comparisons")
reference = pytest.importorskip("parity_reference")
pytestmark = pytest.mark.parity

#: fp32, logits of up to about 40. One frame: sums in another order. Tracked frames: the
#: differences pass through every memory that follows.
ONE_FRAME, TEN_FRAMES = 1e-4, 1e-3

NAMES = [
    f"{generation}_hiera_{size}"
    for generation in ("sam2", "sam2.1")
    for size in ("tiny", "small", "base_plus", "large")
]


def small(name):
    """The published architecture on a small input, so that it takes seconds."""
    return dataclasses.replace(load_config(name), image_size=128)


def differences(pairs):
    return [reference.largest_difference(*both) for both in pairs]


@pytest.fixture(params=NAMES)
def models(request):
    config = small(request.param)
    return config, reference.pair(config)


@torch.inference_mode()
def test_model_gives_metas_numbers(models):
    config, pair = models
    one_frame = differences(comparisons.image_path(config, pair))
    tracked = differences(comparisons.memory_path(config, models=pair))

    assert max(one_frame) < ONE_FRAME
    assert max(tracked) < TEN_FRAMES
    assert len(tracked) == 11 * 4 * 3


@torch.inference_mode()
@pytest.mark.parametrize("generation", ["sam2", "sam2.1"])
def test_absent_objects_are_remembered_like_metas(generation):
    config = small(f"{generation}_hiera_tiny")
    pair = reference.pair(config, appears=False)
    both = list(comparisons.memory_path(config, models=pair))

    assert max(differences(both)) < TEN_FRAMES
    assert float(both[3][0].max()) < 0, "objects were meant to be absent"


@pytest.mark.parametrize("generation", ["sam2", "sam2.1"])
class TestSmallestModel:
    """What takes many frames, on the smallest model of each generation."""

    @torch.inference_mode()
    def test_long_memories_fill_up_like_metas(self, generation):
        config = small(f"{generation}_hiera_tiny")
        tracked = differences(comparisons.memory_path(config, n_frames=25, ids=(1,)))

        assert max(tracked) < TEN_FRAMES

    @torch.inference_mode()
    def test_backwards_is_like_metas(self, generation):
        config = small(f"{generation}_hiera_tiny")
        tracked = differences(comparisons.backwards(config, reference.pair(config)))

        assert max(tracked) < TEN_FRAMES
        assert len(tracked) == 9 * 3

    @torch.inference_mode()
    def test_corrected_object_is_followed_again_like_metas(self, generation):
        config = small(f"{generation}_hiera_tiny")
        pair = reference.pair(config, add_all_frames_to_correct_as_cond=True)
        tracked = differences(comparisons.corrected(config, pair))

        assert max(tracked) < TEN_FRAMES
        assert len(tracked) == 2 * 12 * 2 * 3


def test_larger_input_pads_windows_like_metas():
    config = dataclasses.replace(load_config("sam2.1_hiera_tiny"), image_size=352)
    with torch.inference_mode():
        trunk = differences(comparisons.hiera_trunk(config))

    assert max(trunk) < ONE_FRAME
