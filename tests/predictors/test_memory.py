import pytest
import torch

from napari_sam2.predictors.memory import FrameMemory, ObjectMemory, collate


def memory(value):
    return FrameMemory(torch.full((1, 4, 2, 2), float(value)), torch.full((1, 8), float(value)))


def tracked_over(frames, prompted=(0,)):
    return ObjectMemory(
        {frame: memory(frame) for frame in prompted},
        {frame: memory(frame) for frame in frames if frame not in prompted},
    )


def ages(pairs):
    return [age for age, _ in pairs]


def frames_of(pairs):
    return [int(tensor.flatten()[0]) for _, tensor in pairs]


def test_prompted_frames_and_the_last_six_are_attended_to():
    attended = tracked_over(range(40), prompted=(0, 12)).attended(30, n_frames=40)

    assert frames_of(attended.spatial) == [0, 12, 24, 25, 26, 27, 28, 29]
    assert ages(attended.spatial) == [0, 0, 6, 5, 4, 3, 2, 1]


def test_pointers_of_the_past_and_of_the_last_fifteen():
    attended = tracked_over(range(40), prompted=(0, 35)).attended(30, n_frames=40)

    assert frames_of(attended.pointers) == [0, *range(29, 14, -1)]
    assert ages(attended.pointers) == [30, *range(1, 16)]


def test_backwards_the_frames_behind_are_those_ahead():
    attended = tracked_over(range(40), prompted=(35, 3)).attended(30, reverse=True, n_frames=40)

    assert frames_of(attended.spatial) == [35, 3, 36, 34, 33, 32, 31]
    assert frames_of(attended.pointers)[0] == 35
    assert ages(attended.pointers)[0] == 5


def test_short_sequences_have_fewer_pointers():
    attended = tracked_over(range(5)).attended(4, n_frames=4)

    assert ages(attended.pointers) == [4, 1, 2, 3]


def test_frame_does_not_attend_to_itself():
    attended = tracked_over(range(5), prompted=(0, 3)).attended(3, n_frames=20)

    assert frames_of(attended.spatial) == [0, 1, 2]


@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_forgotten_would_not_have_been_attended_to(reverse):
    everything = tracked_over(range(60), prompted=(10,))
    near = tracked_over(range(60), prompted=(10,))
    near.keep_near((30, 10))
    after = 29 if reverse else 31

    for frame in (after, 9 if reverse else 11):
        kept, full = (m.attended(frame, reverse=reverse, n_frames=60) for m in (near, everything))
        assert frames_of(kept.spatial) == frames_of(full.spatial)
        assert frames_of(kept.pointers) == frames_of(full.pointers)
    assert len(near.tracked) < 60


def test_memory_does_not_grow_with_the_frames():
    known = tracked_over(())
    known.prompted[0] = memory(0)
    sizes = []
    for frame in range(1, 200):
        known.tracked[frame] = memory(frame)
        known.keep_near((frame, 0))
        sizes.append(sum(m.features is not None for m in known.tracked.values()))

    assert max(sizes[50:]) == sizes[50]


def test_chosen_frames_are_kept_from_afar_the_latest_six_whole():
    known = tracked_over(range(60))
    chosen = [20, 18, 15, 14, 13, 12, 9, 8]
    known.keep_near((59, 0), chosen)

    whole = {frame for frame, one in known.tracked.items() if one.features is not None}
    assert set(known.tracked) == {*range(1, 17), *range(43, 60), *chosen}
    assert whole == {*range(1, 8), *range(52, 60), *chosen[:6]}


def test_correction_forgets_what_is_around_it():
    known = tracked_over(range(30))
    known.forget_around(15)

    assert set(known.tracked) == {*range(1, 8), *range(23, 30)}


def test_objects_are_batched_in_order():
    pair = [
        tracked_over(range(4)).attended(4, n_frames=8),
        tracked_over(range(4)).attended(4, n_frames=8),
    ]
    pair[1].spatial[0][1].fill_(9)

    memories = collate(pair, 8, 8, torch.device("cpu"))

    assert memories.spatial.shape == (2, 4, 4, 2, 2)
    assert memories.spatial[:, 0, 0, 0, 0].tolist() == [0, 9]
    assert memories.ages == (0, 3, 2, 1)
    assert torch.allclose(memories.pointer_ages[0], torch.tensor([4, 1, 2, 3]) / 7)


def test_object_prompted_only_ahead_has_no_pointers():
    attended = tracked_over((), prompted=(9,)).attended(2, n_frames=20)

    assert collate([attended], 20, 8, torch.device("cpu")).pointers.shape == (1, 0, 8)


def test_single_frame_has_finite_pointer_ages():
    attended = tracked_over((), prompted=(0,)).attended(1, n_frames=1)

    assert collate([attended], 1, 8, torch.device("cpu")).pointer_ages.isfinite().all()
