"""What stacks may come as, and which part of them is looked at."""

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2 import Session
from napari_sam2.predictors.frames import FrameSource, View

FULL = (0, 255)
STACK = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
LEVELS = [STACK, STACK[:, ::2, ::2], STACK[:, ::4, ::4]]


STORES = []


@pytest.fixture(autouse=True)
def _close_stores():
    yield
    while STORES:
        STORES.pop().close()


def as_zarr(path):
    STORES.append(tifffile.imread(path, aszarr=True))
    return zarr.open(STORES[-1], mode="r")


def tiff(tmp_path, **options):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    return path


def pyramid_tiff(tmp_path):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as file:
        plain = {"photometric": "minisblack", "tile": (16, 16)}
        file.write(LEVELS[0], subifds=2, **plain)
        for level in LEVELS[1:]:
            file.write(level, subfiletype=1, **plain)
    return path


def ome_zarr(tmp_path, *, attributes):
    group = zarr.open_group(tmp_path / "pyramid.zarr", mode="w")
    for number, level in enumerate(LEVELS):
        group.create_array(f"s{number}", data=level, chunks=(1, 16, 16))
    datasets = [{"path": f"s{number}"} for number in range(len(LEVELS))]
    group.attrs.update(attributes([{"datasets": datasets}]))
    return group


OPENERS = {
    "memmap": lambda tmp_path: tifffile.memmap(tiff(tmp_path), mode="r"),
    "tiff as zarr": lambda tmp_path: as_zarr(tiff(tmp_path, compression="zlib")),
    "tiff in dask": lambda tmp_path: dask.array.from_zarr(as_zarr(tiff(tmp_path, tile=(16, 16)))),
    "zarr": lambda tmp_path: zarr.create_array(
        tmp_path / "stack.zarr", data=STACK, chunks=(1, 16, 16)
    ),
    "dask": lambda _: dask.array.from_array(STACK, chunks=(2, 16, 50)),
}
PYRAMIDS = {
    "list": lambda _: LEVELS,
    "dask": lambda _: [dask.array.from_array(level, chunks=(1, 10, 10)) for level in LEVELS],
    "tiff as zarr": lambda tmp_path: as_zarr(pyramid_tiff(tmp_path)),
    "OME-Zarr 0.4": lambda tmp_path: ome_zarr(
        tmp_path, attributes=lambda found: {"multiscales": found}
    ),
    "OME-Zarr 0.5": lambda tmp_path: ome_zarr(
        tmp_path, attributes=lambda found: {"ome": {"multiscales": found}}
    ),
}


@pytest.mark.parametrize("name", OPENERS)
def test_files_give_what_numpy_gives(name, tmp_path):
    source = FrameSource(OPENERS[name](tmp_path), View(rgb=False))
    region = (slice(5, 30), slice(11, 47))

    assert source.label_shape == STACK.shape
    for frame in range(3):
        assert np.array_equal(source.read(frame), FrameSource(STACK).read(frame))
        assert np.array_equal(source.read(frame, region), FrameSource(STACK).read(frame)[region])


@pytest.mark.parametrize("level", [0, 1, -1])
@pytest.mark.parametrize("name", PYRAMIDS)
def test_pyramid_is_read_at_the_level_asked_for(name, level, tmp_path):
    view = View(level=level, contrast_limits=FULL)
    source = FrameSource(PYRAMIDS[name](tmp_path), view)

    assert source.label_shape == LEVELS[level].shape
    assert np.allclose(source.read(2)[..., 0] * 255, LEVELS[level][2], atol=1e-3)


def test_full_resolution_is_seen_unless_another_level_is_asked_for():
    assert FrameSource(LEVELS).shape == (40, 50)


def test_napari_hands_its_pyramids_over_as_they_are():
    layers = pytest.importorskip("napari.layers")

    assert FrameSource(layers.Image(LEVELS, multiscale=True).data).shape == (40, 50)


@pytest.mark.parametrize(
    ("data", "level", "message"),
    [
        (STACK, 1, "no level 1: the data are one array"),
        (LEVELS, 3, "no level 3; the pyramid has 3 levels"),
        (list(STACK), 0, r"shapes \(40, 50\) and \(40, 50\).*np.stack\(frames\)"),
        (LEVELS[::-1], 0, r"each level smaller.*shapes \(3, 10, 13\) and \(3, 20, 25\)"),
        ([STACK, STACK[0]], 0, "each level smaller"),
        ([[1, 2], [3, 4]], 0, "got a list of list. Make an array"),
        ([], 0, "got a list of nothing"),
        (7, 0, "Expected an array, got int"),
    ],
)
def test_what_is_no_pyramid_says_what_to_do(data, level, message):
    with pytest.raises(ValueError, match=message):
        FrameSource(data, View(level=level))


