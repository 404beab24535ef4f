"""Views of scenes, and the stream of them."""

import pytest
import torch
from training_steps import generator

from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.datasets import SampleStream, StreamOptions


def test_views_keep_labels_on_their_pixels(blobs):
    images = torch.from_numpy(blobs[0]).float()[:, None].expand(-1, 3, -1, -1) / 255
    labels = torch.from_numpy(blobs[1]).int()
    for seed in range(8):
        view, seen = random_view(images, labels, 64, (0.5, 2.0), generator(seed))
        assert view.shape == (8, 3, 64, 64)
        if (seen > 0).any() and (seen == 0).any():
            assert view[:, 0][seen > 0].mean() > view[:, 0][seen == 0].mean() + 0.4


def test_light_keeps_images_in_range():
    images = torch.rand(2, 3, 16, 16, generator=generator())
    changed = [random_light(images, generator(seed)) for seed in range(20)]

    assert all(one.shape == images.shape and one.isfinite().all() for one in changed)
    assert all(one.min() >= 0 and one.max() <= 1 for one in changed)
    assert sum(not torch.equal(one, images) for one in changed) > 10


@pytest.mark.parametrize("n_frames", [1, 3])
def test_stream_is_the_same_for_the_same_seed(n_frames):
    options = StreamOptions(size=64, n_frames=n_frames, pool=2, echo=2)
    first, again = iter(SampleStream(options)), iter(SampleStream(options))
    for _ in range(4):
        one, other = next(first), next(again)
        assert one.images.shape == (n_frames, 3, 64, 64)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_kept_out_images_are_never_drawn(tmp_path, blobs):
    import tifffile
    from skimage.io import imsave

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name, value in (("train", 200), ("test", 50)):
        imsave(tmp_path / "images" / f"{name}.png", blobs[0][0] * 0 + value, check_contrast=False)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", blobs[1][0])
    options = StreamOptions(
        size=64, nuclei=tmp_path, nuclei_share=1.0, kept_out=frozenset({"test"})
    )
    stream = SampleStream(options)

    assert [path.stem for path in stream._nuclei] == ["train"]
    assert next(iter(stream)).labels.any()
