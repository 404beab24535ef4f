from pathlib import Path

import pytest

from napari_sam2.model.config import (
    HieraConfig,
    SAM2Config,
    config_folder,
    config_names,
    load_config,
)

PUBLISHED = {
    f"{g}_hiera_{s}" for g in ("sam2", "sam2.1") for s in ("tiny", "small", "base_plus", "large")
}


def test_published_models_and_the_embedded_one_have_configs():
    assert PUBLISHED | {"sam2.1_hiera_nano"} == set(config_names())


def test_configs_are_found_in_the_checkout_and_would_be_in_a_wheel(monkeypatch, tmp_path):
    assert config_folder() == Path(__file__).parents[2] / "configs"

    installed = tmp_path / "napari_sam2" / "configs"
    installed.mkdir(parents=True)
    monkeypatch.setattr(
        "napari_sam2.model.config.__file__", str(tmp_path / "napari_sam2" / "model" / "config.py")
    )
    assert config_folder() == installed


def test_config_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ncheckpoint: mine.pt\nimage_size: 256\nhiera: {embed_dim: 48}\n")

    config = load_config(path)

    assert (config.image_size, config.hiera.stage_dims) == (256, (48, 96, 192, 384))


@pytest.mark.parametrize(
    "name",
    [
        "configs/sam2.1/sam2.1_hiera_b+.yaml",
        "sam2.1_hiera_b+.yaml",
        "sam2.1_hiera_base_plus.pt",
        "facebook/sam2.1-hiera-base-plus",
    ],
)
def test_config_is_found_by_metas_names(name):
    assert load_config(name) == load_config("sam2.1_hiera_base_plus")


def test_name_of_metas_is_the_model_and_its_path_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sam2_hiera_l.yaml").write_text("name: mine\ncheckpoint: mine.pt\n")

    assert load_config("sam2_hiera_l.yaml").name == "SAM 2 large"
    assert load_config(Path("sam2_hiera_l.yaml")).name == "mine"
    assert load_config("./sam2_hiera_l.yaml").name == "mine"


def test_weights_in_the_place_of_a_config_are_recognised():
    with pytest.raises(ValueError, match=r"mine\.pt is a file of weights.*Give the file as checkp"):
        load_config("runs/mine.pt")


def test_unknown_config_names_those_there_are():
    with pytest.raises(ValueError, match=r"no config 'sam2_huge'.*sam2\.1_hiera_nano"):
        load_config("sam2_huge")


@pytest.mark.parametrize("text", ["- a list", "name: [", "name: lacks a checkpoint"])
def test_file_that_is_no_config_is_named(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"mine\.yaml cannot be read as a model config"):
        load_config(path)


@pytest.mark.parametrize("data", [{"depth": 3}, {"hiera": {"depth": 3}}])
def test_unknown_key_is_an_error(data):
    with pytest.raises(ValueError, match=r"has no \['depth'\]"):
        SAM2Config.from_dict({"name": "x", "checkpoint": "x", **data})


@pytest.mark.parametrize("size", [0, -64, 100])
def test_input_that_does_not_divide_is_an_error(size):
    with pytest.raises(ValueError, match="positive multiple of 32"):
        SAM2Config(name="x", checkpoint="x", image_size=size)


def test_trunk_has_four_stages():
    with pytest.raises(ValueError, match="four stages"):
        HieraConfig(stages=(1, 2, 3))
