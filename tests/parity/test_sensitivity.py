"""The comparisons would notice: each of these small mistakes is outside the tolerance."""

import pytest
import torch
from torch import nn

from napari_sam2.model.layers import LayerNorm2d

comparisons = pytest.importorskip("comparisons")
reference = pytest.importorskip("parity_reference")
pytestmark = pytest.mark.parity

NOTICED = 3e-3  #: three times what is tolerated after ten frames


def wrong_epsilon(model):
    for module in model.modules():
        if isinstance(module, LayerNorm2d | nn.LayerNorm):
            module.eps = 1e-2


def swapped_axes(model):
    positions = model.get_buffer("image_positions")
    positions.copy_(positions.mT.clone())


def missing_time_embedding(model):
    model.maskmem_tpos_enc.zero_()


def missing_no_memory_embedding(model):
    model.no_mem_embed.zero_()


def swapped_rotation(model):
    rotary = model.memory_attention.rotary
    rotary.cosine.copy_(rotary.cosine.flip(-1))
    rotary.sine.copy_(rotary.sine.flip(-1))


@pytest.mark.parametrize(
    "mistake",
    [
        wrong_epsilon,
        swapped_axes,
        missing_time_embedding,
        missing_no_memory_embedding,
        swapped_rotation,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_mistake_is_noticed(mistake, tiny_config):
    models = reference.pair(tiny_config)
    with torch.inference_mode():
        mistake(models[0])
        differences = [
            reference.largest_difference(*both)
            for both in comparisons.memory_path(tiny_config, n_frames=7, models=models)
        ]

    assert max(differences) > NOTICED
