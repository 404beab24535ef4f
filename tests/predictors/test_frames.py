import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.predictors.frames import FrameError, FrameSource, View

full_range = View(contrast_limits=(0, 255))


class CountingStack:
    """Gives single frames, and counts them; fails if it is read whole."""

    shape, dtype = (10, 6, 8), np.dtype(np.uint8)

    def __init__(self):
        self.read = []

    def __getitem__(self, index):
        assert isinstance(index[0], int), f"more than one frame was read: {index}"
        self.read.append(index[0])
        return np.full(self.shape[1:], index[0], dtype=self.dtype)


def test_only_the_frame_asked_for_is_read():
    stack = CountingStack()
    source = FrameSource(stack, full_range)
    assert stack.read == []

    frame = source.read(7)

    assert stack.read == [7]
    assert np.allclose(frame, 7 / 255)


def test_array_without_frames_axis_is_one_frame():
    source = FrameSource(np.zeros((6, 8)))

    assert (source.n_frames, source.shape, source.label_shape) == (1, (6, 8), (6, 8))
    assert source.index(0) == (slice(None), slice(None))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis_can_be_played(axis):
    data = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    source = FrameSource(data, View(axis=axis, contrast_limits=(0, 255)))

    assert source.n_frames == data.shape[axis]
    for frame in range(source.n_frames):
        assert np.allclose(source.read(frame)[..., 0] * 255, data.take(frame, axis))
        assert np.array_equal(data[source.index(frame)], data.take(frame, axis))


@pytest.mark.parametrize(
    ("held", "message"),
    [({1: 3}, "Axis 1 cannot be held at 3; it has 3"), ({0: 1, 1: 1}, "Axis 0 is played through")],
)
def test_axes_that_cannot_be_held_are_an_error(held, message):
    with pytest.raises(ValueError, match=message):
        FrameSource(np.zeros((2, 3, 20, 30), np.uint8), View(axis=0, held=held))


def test_negative_positions_count_from_the_end():
    data = np.arange(3, dtype=np.uint8)[None, :, None, None] * np.ones((2, 3, 20, 30), np.uint8)
    source = FrameSource(data, View(held={1: -1}, contrast_limits=(0, 2)))

    assert source.index(0)[1] == 2
    assert (source.read(0) == 1).all()


def test_further_axes_are_held():
    data = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 6), dtype=np.uint8)
    source = FrameSource(data, View(axis=0, held={1: 2}, contrast_limits=(0, 255)))

    assert (source.n_frames, source.shape) == (3, (5, 6))
    assert np.allclose(source.read(1)[..., 0] * 255, data[1, 2])


def test_axis_that_is_left_over_says_what_to_do():
    with pytest.raises(ValueError, match=r"leaves axes \[1, 2, 3\].*Hold every other axis"):
        FrameSource(np.zeros((2, 3, 4, 5)))


@pytest.mark.parametrize("axis", [3, -4])
def test_axis_that_is_not_there_is_an_error(axis):
    with pytest.raises(ValueError, match=f"no axis {axis}"):
        FrameSource(np.zeros((2, 3, 4)), View(axis=axis))


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_is_guessed_and_alpha_dropped(channels):
    data = np.random.default_rng(0).integers(0, 255, (2, 9, 8, channels), dtype=np.uint8)
    source = FrameSource(data)

    assert source.label_shape == (2, 9, 8)
    assert np.allclose(source.read(1) * 255, data[1, ..., :3], atol=1e-4)


def test_three_slices_of_a_volume_are_not_colour():
    assert FrameSource(np.zeros((9, 3, 3))).rgb is False
    assert FrameSource(np.zeros((9, 8, 3)), View(rgb=False)).shape == (8, 3)


def test_inverted_images_are_shown_inverted():
    data = np.array([[[100, 300] * 5] * 10], np.uint16)
    source = FrameSource(data, View(contrast_limits=(100, 300), inverted=True))

    assert source.read(0)[0, :2, 0].tolist() == [1, 0]


