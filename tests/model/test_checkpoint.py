import os
import re

import pytest
import torch
import yaml
from safetensors.torch import save_file

from napari_sam2.model.checkpoint import (
    CheckpointError,
    find_fitting_config,
    load_model,
    load_weights,
    read_weights,
)
from napari_sam2.model.config import config_names, load_config
from napari_sam2.model.locations import cache_folder, find_checkpoint, how_to_get
from napari_sam2.model.sam2 import SAM2


@pytest.fixture
def weights(tiny_model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file(tiny_model.state_dict(), path)
    return path


def assert_same_weights(model, other):
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


@pytest.mark.parametrize("name", [n for n in config_names() if "nano" not in n])
def test_published_names_and_shapes_load_strictly(name, published_shapes, tmp_path):
    shapes = published_shapes(name)
    path = tmp_path / f"{name}.pt"
    torch.save({"model": {key: torch.zeros(shape) for key, shape in shapes.items()}}, path)
    model = SAM2(load_config(name))

    load_weights(model, path)

    assert not any(value.any() for value in model.state_dict().values())


def test_safetensors_and_pytorch_files_give_the_same_model(
    tiny_config, tiny_model, weights, tmp_path
):
    as_torch = tmp_path / "tiny.pt"
    torch.save({"model": tiny_model.state_dict()}, as_torch)
    for path in (weights, as_torch):
        model = SAM2(tiny_config)
        load_weights(model, path)
        assert_same_weights(model, tiny_model)


def test_half_precision_file_gives_a_float32_model(tiny_config, tiny_model, tmp_path):
    path = tmp_path / "half.safetensors"
    save_file({k: v.half() for k, v in tiny_model.state_dict().items()}, path)
    model = SAM2(tiny_config)

    load_weights(model, path)

    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_foreign_file_names_what_does_not_fit_and_changes_nothing(
    tiny_config, tiny_model, tmp_path
):
    path = tmp_path / "other.pt"
    foreign = tiny_model.state_dict()
    foreign["no_mem_embed"] = torch.zeros(1, 1, 7)
    foreign["extra"] = foreign.pop("no_obj_ptr")
    torch.save(foreign, path)
    model = SAM2(tiny_config)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    with pytest.raises(CheckpointError) as raised:
        load_weights(model, path)

    message = str(raised.value)
    assert "missing no_obj_ptr" in message
    assert "unexpected extra" in message
    assert "no_mem_embed: checkpoint (1, 1, 7), model (1, 1, 32)" in message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("model", "file"), [("2.1", "2"), ("2", "2.1")])
def test_file_of_the_other_generation_is_recognised(model, file, published_shapes, tmp_path):
    path = tmp_path / "tiny.pt"
    shapes = published_shapes(f"sam{file}_hiera_tiny")
    torch.save({key: torch.zeros(shape) for key, shape in shapes.items()}, path)

    with pytest.raises(
        CheckpointError, match=f"of SAM {file} tiny: choose .* sam{file}_hiera_tiny"
    ):
        load_weights(SAM2(load_config(f"sam{model}_hiera_tiny")), path)


@pytest.mark.parametrize("name", [n for n in config_names() if "nano" not in n])
def test_config_that_fits_a_file_is_found(name, published_shapes):
    shapes = published_shapes(name)
    weights = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}

    assert find_fitting_config(weights) == name


def test_config_fits_only_if_the_shapes_do(published_shapes):
    shapes = published_shapes("sam2_hiera_tiny") | {"no_mem_embed": [1, 1, 7]}
    weights = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}

    assert find_fitting_config(weights) is None


def test_file_that_fits_no_config_says_so(tiny_model, weights):
    with pytest.raises(CheckpointError, match=r"fits none of \['sam2\.1_hiera_base_plus', .*YAML"):
        load_weights(SAM2(load_config("sam2.1_hiera_nano")), weights)


def test_file_named_as_in_transformers_is_recognised(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"vision_encoder.backbone.pos_embed": torch.zeros(1)}, path)

    with pytest.raises(CheckpointError, match="as in the library transformers; take Meta's own"):
        load_weights(SAM2(load_config("sam2.1_hiera_nano")), path)


def test_checkpoint_cannot_run_code(tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    path = tmp_path / "evil.pt"
    torch.save({"model": Malicious()}, path)

    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_weights(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_truncated_file_is_recognised(weights, tiny_model, tmp_path, suffix):
    path = tmp_path / f"short{suffix}"
    if suffix == ".pt":
        torch.save(tiny_model.state_dict(), path)
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.write_bytes(weights.read_bytes()[:1000])

    with pytest.raises(CheckpointError, match=f"short{suffix} cannot be read"):
        read_weights(path)


def test_file_of_something_else_is_recognised(tmp_path):
    path = tmp_path / "list.pt"
    torch.save([torch.zeros(3)], path)

    with pytest.raises(CheckpointError, match="something else"):
        read_weights(path)


@pytest.mark.parametrize(
    "hint",
    [
        "napari-sam2 models download sam2_hiera_tiny\n",
        "put sam2_hiera_tiny.pt",
        "from https://dl.fbaipublicfiles.com/segment_anything_2/072824/sam2_hiera_tiny.pt",
        "into {cache}",
    ],
)
def test_missing_weights_say_how_to_get_them(hint, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    monkeypatch.delenv("NAPARI_SAM2_MIRROR", raising=False)

    with pytest.raises(CheckpointError, match=re.escape(hint.format(cache=tmp_path))):
        load_model("sam2_hiera_tiny")


def test_missing_weights_that_are_not_metas_say_where_to_put_them(
    monkeypatch, tmp_path, tiny_config
):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))

    assert how_to_get(tiny_config).startswith(f"Put tiny.safetensors into {tmp_path}")


def test_weights_are_found_in_the_cache(monkeypatch, tmp_path, tiny_config):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert find_checkpoint(tiny_config) is None

    (tmp_path / tiny_config.checkpoint).touch()
    assert find_checkpoint(tiny_config) == tmp_path / tiny_config.checkpoint


def test_model_loads_from_a_yaml_file_and_a_checkpoint(tmp_path, weights, tiny_config, tiny_model):
    path = tmp_path / "tiny.yaml"
    hiera = {"embed_dim": 16, "stages": [1, 1, 2, 1], "windows": [8, 4, 8, 4], "global_blocks": [3]}
    scalars = {k: v for k, v in vars(tiny_config).items() if k != "hiera"}
    path.write_text(yaml.safe_dump({**scalars, "hiera": hiera}))

    model = load_model(path, weights)

    assert_same_weights(model, tiny_model)
    assert not model.training


def test_weights_beside_a_yaml_file_are_its_own(tiny_files, tiny_model):
    loaded = load_model(tiny_files[0])

    for name, value in tiny_model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value)


def test_models_of_the_user_are_known_by_name(tiny_files, tiny_model, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tiny_files[0].parent))

    assert config_names()[-1] == "tiny"
    assert load_model("tiny").config.name == "tiny"
    assert find_fitting_config(tiny_model.state_dict()) is None, "which names architectures"


@pytest.mark.parametrize("content", [b"nonsense", b"PK\x03\x04abc", b""])
def test_what_torch_advises_programmers_is_left_out(tmp_path, content):
    (tmp_path / "bad.pt").write_bytes(content)

    with pytest.raises(CheckpointError) as raised:
        read_weights(tmp_path / "bad.pt")

    message = str(raised.value)
    assert "copy or download it again" in message
    assert "weights_only" not in message
    assert len(message) < 250
