"""The same script on Meta's video predictor and on ours gives the same masks."""

import pytest
import torch
from PIL import Image
from video_calls import CASES, five_objects, noisy_video

reference = pytest.importorskip("parity_reference", reason="Meta's sam2 is not installed")
pairs = pytest.importorskip("predictor_pairs")

from napari_sam2.predictors.meta.video import SAM2VideoPredictor  # noqa: E402
from napari_sam2.predictors.postprocess import without_overlap  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def video():
    return noisy_video()


def run_both(config, video, case, **rules):
    """Yield the frame, our masks and Meta's after each step of a script."""
    pair = pairs.video_predictors(config, case, **rules)
    for ours, theirs in pairs.run_script(pair, video, case):
        (frame, ids, masks), (metas_frame, metas_ids, metas_masks) = ours, theirs
        assert (frame, list(ids)) == (metas_frame, list(metas_ids))
        yield frame, masks, metas_masks


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_script_gives_the_same_masks(tiny_config, video, case):
    count = 0
    for frame, ours, metas in run_both(tiny_config, video, case):
        torch.testing.assert_close(
            ours, metas, atol=1e-3, rtol=0, msg=lambda m, f=frame: f"{f}: {m}"
        )
        count += 1
    assert count


def test_winners_of_overlaps_are_as_sure(tiny_config, video):
    # Where two objects are as sure but for rounding, either may have the pixel.
    for _, ours, metas in run_both(
        tiny_config, video, CASES["five_objects"], non_overlap_masks=True
    ):
        torch.testing.assert_close(ours.amax(dim=0), metas.amax(dim=0), atol=1e-3, rtol=0)
        assert ((ours > 0).sum(dim=0) <= 1).all()


@pytest.mark.parametrize("count", [1, 4])
def test_each_pixel_goes_to_the_object_metas_rule_gives_it(tiny_config, count):
    logits = 20 * torch.randn(count, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    _, theirs = reference.pair(tiny_config)

    assert torch.equal(without_overlap(logits), theirs._apply_non_overlapping_constraints(logits))


def test_folder_of_jpegs_gives_the_same_masks(tiny_config, tmp_path):
    smooth = torch.rand(6, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    frames = torch.nn.functional.interpolate(smooth, (90, 140), mode="bicubic").clamp(0, 1)
    for number, frame in enumerate((frames * 255).byte().permute(0, 2, 3, 1).numpy()):
        Image.fromarray(frame).save(tmp_path / f"{number}.jpg")
    model, theirs = reference.pair(tiny_config)
    ours = SAM2VideoPredictor(model, binarize_mask_from_pts_for_mem_enc=True)

    states = ours.init_state(str(tmp_path)), theirs.init_state(str(tmp_path))

    for key in ("num_frames", "video_height", "video_width"):
        assert states[0][key] == states[1][key]
    for (_, _, masks), (_, _, metas) in zip(
        five_objects(ours, states[0]), five_objects(theirs, states[1]), strict=True
    ):
        assert masks.shape[-2:] == (90, 140)
        torch.testing.assert_close(masks, metas, atol=1e-3, rtol=0)