def test_contrast_limits_and_gamma_are_what_the_model_sees():
    view = View(contrast_limits=(100, 300), gamma=2)
    frame = FrameSource(np.array([[50, 100, 200, 300, 900]], dtype=np.uint16), view).read(0)

    assert np.allclose(frame[0, :, 0], [0, 0, 0.25, 1, 1])


def test_limits_that_were_not_given_ignore_outliers():
    data = np.full((4, 50, 50), 1000, dtype=np.uint16)
    data[:, ::2] = 1200
    data[0, 0, 0] = 65535

    assert FrameSource(data).contrast_limits == (1000, 1200)


def test_few_bright_pixels_on_a_constant_background_are_seen():
    image = np.full((200, 200), 100, np.uint16)
    image[50:55, 50:54] = 3000  # a twentieth of a per cent
    source = FrameSource(image)

    assert source.contrast_limits == (100, 3000)
    assert source.read(0).max() == 1


def test_bright_16_bit_data_keeps_its_depth():
    data = (60000 + np.arange(100, dtype=np.uint16)).reshape(10, 10)
    frame = FrameSource(data, View(contrast_limits=(60000, 60099))).read(0)

    assert len(np.unique(frame)) == 100


numbers = st.sampled_from(
    [np.bool_, np.uint8, ">u2", np.int32, "<i8", np.float16, np.float32, ">f8"]
).map(np.dtype)


@given(data=st.data(), dtype=numbers)
@settings(deadline=None)
def test_any_real_array_gives_finite_pixels_in_range(data, dtype):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    stack = data.draw(hnp.arrays(dtype, shape))
    with np.errstate(all="ignore"):
        source = FrameSource(stack, View(rgb=False))
        frame = source.read(source.n_frames - 1)

    assert frame.shape == (*shape[-2:], 3)
    assert frame.dtype == np.float32
    assert ((frame >= 0) & (frame <= 1)).all()


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf])
def test_image_of_one_value_is_black(value):
    frame = FrameSource(np.full((4, 5), value, dtype=np.float32)).read(0)

    assert frame.max() in {0, 1}
    assert frame.min() == frame.max()


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5), (5,), ()])
def test_array_without_pixels_is_an_error(shape):
    with pytest.raises(ValueError, match="with pixels in it"):
        FrameSource(np.zeros(shape))


def test_complex_array_says_what_to_do():
    with pytest.raises(ValueError, match="magnitude"):
        FrameSource(np.zeros((3, 4), dtype=complex))


@pytest.mark.parametrize("frame", [-1, 8])
def test_frame_that_is_not_there_is_an_error(frame, blobs):
    with pytest.raises(IndexError, match=f"no frame {frame}"):
        FrameSource(blobs[0]).read(frame)


def test_failing_read_names_the_frame():
    def fail(block):
        raise OSError("disk unplugged")

    stack = dask.array.zeros((4, 6, 8), chunks=(1, 6, 8), dtype=np.uint8).map_blocks(
        fail, dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8)
    )
    with pytest.raises(FrameError, match="Frame 2 could not be read: disk unplugged"):
        FrameSource(stack, full_range).read(2)


def test_of_a_region_nothing_else_is_read(blobs):
    asked = []

    class Recording:
        shape, dtype = blobs[0].shape, blobs[0].dtype

        def __getitem__(self, index):
            asked.append(index)
            return blobs[0][index]

    source = FrameSource(Recording(), View(axis=0, contrast_limits=(0, 255)))
    region = (slice(10, 20), slice(30, 60))

    assert np.array_equal(source.read(3, region), source.read(3)[region])
    assert asked[0] == (3, *region)


@pytest.mark.parametrize("kind", ["dask", "zarr", "memmap"])
def test_lazy_arrays_give_what_numpy_gives(kind, blobs, tmp_path):
    images, _ = blobs
    if kind == "dask":
        lazy = dask.array.from_array(images, chunks=(1, 50, 50))
    elif kind == "zarr":
        lazy = zarr.create_array(store={}, data=images, chunks=(1, 50, 50))
    else:
        np.save(tmp_path / "stack.npy", images)
        lazy = np.load(tmp_path / "stack.npy", mmap_mode="r")

    assert np.array_equal(FrameSource(lazy).read(3), FrameSource(images).read(3))
