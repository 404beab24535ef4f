"""Ways to compute that are faster on a CPU give what the plain ways give."""

import pytest
import torch
import torch.nn.functional as F

from napari_sam2.model import attention, layers, mask_decoder
from napari_sam2.model.attention import attend
from napari_sam2.model.config import load_config
from napari_sam2.model.hiera import MultiScaleBlock
from napari_sam2.model.mask_decoder import MaskDecoder
from napari_sam2.model.positions import AxialRotary
from napari_sam2.model.transformer import Attention, RotaryAttention


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(attention, "CHUNK_BYTES", 2000)


@pytest.mark.usefixtures("few_rows_at_a_time")
@torch.no_grad()
def test_halves_are_attended_to_like_singles():
    query, key, value = (
        noise(2, 3, 21, 16),
        noise(2, 3, 33, 16, seed=1),
        noise(2, 3, 33, 16, seed=2),
    )

    found = attend(*(x.bfloat16() for x in (query, key, value)))

    assert found.dtype == torch.bfloat16
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0)


@pytest.mark.usefixtures("few_rows_at_a_time")
@torch.no_grad()
def test_values_may_be_narrower_than_keys():
    query, key, value = noise(1, 1, 21, 16), noise(1, 1, 33, 16, seed=1), noise(1, 1, 33, 4, seed=2)

    expected = (query @ key.mT / 16**0.5).softmax(dim=-1) @ value

    torch.testing.assert_close(attend(query, key, value), expected)


def test_memories_mixed_before_they_are_widened_are_the_same():
    layer, rotary = RotaryAttention(32, heads=1, memory_dim=8), AxialRotary(32, 4, 4)
    image, memory, values = noise(2, 16, 32), noise(2, 35, 8, seed=1), noise(2, 35, 8, seed=2)

    widened_first = layer(image, memory, values, rotary, off_grid=3)
    with torch.no_grad():
        mixed_first = layer(image, memory, values, rotary, off_grid=3)

    assert not torch.equal(mixed_first, widened_first), "two ways were meant to be compared"
    torch.testing.assert_close(mixed_first, widened_first, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dim_out", [8, 16], ids=["kept", "halved"])
@pytest.mark.parametrize("window", [0, 4, 6])
def test_strips_give_what_the_whole_map_gives(monkeypatch, window, dim_out):
    torch.manual_seed(0)
    block = MultiScaleBlock(8, dim_out, heads=2, window=window)
    x = noise(1, 20, 12, 8)
    monkeypatch.setattr(layers, "STRIP_TOKENS", 80)

    whole = block(x)
    with torch.no_grad():
        assert len(layers.in_strips(x, window or 1)) > 1
        in_strips = block(x)

    torch.testing.assert_close(in_strips, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("queries", "keys"), [(5, 64), (64, 5)], ids=["few queries", "few keys"])
def test_few_tokens_are_projected_in_the_place_of_many(queries, keys):
    layer = Attention(32, heads=4, inner_dim=32)
    query, key, value = (
        noise(2, queries, 32),
        noise(2, keys, 32, seed=1),
        noise(2, keys, 32, seed=2),
    )
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)

    many = layer(query, key, value)
    with torch.no_grad():
        few = layer(query, key, value)

    assert not torch.equal(few, many), "two ways were meant to be compared"
    torch.testing.assert_close(few, many, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_objects_are_decoded_a_few_at_a_time_like_all_at_once(monkeypatch):
    config = load_config("sam2.1_hiera_nano")
    decoder, dim = MaskDecoder(config).eval(), config.d_model
    image, positions = noise(1, dim, 4, 4), noise(1, dim, 4, 4, seed=1)
    fine = noise(1, dim // 8, 16, 16, seed=2), noise(1, dim // 4, 8, 8, seed=3)
    prompts = noise(5, 2, dim, seed=4), noise(5, dim, 4, 4, seed=5)
    at_once = decoder(image, positions, fine, *prompts)

    monkeypatch.setattr(mask_decoder, "STRIP_TOKENS", 2 * 4 * 4)
    in_turns = decoder(image, positions, fine, *prompts)

    for found, expected in zip(in_turns, at_once, strict=True):
        torch.testing.assert_close(found, expected)
