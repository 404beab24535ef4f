"""Meta's video predictor here: what it reads, what it refuses, what it keeps."""

import av
import dask.array
import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam2.predictors.frames import FrameError
from napari_sam2.predictors.meta.video import SAM2VideoPredictor


@pytest.fixture
def predictor(tiny_model):
    return SAM2VideoPredictor(tiny_model, fill_hole_area=8)


@pytest.fixture
def video(blobs):
    return blobs[0]


@pytest.fixture
def folder(tmp_path, video):
    """Frames as Meta's predictor has them on disk; names that do not sort as text."""
    for number, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"{number + 5}.jpg", quality=100)
    return tmp_path


@pytest.fixture
def mp4(tmp_path, video):
    path = tmp_path / "video.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = video.shape[1:]
        stream.bit_rate = 4_000_000
        for frame in video:
            rgb = np.repeat(frame[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


def follow(predictor, video, **options):
    """A click on the first frame, followed: masks of every frame, bool, (T, H, W)."""
    state = predictor.init_state(video, **options)
    predictor.add_new_points_or_box(state, 0, 1, points=[[40, 30]], labels=[1])
    found = [masks[0, 0] > 0 for _, _, masks in predictor.propagate_in_video(state)]
    return torch.stack(found).numpy()


def pictures(predictor, video):
    """What the model sees of every frame."""
    frames = predictor.init_state(video).tracker.source
    return np.stack([frames.read(frame) for frame in range(frames.n_frames)])


@pytest.mark.parametrize("kind", ["dask", "colour", "alpha"])
def test_arrays_of_bytes_give_what_their_grey_pictures_give(predictor, video, kind):
    other = np.repeat(video[..., None], 4, axis=3)
    other[..., 3] = 255
    arrays = {"dask": dask.array.from_array(video), "colour": other[..., :3], "alpha": other}

    assert np.array_equal(follow(predictor, arrays[kind]), follow(predictor, video))


def test_arrays_of_sixteen_bits_are_shown_by_their_contrast(predictor, video):
    seen = pictures(predictor, video.astype(np.uint16) * 100)

    assert seen.min() == 0
    assert seen.max() == 1


def test_folder_is_read_in_the_order_of_its_numbers(predictor, video, folder):
    assert np.abs(pictures(predictor, folder) - pictures(predictor, video)).max() < 0.03


@pytest.mark.parametrize("as_bytes", [False, True], ids=["path", "bytes"])
def test_video_file_is_read_forward_and_again(predictor, video, mp4, as_bytes):
    frames = predictor.init_state(mp4.read_bytes() if as_bytes else str(mp4)).tracker.source
    expected = pictures(predictor, video)

    for frame in (0, 3, 7, 2, 2):
        assert np.abs(frames.read(frame) - expected[frame]).mean() < 0.05


def test_memory_that_is_bounded_changes_nothing_for_frames_in_order(predictor, video):
    assert np.array_equal(follow(predictor, video, remember_all=False), follow(predictor, video))


def test_object_that_was_never_asked_for_is_nowhere(predictor, video):
    state = predictor.init_state(video)
    predictor.add_new_points_or_box(state, 0, 1, points=[[40, 30]], labels=[1])

    frame, ids, masks = predictor.add_new_points_or_box(state, 3, 2, box=[70, 50, 100, 75])

    assert (frame, ids, tuple(masks.shape)) == (3, [1, 2], (2, 1, *video.shape[1:]))
    assert (masks[0] == -1024).all()


def test_state_can_be_asked_as_metas(predictor, video):
    state = predictor.init_state(video)

    assert [state[key] for key in ("num_frames", "video_height", "video_width")] == [8, 96, 128]
    assert state["obj_ids"] == []
    with pytest.raises(KeyError, match="output_dict"):
        state["output_dict"]


def test_predictor_is_a_module_that_can_be_moved(predictor):
    assert predictor.to("cpu").eval().device == torch.device("cpu")
    assert predictor.image_size == 128


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": [[1, 2]]}, "Expected point_labels with point_coords"),
        ({"labels": [1]}, "Expected point_coords with point_labels"),
        ({}, "give points, or a box"),
        ({"points": [[1, 2]], "labels": [1, 0]}, r"point_labels of shape \(1,\)"),
        ({"points": [[1, 2, 3]], "labels": [1]}, r"point_coords of shape \(P, 2\)"),
        ({"box": [1, 2, 3]}, r"Expected a box \[x0, y0, x1, y1\]"),
        ({"box": [[1, 2, 3, 4], [5, 6, 7, 8]]}, "one object at a time, got 2"),
        ({"box": [1, 2, 3, 4], "clear_old_points": False}, "box must come before the points"),
    ],
)
def test_prompts_that_do_not_go_together_are_refused(predictor, video, prompts, message):
    state = predictor.init_state(video)
    with pytest.raises(ValueError, match=message):
        predictor.add_new_points_or_box(state, 0, 1, **prompts)

    assert state.obj_ids == []


