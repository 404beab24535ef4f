"""Image features: kept within a budget, and found again on disk."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sam2 import Session, Settings, TrackerOptions, View
from napari_sam2.predictors.feature_store import FeatureStore
from napari_sam2.predictors.features import FeatureCache
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.windows import Window

WHOLE, PART = Window(0, 0, 96, 128), Window(8, 16, 64, 64)
SIZE = 4 * (32 * 8 * 8 + 4 * 32 * 32 + 8 * 16 * 16)  #: bytes of the features of one window


@pytest.fixture
def encoded(tiny_model, monkeypatch):
    """Counts images that are encoded."""
    count = []
    encode = tiny_model.encode_image
    monkeypatch.setattr(tiny_model, "encode_image", lambda x: count.append(1) or encode(x))
    return count


@pytest.fixture
def make_cache(tiny_model, blobs, tmp_path):
    """Caches over the same frames, and over the same folder."""

    def make(*, view=None, max_bytes=0, folder_bytes=2**30, folder=tmp_path / "features", **how):
        precision = how.get("precision", torch.float32)
        source = FrameSource(how.get("data", blobs[0]), view)
        store = FeatureStore(folder, tiny_model, precision, folder_bytes)
        return FeatureCache(
            tiny_model, source, precision=precision, max_bytes=max_bytes, store=store
        )

    return make


def assert_same(one, other):
    for mine, yours in zip(
        (one.embedding, one.positions, one.prompt_positions, *one.high_resolution),
        (other.embedding, other.positions, other.prompt_positions, *other.high_resolution),
        strict=True,
    ):
        assert mine.dtype == yours.dtype
        assert torch.equal(mine, yours)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_features_are_kept_as_there_is_room_for(tiny_model, blobs, count):
    cache = FeatureCache(tiny_model, FrameSource(blobs[0]), max_bytes=count * SIZE + SIZE // 2)
    for frame in range(8):
        _ = cache[frame, WHOLE if frame % 2 else PART]

        assert cache.nbytes == len(cache) * SIZE
        assert len(cache) == min(frame + 1, count)


def test_views_count_for_all_that_they_keep(tiny_model, blobs, monkeypatch):
    encode = tiny_model.encode_image

    def in_a_batch(pixels):
        features = encode(pixels)
        batch = features.embedding.repeat(10, 1, 1, 1)
        return features._replace(embedding=batch[:1])

    monkeypatch.setattr(tiny_model, "encode_image", in_a_batch)
    cache = FeatureCache(tiny_model, FrameSource(blobs[0]))
    embedding = cache[0, WHOLE].embedding

    assert cache.nbytes == SIZE + 9 * embedding.nbytes


def test_dropped_features_are_made_again_as_they_were(tiny_model, blobs):
    cache = FeatureCache(tiny_model, FrameSource(blobs[0]), max_bytes=0)
    first = cache[0, PART]
    _ = cache[1, PART]
    again = cache[0, PART]

    assert again is not first
    assert_same(again, first)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_features_are_found_again_as_they_were(make_cache, encoded, precision):
    first, second = (make_cache(precision=precision) for _ in range(2))
    for key in [(0, WHOLE), (0, PART), (3, PART)]:
        assert_same(first[key], second[key])

    assert len(encoded) == 3


def changed_weights(model):
    with torch.no_grad():
        model.sam_mask_decoder.conv_s1.weight[0, 0] += 1
    return {}


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"view": View(contrast_limits=(0, 100))},
        lambda _: {"precision": torch.bfloat16},
        lambda _: {"data": np.zeros((8, 96, 128), np.uint8)},
        changed_weights,
    ],
    ids=["contrast", "precision", "data", "weights"],
)
def test_features_of_something_else_are_not_taken(make_cache, encoded, tiny_model, change):
    _ = make_cache()[0, WHOLE]
    _ = make_cache(**change(tiny_model))[0, WHOLE]

    assert len(encoded) == 2


def test_features_of_another_precision_around_the_call_are_not_taken(make_cache, encoded):
    _ = make_cache()[0, WHOLE]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _ = make_cache()[0, WHOLE]

    assert len(encoded) == 2


def test_same_pixels_elsewhere_have_the_same_features(make_cache, encoded, blobs):
    _ = make_cache(view=View(contrast_limits=(0, 255)))[2, WHOLE]
    _ = make_cache(view=View(contrast_limits=(0, 255)), data=blobs[0][2:])[0, WHOLE]

    assert len(encoded) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not ours at all, and rather longer than a header is"),
        lambda path: path.write_bytes(_tensors(other=torch.zeros(2))),
        lambda path: path.write_bytes(
            _tensors(embedding=torch.zeros(1), stride4=torch.zeros(1), stride8=torch.zeros(1))
        ),
    ],
    ids=["cut short", "empty", "foreign", "other tensors", "other shapes"],
)
def test_file_that_cannot_be_used_is_made_anew(make_cache, encoded, tmp_path, spoil):
    first = make_cache()[0, WHOLE]
    (path,) = (tmp_path / "features").iterdir()
    whole = path.read_bytes()
    spoil(path)

    assert_same(make_cache()[0, WHOLE], first)
    assert len(encoded) == 2
    assert path.read_bytes() == whole


def _tensors(**tensors):
    from safetensors.torch import save

    return save(tensors)


def test_folder_keeps_within_its_budget_and_loses_what_was_longest_unused(
    make_cache, encoded, tmp_path
):
    folder = tmp_path / "features"
    one = make_cache()
    _ = one[0, WHOLE]
    size = sum(path.stat().st_size for path in folder.iterdir())
    (folder / "notes.txt").write_text("not ours")
    cache = make_cache(folder_bytes=3 * size)
    for frame in (1, 2, 0, 3, 4):  # 0 is used once more before there is no room
        _ = cache[frame, WHOLE]
    files = list(folder.glob("features-*"))

    assert len(files) == 3
    assert len(encoded) == 5
    assert (folder / "notes.txt").exists()
    _ = make_cache()[0, WHOLE]
    assert len(encoded) == 5


def test_what_is_larger_than_the_budget_is_not_kept(make_cache, tmp_path):
    _ = make_cache(folder_bytes=100)[0, WHOLE]

    assert not (tmp_path / "features").exists()


def test_full_disk_is_said_once_and_changes_nothing(make_cache, tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    cache = make_cache()
    with pytest.warns(UserWarning, match="No space left on device.*make room") as said:
        first, second = cache[0, WHOLE], cache[1, WHOLE]
    again = cache[0, WHOLE]

    assert len(said) == 1
    assert_same(first, again)
    assert not torch.equal(first.embedding, second.embedding)
    assert list((tmp_path / "features").iterdir()) == []


def test_folder_that_cannot_be_made_is_no_reason_to_stop(make_cache, tmp_path):
    (tmp_path / "file").touch()
    cache = make_cache(folder=tmp_path / "file" / "features")

    with pytest.warns(UserWarning, match="no longer kept"):
        assert cache[0, WHOLE].embedding.isfinite().all()


def test_opened_again_a_session_encodes_nothing(tiny_model, blobs, encoded, tmp_path):
    def run():
        options = TrackerOptions(feature_folder=tmp_path)
        session = Session(blobs[0], tiny_model, settings=Settings(tracker=options))
        session.add_points(session.add_object(), 0, [[30, 40]])
        list(session.propagate())
        return session.labels

    first = run()
    assert encoded
    encoded.clear()

    assert np.array_equal(run(), first)
    assert encoded == []


def test_two_threads_that_ask_for_the_same_are_counted_once(tiny_model, blobs, monkeypatch):
    cache = FeatureCache(tiny_model, FrameSource(blobs[0]), max_bytes=20 * SIZE)
    both = threading.Barrier(2)
    read = cache.source.read

    def slowly(*args):
        both.wait(20)  # both have found that there is nothing yet
        return read(*args)

    monkeypatch.setattr(cache.source, "read", slowly)
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(cache.__getitem__, (0, WHOLE)) for _ in range(2)]:
            one.result(20)

    assert cache.nbytes == len(cache) * SIZE
