"""A script written for Meta's package runs on ours with its import changed: the same masks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_models import randomize, set_presence

from napari_sam2.demo import make_time_lapse
from napari_sam2.evaluation.mask_files import MaskFolder

reference = pytest.importorskip("parity_reference", reason="Meta's sam2 is not installed")
metas_build = pytest.importorskip("sam2.build_sam")
pytestmark = pytest.mark.parity

SCRIPT = Path(__file__).with_name("vos_script.py")
METAS_IMPORT = "from sam2.build_sam import build_sam2_video_predictor\n"
OUR_IMPORT = "from napari_sam2 import build_sam2_video_predictor\n"

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
SIZE = 256  #: of the model's input, so that a frame takes a second
#: Of the generated time-lapse: a corner, its frames, and how many objects to follow. An object is
#: every second nucleus, or every one: where masks are large, memories differ more.
CORNER = (slice(128), slice(128))
VIDEOS = {"two": (range(5), 2), "one": (range(10, 13), 1)}
#: Logits that differ by less are the same but for rounding.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random weights, in a file like those that Meta publishes."""
    overrides = [f"++model.image_size={SIZE}"]
    model = metas_build.build_sam2(CONFIG, device="cpu", hydra_overrides_extra=overrides)
    set_presence(randomize(model, seed=5))  # one of the seeds by which masks are not all alike
    # Masks are to depend on what was remembered of the object, and by so much that the rounding
    # of one processor or another does not matter: attention picks among the memories rather than
    # taking their mean, and a memory is made of the mask as much as of the image.
    with torch.no_grad():
        for layer in model.memory_attention.layers:
            attention = layer.cross_attn_image
            for linear, gain in zip(attention.children(), (2, 2, 8, 8), strict=True):
                linear.weight.mul_(gain)
        model.memory_encoder.mask_downsampler.encoder[-1].weight.mul_(10)
        model.memory_encoder.pix_feat_proj.weight.mul_(0.1)
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save({"model": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Folders of JPEGs, and of masks of their first frames."""
    folder = tmp_path_factory.mktemp("videos")
    lapse = make_time_lapse()
    for name, (frames, count) in VIDEOS.items():
        (folder / "frames" / name).mkdir(parents=True)
        for number, frame in enumerate(frames):
            picture = Image.fromarray(lapse.images[frame][CORNER])
            picture.save(folder / "frames" / name / f"{number:05d}.jpg", quality=95)
        first = lapse.labels[frames[0]][CORNER]
        masks = {n: (first > 0) & (first % count == n - 1) for n in range(1, count + 1)}
        MaskFolder(folder / "masks" / name).write("00000", masks, first.shape, per_object=False)
    return folder


@pytest.fixture(scope="module")
def run(checkpoint, videos, tmp_path_factory):
    """Run the script, as it is or as told, in a folder of its own; gives its results."""

    def run(script):
        folder = tmp_path_factory.mktemp("run")
        (folder / SCRIPT.name).write_text(script, encoding="utf-8")
        command = [sys.executable, SCRIPT.name, "--device", "cpu"]
        command += ["--sam2_cfg", CONFIG, "--sam2_checkpoint", checkpoint]
        command += ["--image_size", str(SIZE), "--base_video_dir", videos / "frames"]
        command += ["--input_mask_dir", videos / "masks", "--output_mask_dir", "out"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / "out"

    return run


@pytest.fixture(scope="module")
def both(run):
    """What comes out here and there."""
    script = SCRIPT.read_text(encoding="utf-8")
    assert script.count(METAS_IMPORT) == 1
    return run(script.replace(METAS_IMPORT, OUR_IMPORT)), run(script)


def names(folder, suffix):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(f"*{suffix}"))


def test_the_same_files_are_written(both):
    ours, theirs = (names(folder, "") for folder in both)

    assert ours == theirs
    assert len(names(both[0], ".png")) == sum(len(frames) for frames, _ in VIDEOS.values())


def test_logits_are_the_same(both):
    for name in names(both[1], ".npy"):
        ours, theirs = (np.load(folder / name) for folder in both)

        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < TOLERANCE, name


def test_pictures_are_the_same_but_where_logits_are_zero(both):
    for name in names(both[1], ".png"):
        ours, theirs = (Image.open(folder / name) for folder in both)
        logits = np.load(both[1] / name.replace(".png", ".npy"))[:, 0]
        undecided = (np.abs(logits) < TOLERANCE).any(axis=0)

        assert ours.mode == theirs.mode == "P"
        assert ours.getpalette() == theirs.getpalette()
        differ = np.asarray(ours) != np.asarray(theirs)
        assert not (differ & ~undecided).any(), name


def test_masks_could_differ(both):
    # They are neither empty nor full, and one object's are not the other's: else being the same
    # would say little.
    for name in names(both[1], ".npy"):
        masks = np.load(both[1] / name)[:, 0] > 0
        shares = masks.mean(axis=(1, 2))

        assert ((shares > 0.01) & (shares < 0.95)).all(), (name, shares)
        assert all((masks[0] != other).sum() > 50 for other in masks[1:]), name