def test_group_without_levels_names_its_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"no multiscales.*\['s0', 's1', 's2'\]"):
        FrameSource(ome_zarr(tmp_path, attributes=lambda _: {}))


def in_channels(axis, count=3):
    """A stack with a channel axis, and the stack of each channel."""
    stacks = [np.roll(STACK, shift, axis=1) // (shift + 1) for shift in range(count)]
    return np.stack(stacks, axis=axis), stacks


@pytest.mark.parametrize("axis", [0, 1, 3, -1])
def test_channels_on_any_axis_are_red_green_and_blue(axis):
    data, stacks = in_channels(axis)
    source = FrameSource(data, View(channel_axis=axis, contrast_limits=FULL))

    assert (source.n_frames, source.label_shape) == (3, STACK.shape)
    for frame in range(3):
        seen = np.stack([stack[frame] for stack in stacks], axis=-1)
        assert np.allclose(source.read(frame) * 255, seen, atol=1e-3)


@pytest.mark.parametrize(
    ("channels", "seen"),
    [([2], [2, 2, 2]), ([3, 0], [3, 0, None]), ([-1, 1, 0], [3, 1, 0]), (None, [0, 1, 2])],
)
def test_chosen_channels_are_seen_in_the_order_given(channels, seen):
    data, stacks = in_channels(1, count=4)
    view = View(channel_axis=1, channels=channels, contrast_limits=FULL)
    found = FrameSource(data, view).read(1) * 255

    assert all(0 <= one < 4 for one in FrameSource(data, view).channels)
    for colour, channel in enumerate(seen):
        expected = 0 if channel is None else stacks[channel][1]
        assert np.allclose(found[..., colour], expected, atol=1e-3)


def test_channels_that_are_not_wanted_are_not_read():
    read = []

    class Recording:
        shape, dtype = (4, *STACK.shape), STACK.dtype

        def __getitem__(self, index):
            read.append(index)
            return STACK[index[1:]]

    view = View(channel_axis=0, channels=[3, 1], contrast_limits=FULL)
    FrameSource(Recording(), view).read(2, (slice(0, 5), slice(0, 6)))

    assert read == [(channel, 2, slice(0, 5), slice(0, 6)) for channel in (3, 1)]


def test_each_channel_has_contrast_limits_of_its_own():
    data = np.stack([STACK // 4, STACK], axis=0)
    sampled = FrameSource(data, View(channel_axis=0))
    given = FrameSource(data, View(channel_axis=0, contrast_limits=[(0, 63), (0, 255)]))

    assert sampled.limits[0][1] < 64 < sampled.limits[1][1]
    assert np.allclose(given.read(0)[..., 0], (STACK[0] // 4) / 63)
    assert np.allclose(given.read(0)[..., 1], STACK[0] / 255)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(channel_axis=4), "no axis 4 in an array of 4 axes"),
        (View(channel_axis=0, channels=[4]), r"no channels \(4,\); the channel axis has 3"),
        (View(channel_axis=0, channels=[0, 1, 2, 0]), "one to three channels"),
        (View(channel_axis=0, channels=[]), "one to three channels"),
        (View(channels=[0]), "On which axis"),
        (View(channel_axis=0, rgb=True), "not both"),
        (View(channel_axis=0, contrast_limits=[(0, 1), (0, 2)]), "2.* for 3 channels"),
    ],
)
def test_channels_that_make_no_sense_say_why(view, message):
    with pytest.raises(ValueError, match=message):
        FrameSource(in_channels(0)[0], view)


@pytest.mark.parametrize(
    ("axis", "held"), [(0, {1: 2}), (1, {0: 3})], ids=["through time", "through the stack"]
)
@pytest.mark.parametrize("channel_axis", [None, 2], ids=["grey", "channels"])
def test_volumes_over_time_are_played_along_either_axis(tiny_model, axis, held, channel_axis):
    volume = np.random.default_rng(0).integers(0, 255, (4, 5, 40, 50), dtype=np.uint8)
    data = volume if channel_axis is None else np.stack([volume] * 3, axis=channel_axis)
    view = View(axis=axis, held=held, channel_axis=channel_axis, contrast_limits=FULL)
    session = Session(data, tiny_model, view=view)
    session.add_points(session.add_object(), 1, [[20, 20]])
    frames = [masks.frame for masks in session.propagate("both")]

    (held_axis, position) = next(iter(held.items()))
    assert sorted(frames) == list(range(volume.shape[axis]))
    assert session.labels.shape == volume.shape
    others = np.delete(session.labels, position, axis=held_axis)
    assert session.labels.any()
    assert not others.any()


def test_session_on_a_smaller_level_has_labels_of_its_size(tiny_model):
    session = Session(LEVELS, tiny_model, view=View(level=1))
    session.add_points(session.add_object(), 0, [[10, 10]])
    list(session.propagate())

    assert session.labels.shape == LEVELS[1].shape
