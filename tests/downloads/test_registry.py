from collections import Counter
from math import prod

import pytest

from napari_sam2.model.config import load_config
from napari_sam2.model.locations import download_url
from napari_sam2.model.registry import PUBLISHED, find_published

TINY = PUBLISHED[0]


@pytest.mark.parametrize(
    "name",
    [
        "sam2_hiera_large",
        "sam2_hiera_l.yaml",
        "configs/sam2/sam2_hiera_l.yaml",
        "sam2_hiera_large.pt",
        "facebook/sam2-hiera-large",
    ],
)
def test_model_is_found_by_every_name_it_has(name):
    assert find_published(name).name == "sam2_hiera_large"


def test_no_name_is_of_two_models():
    counted = Counter(name for model in PUBLISHED for name in model.names)

    assert set(counted.values()) == {1}


def test_other_names_are_not_found():
    assert find_published("sam2.1_hiera_nano") is None


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_number_of_parameters_is_that_of_the_published_shapes(model, published_shapes):
    shapes = dict(published_shapes(model.name))
    del shapes["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]  # not learnt

    assert model.parameters == sum(map(prod, shapes.values()))


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_config_looks_for_the_file_that_is_downloaded(model):
    assert load_config(model.name).checkpoint == model.file


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        (
            None,
            "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_tiny.pt",
        ),
        ("http://lab/models/", "http://lab/models/sam2.1_hiera_tiny.pt"),
        ("http://lab/{folder}/{file}", "http://lab/092824/sam2.1_hiera_tiny.pt"),
        (
            "https://hub/{hub_id}/resolve/main/{file}",
            "https://hub/facebook/sam2.1-hiera-tiny/resolve/main/sam2.1_hiera_tiny.pt",
        ),
    ],
)
def test_mirror_is_a_folder_or_a_pattern(mirror, url):
    assert TINY.url(mirror) == url


def test_mirror_of_the_environment_is_used_unless_one_is_given(monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_MIRROR", "http://lab")

    assert download_url(TINY) == "http://lab/sam2.1_hiera_tiny.pt"
    assert download_url(TINY, "http://other") == "http://other/sam2.1_hiera_tiny.pt"