def test_mask_of_another_size_is_brought_to_the_video(predictor, video):
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[5:25, 10:30] = 1
    state = predictor.init_state(video)

    _, _, masks = predictor.add_new_mask(state, 0, 1, mask)

    expected = np.kron(mask, np.ones((2, 2))) > 0
    found = masks[0, 0].numpy() > 0
    assert (found & expected).sum() / (found | expected).sum() > 0.9


def test_mask_of_more_than_two_axes_is_refused(predictor, video):
    with pytest.raises(ValueError, match=r"shape \(H, W\); got shape \(1, 96, 128\)"):
        predictor.add_new_mask(predictor.init_state(video), 0, 1, np.ones((1, 96, 128)))


@pytest.mark.parametrize("frame", [-1, 8])
def test_frame_that_is_not_there_is_an_index_error(predictor, video, frame):
    state = predictor.init_state(video)
    with pytest.raises(IndexError, match=f"no frame {frame}; the video has 8"):
        predictor.add_new_points_or_box(state, frame, 1, points=[[1, 2]], labels=[1])
    with pytest.raises(IndexError, match=f"no frame {frame}"):
        predictor.clear_all_prompts_in_frame(state, frame, 1)


def test_propagating_without_prompts_says_so(predictor, video):
    state = predictor.init_state(video)
    with pytest.raises(ValueError, match="no prompts: add points"):
        next(predictor.propagate_in_video(state))
    predictor.add_new_points_or_box(state, 0, 4, points=[[40, 30]], labels=[1])
    predictor.clear_all_prompts_in_frame(state, 0, 4)
    with pytest.raises(ValueError, match="Object 4 has no prompts"):
        next(predictor.propagate_in_video(state))


def test_removing_an_unknown_object_is_an_error_only_where_strict(predictor, video):
    state = predictor.init_state(video)

    assert predictor.remove_object(state, 3) == ([], [])
    with pytest.raises(ValueError, match="no object 3"):
        predictor.remove_object(state, 3, strict=True)


def test_corrupt_jpeg_is_named_with_its_frame(predictor, folder):
    (folder / "8.jpg").write_bytes(b"no picture")
    with pytest.raises(FrameError, match=r"Frame 3 could not be read from .*8\.jpg"):
        follow(predictor, folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [(None, "No images found"), ("first.jpg", r"named <number>\.jpg; got \['first\.jpg'\]")],
    ids=["empty", "names"],
)
def test_folder_without_numbered_jpegs_is_refused(predictor, tmp_path, name, message):
    if name:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        predictor.init_state(tmp_path)


def test_file_that_is_no_video_is_named(predictor, tmp_path):
    (tmp_path / "notes.mp4").write_text("not a video")
    with pytest.raises(ValueError, match=r"notes\.mp4 could not be read as a video"):
        predictor.init_state(tmp_path / "notes.mp4")
    with pytest.raises(ValueError, match=r"no folder of JPEGs and no video file .*nothing\.mp4"):
        predictor.init_state(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("video", [np.zeros((4, 5)), np.zeros((0, 4, 5)), 7])
def test_what_is_no_video_is_refused(predictor, video):
    with pytest.raises(ValueError, match=r"array \(T, H, W\)"):
        predictor.init_state(video)


def test_halves_give_nearly_the_same_masks(tiny_model, video):
    exact = follow(SAM2VideoPredictor(tiny_model), video)
    halves = follow(SAM2VideoPredictor(tiny_model, precision=torch.bfloat16), video)

    differ = exact != halves
    assert 0 < differ.sum() < 0.05 * exact.sum()
