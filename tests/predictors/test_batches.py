"""What is done where the device runs out of memory."""

import weakref

import pytest
import torch

from napari_sam2.predictors.batches import Batches, DeviceMemoryError, is_out_of_memory
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import BoxPrompt

MESSAGES = {
    "CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GiB)"),
    "CPU, Linux": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 68719476736 bytes. Error code 12"
    ),
    "CPU, Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    "numpy": MemoryError("Unable to allocate 8.00 GiB for an array"),
}
IDS = list(range(1, 8))


@pytest.fixture
def small_device(tiny_model, monkeypatch):
    """A model that has memory for so many objects at once, and counts what it is asked."""

    def make(room, error=MESSAGES["CUDA"]):
        asked = []
        attend = tiny_model.with_memory

        def with_memory(features, memories):
            asked.append(len(memories.spatial))
            if asked[-1] > room:
                raise error
            return attend(features, memories)

        monkeypatch.setattr(tiny_model, "with_memory", with_memory)
        return asked

    return make


def begin(model, images, ids=IDS):
    tracker = Tracker(model, FrameSource(images), options=TrackerOptions(field="frame"))
    for i in ids:
        tracker.prompt(i, 0, [BoxPrompt(0, 10 + i, 20 + 5 * i, 40 + i, 50 + 5 * i)])
    return tracker


@pytest.mark.parametrize("error", MESSAGES.values(), ids=MESSAGES)
def test_batch_is_halved_until_it_fits_and_so_it_stays(tiny_model, blobs, small_device, error):
    whole = begin(tiny_model, blobs[0])
    expected = [whole.step(IDS, frame) for frame in (0, 1, 2)]
    asked = small_device(2, error)
    tracker = begin(tiny_model, blobs[0])
    found = [tracker.step(IDS, frame) for frame in (0, 1, 2)]

    assert asked == [7, 3, 1, 1, 1, 1, 1, 1, 1] + [1] * 7
    for one, other in zip(found, expected, strict=True):
        assert list(one) == IDS
        for i in IDS:
            torch.testing.assert_close(one[i].logits, other[i].logits, atol=1e-4, rtol=0)


def test_no_room_for_one_object_says_what_to_do_and_loses_nothing(
    tiny_model, blobs, small_device, monkeypatch
):
    tracker = begin(tiny_model, blobs[0])
    tracker.step(IDS, 0)
    with monkeypatch.context() as patch:
        patch.setattr(tiny_model, "with_memory", _fail)
        with pytest.raises(DeviceMemoryError, match=r"lower precision.*image_size.*device='cpu'"):
            tracker.step(IDS, 1)

    assert list(tracker.step(IDS, 1)) == IDS


def _fail(*_):
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_image_that_does_not_fit_says_what_to_do(tiny_model, blobs, monkeypatch):
    monkeypatch.setattr(tiny_model, "encode_image", _fail)

    with pytest.raises(DeviceMemoryError, match="not enough memory on cpu"):
        begin(tiny_model, blobs[0])


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_are_none_of_memory(tiny_model, blobs, small_device, error):
    assert not is_out_of_memory(error)
    tracker = begin(tiny_model, blobs[0])
    small_device(0, error)

    with pytest.raises(type(error), match=str(error)):
        tracker.step(IDS, 1)
    assert tracker._follower._batches.most == 16


def test_while_fewer_are_tried_what_more_took_is_free():
    taken = []

    def track(ids):
        assert all(one() is None for one in taken)
        large = torch.zeros(3)
        taken.append(weakref.ref(large))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return dict.fromkeys(ids)

    batches = Batches(4, torch.device("cpu"))

    assert [i for i, _ in batches.each([[1, 2, 3, 4, 5], [6]], track)] == [1, 2, 3, 4, 5, 6]
    assert len(taken) == 5
