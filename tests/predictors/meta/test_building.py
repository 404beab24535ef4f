import pytest
import torch

from napari_sam2 import CheckpointError, SAM2ImagePredictor, build_sam2, build_sam2_hf, load_model
from napari_sam2.model.config import load_config
from napari_sam2.predictors.meta.build import find_config

TINY = """
name: tiny
checkpoint: tiny.pt
image_size: 128
hiera: {embed_dim: 16, stages: [1, 1, 2, 1], windows: [8, 4, 8, 4], global_blocks: [3]}
d_model: 32
memory_dim: 16
memory_layers: 1
memory_mlp_dim: 32
decoder_mlp_dim: 32
iou_head_dim: 16
"""
EXTRA = "++model.sam_mask_decoder_extra_args.dynamic_multimask"


@pytest.fixture
def tiny_yaml(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("configs/sam2.1/sam2.1_hiera_t.yaml", "sam2.1_hiera_tiny"),
        ("configs/sam2/sam2_hiera_b+.yaml", "sam2_hiera_base_plus"),
        ("sam2_hiera_l.yaml", "sam2_hiera_large"),
        ("sam2.1_hiera_s", "sam2.1_hiera_small"),
        ("/clone/sam2/configs/sam2.1/sam2.1_hiera_b+.yaml", "sam2.1_hiera_base_plus"),
        (r"configs\sam2.1\sam2.1_hiera_l.yaml", "sam2.1_hiera_large"),
        ("sam2.1_hiera_tiny", "sam2.1_hiera_tiny"),
        ("configs/sam2.1_hiera_nano.yaml", "sam2.1_hiera_nano"),
    ],
)
def test_config_is_found_by_metas_name_and_by_ours(name, ours):
    assert find_config(name) == load_config(ours)


def test_unknown_config_names_those_there_are():
    with pytest.raises(ValueError, match=r"no config 'sam2_hiera_xl\.yaml'.*sam2_hiera_large"):
        build_sam2("sam2_hiera_xl.yaml", device="cpu")


def test_model_of_a_file_has_the_weights_of_a_checkpoint(tiny_yaml, tmp_path):
    torch.manual_seed(0)
    first = build_sam2(tiny_yaml, device="cpu")
    torch.save({"model": first.state_dict()}, tmp_path / "tiny.pt")

    second = build_sam2(tiny_yaml, tmp_path / "tiny.pt", device="cpu")

    assert torch.equal(first.no_mem_embed, second.no_mem_embed)
    assert not second.training


def test_other_modes_leave_the_model_in_training(tiny_yaml):
    assert build_sam2(tiny_yaml, device="cpu", mode="train").training


@pytest.mark.parametrize(
    ("overrides", "postprocess", "kept"),
    [
        ([], True, (0.98, 0.05)),
        ([], False, (0, 0.05)),
        ([f"{EXTRA}_stability_thresh=0.9"], False, (0, 0.05)),
        (
            [f"{EXTRA}_via_stability=true", f"{EXTRA}_stability_delta=0.2"],
            False,
            (0.98, 0.2),
        ),
        # Meta's puts its own after what the user says.
        ([f"{EXTRA}_stability_thresh=0.9"], True, (0.98, 0.05)),
    ],
)
def test_postprocessing_decides_which_single_masks_are_kept(
    tiny_yaml, overrides, postprocess, kept
):
    config = build_sam2(
        tiny_yaml,
        device="cpu",
        hydra_overrides_extra=overrides,
        apply_postprocessing=postprocess,
    ).config

    assert (config.least_stability, config.stability_delta) == kept


def test_image_size_can_be_overridden(tiny_yaml):
    overrides = ["++model.image_size=192", "model.compile_image_encoder=true"]

    model = build_sam2(tiny_yaml, device="cpu", hydra_overrides_extra=overrides)

    assert model.config.image_size == 192


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("++model.num_maskmem=3", r"\['model\.num_maskmem'\] are not understood.*image_size"),
        ("model.image_size", "expected \\+\\+name=value"),
    ],
)
def test_override_that_is_not_understood_is_named(tiny_yaml, override, message):
    with pytest.raises(ValueError, match=message):
        build_sam2(tiny_yaml, device="cpu", hydra_overrides_extra=[override])


def test_argument_that_nothing_reads_is_warned_of(tiny_yaml):
    with pytest.warns(UserWarning, match="build_sam2 takes no apply_postprocesing"):
        build_sam2(tiny_yaml, device="cpu", apply_postprocesing=False)


def test_published_model_is_found_in_the_cache(tiny_yaml, tmp_path, monkeypatch):
    """By the hub's id; the file is another model's here, and the message says whose."""
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    torch.save(build_sam2(tiny_yaml, device="cpu").state_dict(), tmp_path / "sam2_hiera_small.pt")

    with pytest.raises(CheckpointError, match=r"sam2_hiera_small\.pt does not fit"):
        build_sam2_hf("facebook/sam2-hiera-small", device="cpu")


def test_weights_that_are_not_here_say_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))

    with pytest.raises(CheckpointError, match=r"sam2\.1_hiera_large\.pt"):
        SAM2ImagePredictor.from_pretrained("facebook/sam2.1-hiera-large", device="cpu")


def test_unknown_id_names_those_there_are():
    with pytest.raises(ValueError, match=r"no model 'facebook/sam3'.*facebook/sam2\.1-hiera-tiny"):
        build_sam2_hf("facebook/sam3")


def test_embedded_model_is_built_by_its_name():
    predictor = SAM2ImagePredictor.from_pretrained(
        "sam2.1_hiera_nano", device="cpu", apply_postprocessing=False, max_hole_area=8
    )

    expected = load_model("sam2.1_hiera_nano").no_mem_embed
    assert torch.equal(predictor.model.no_mem_embed, expected)
    assert predictor.model.config.least_stability == 0
    assert predictor.max_hole_area == 8
