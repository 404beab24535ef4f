import pytest
import torch

from napari_sam2 import (
    CheckpointError,
    DownloadError,
    SAM2ImagePredictor,
    SAM2VideoPredictor,
    build_sam2,
    build_sam2_hf,
    build_sam2_video_predictor,
    load_model,
)
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


def test_weights_that_are_not_here_are_asked_of_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    monkeypatch.setenv("NAPARI_SAM2_MIRROR", "http://127.0.0.1:9/files")  # nobody listens there

    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/files/sam2\.1_hiera_large\.pt"):
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


def rules_of(predictor):
    return {
        "fill_hole_area": predictor.fill_hole_area,
        "binarize": predictor.binarize_mask_from_pts_for_mem_enc,
        "overlap": not predictor.non_overlap_masks,
        "corrected": predictor.add_all_frames_to_correct_as_cond,
        "cleared": predictor.clear_non_cond_mem_around_input,
        "stability": predictor.model.config.least_stability,
    }


def test_video_predictor_postprocesses_as_metas(tiny_yaml):
    assert rules_of(build_sam2_video_predictor(tiny_yaml, device="cpu")) == {
        "fill_hole_area": 8,
        "binarize": True,
        "overlap": True,
        "corrected": False,
        "cleared": False,
        "stability": 0.98,
    }
    plain = build_sam2_video_predictor(tiny_yaml, device="cpu", apply_postprocessing=False)
    assert rules_of(plain) == {
        "fill_hole_area": 0,
        "binarize": False,
        "overlap": True,
        "corrected": False,
        "cleared": False,
        "stability": 0,
    }


def test_video_predictor_obeys_overrides(tiny_yaml):
    predictor = build_sam2_video_predictor(
        tiny_yaml,
        device="cpu",
        apply_postprocessing=False,
        hydra_overrides_extra=[
            "++model.non_overlap_masks=true",
            "++model.fill_hole_area=3",
            "++model.add_all_frames_to_correct_as_cond=true",
            "++model.clear_non_cond_mem_around_input=true",
            "++model.image_size=256",
        ],
    )

    assert rules_of(predictor) == {
        "fill_hole_area": 3,
        "binarize": False,
        "overlap": False,
        "corrected": True,
        "cleared": True,
        "stability": 0,
    }
    assert predictor.image_size == 256


def test_rules_of_videos_are_none_of_an_image_model(tiny_yaml):
    with pytest.raises(ValueError, match=r"\['model\.non_overlap_masks'\] are not understood"):
        build_sam2(tiny_yaml, hydra_overrides_extra=["++model.non_overlap_masks=true"])


def test_embedded_model_follows_videos_by_its_name():
    predictor = SAM2VideoPredictor.from_pretrained("sam2.1_hiera_nano", device="cpu")

    assert predictor.fill_hole_area == 8
    assert not predictor.training
