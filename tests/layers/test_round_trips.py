"""A prompt at a place of the world, and the mask back on it, for every kind of image."""

from __future__ import annotations

from dataclasses import dataclass, field

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import Dims
from napari.layers import Image, Points

from napari_sam2._label_layers import lay
from napari_sam2._layers import Channels, new_labels, new_preview, read_stack, write_preview
from napari_sam2._reading import read_prompts
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.prompts import FrameMasks, MaskPrompt, ObjectMask
from napari_sam2.results.labels import StackLabels

OBJECT = 7
BRIGHT = 250
WRAPPERS = {
    "numpy": lambda data: data,
    "dask": lambda data: da.from_array(data, chunks=4),
    "zarr": lambda data: zarr.array(data, chunks=tuple(min(n, 5) for n in data.shape)),
}


@dataclass(frozen=True)
class Kind:
    """A kind of image; no two of its axes are of one length."""

    shape: tuple[int, ...]
    rgb: bool = False
    channel_axis: int | None = None
    multiscale: bool = False
    wrappers: tuple[str, ...] = field(default=tuple(WRAPPERS))


KINDS = {
    "YX": Kind((12, 15)),
    "TYX": Kind((4, 12, 15)),
    "TZYX": Kind((4, 6, 12, 15)),
    "YX in colour": Kind((12, 15), rgb=True),
    "TYX in colour": Kind((4, 12, 15), rgb=True),
    "TZYX in colour": Kind((4, 6, 12, 15), rgb=True),
    "TCYX": Kind((4, 3, 12, 15), channel_axis=1),
    "CTZYX": Kind((3, 4, 6, 12, 15), channel_axis=0),
    "TZCYX": Kind((4, 6, 3, 12, 15), channel_axis=2),
    "YX pyramid": Kind((24, 30), multiscale=True),
    "TYX pyramid": Kind((4, 24, 30), multiscale=True),
}


@st.composite
def transforms(draw, ndim):
    """Scale, translation, rotation and shear, and an affine on top."""
    finite, few = st.floats(-50, 50), st.floats(-0.4, 0.4)
    matrix = np.eye(ndim + 1)
    matrix[-3:-1, -3:-1] += [[draw(few), draw(few)], [0, 0]]
    matrix[:-1, -1] = [draw(finite) for _ in range(ndim)]
    angle, shear = draw(st.floats(-180, 180)), np.zeros(ndim * (ndim - 1) // 2)
    shear[-1] = draw(st.floats(-1, 1))
    rotation = np.eye(ndim)
    turn = np.radians(angle)
    rotation[-2:, -2:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return {
        "scale": [draw(st.floats(0.05, 20)) for _ in range(ndim)],
        "translate": [draw(finite) for _ in range(ndim)],
        "rotate": rotation,
        "shear": shear,
        "affine": matrix,
    }


@st.composite
def scenes(draw, kind):
    """An image with one bright pixel, seen along any axes in any order, and where that pixel is."""
    shape, axes = kind.shape, [i for i in range(len(kind.shape)) if i != kind.channel_axis]
    pixel = [draw(st.integers(0, n - 1)) for n in shape]
    order = draw(st.permutations(axes)) if len(axes) > 2 and not kind.multiscale else axes
    *sliders, _, _ = order
    played = draw(st.sampled_from(sliders)) if sliders else None
    data = np.zeros((*shape, 3) if kind.rgb else shape, np.uint8)
    at = [slice(None) if i == kind.channel_axis else n for i, n in enumerate(pixel)]
    data[tuple(at)] = BRIGHT
    wrap = WRAPPERS[draw(st.sampled_from(kind.wrappers))]
    levels = [wrap(data), wrap(data[..., ::2, ::2])] if kind.multiscale else wrap(data)
    image = Image(
        levels,
        rgb=kind.rgb,
        multiscale=kind.multiscale,
        **({} if kind.rgb else {"contrast_limits": (0, 255)}),
        **draw(transforms(len(shape))),
    )
    hidden = [] if kind.channel_axis is None else [kind.channel_axis]
    dims = Dims(ndim=len(shape), order=(*hidden, *order))
    dims.range = [(-1e6, 1e6, 1e-6)] * len(shape)
    dims.point = image.data_to_world(pixel)
    return image, dims, pixel, played


def stack_of(kind, image, dims, played):
    channels = None if kind.channel_axis is None else Channels(kind.channel_axis, (2, 0))
    return read_stack(image, dims, played or 0, channels)


def value_at(layer, world):
    """Give the label at a place of the world, as one sees it."""
    index = np.floor(np.asarray(layer.world_to_data(world)) + 0.5).astype(int)
    inside = np.all((index >= 0) & (index < layer.data.shape))
    return int(layer.data[tuple(index)]) if inside else 0


def neighbours(stack, pixel):
    """Give pixels beside one, in its frame."""
    for axis in stack.seen:
        for step in (-1, 1):
            beside = list(pixel)
            beside[axis] += step
            if 0 <= beside[axis] < stack.layer_shape[axis]:
                yield beside


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_prompt_in_the_world_is_on_the_pixel_that_the_model_sees_there(name, data):
    kind = KINDS[name]
    image, dims, pixel, played = data.draw(scenes(kind))
    stack = stack_of(kind, image, dims, played)
    click = Points([image.data_to_world(pixel)], ndim=image.ndim)

    ((prompt,),) = read_prompts(stack, dims, [click], OBJECT).prompts[OBJECT].values()

    assert prompt.frame == (0 if played is None else pixel[played])
    at = np.round([prompt.row, prompt.column]).astype(int)
    np.testing.assert_allclose([prompt.row, prompt.column], at, atol=1e-4)
    seen = np.asarray(FrameSource(stack.data, stack.view).read(prompt.frame)).max(axis=-1)
    assert tuple(at) == np.unravel_index(seen.argmax(), seen.shape)
    assert seen.max() > 0.9


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mask_lies_where_the_pixel_is_that_it_was_found_on(name, data):
    kind = KINDS[name]
    image, dims, pixel, played = data.draw(scenes(kind))
    stack = stack_of(kind, image, dims, played)
    source = FrameSource(stack.data, stack.view)
    frame = 0 if played is None else pixel[played]
    mask = np.asarray(source.read(frame)).max(axis=-1) > 0.9
    labels = StackLabels(source)
    labels.put_plane(frame, np.where(mask, OBJECT, 0).astype(labels.array.dtype))
    preview = new_preview(stack, "preview")

    layer = new_labels(stack, lay(labels.array, stack.channel_axis), "labels")
    found = ObjectMask.given(OBJECT, MaskPrompt(frame, mask))
    write_preview(preview, stack, FrameMasks(frame, stack.shape, (found,)))

    for shown in (layer, preview):
        assert value_at(shown, image.data_to_world(pixel)) == OBJECT
        for beside in neighbours(stack, pixel):
            assert value_at(shown, image.data_to_world(beside)) == 0


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mask_of_one_frame_is_on_no_other(data):
    kind = KINDS["TZYX"]
    image, dims, pixel, played = data.draw(scenes(kind))
    stack = stack_of(kind, image, dims, played)
    labels = StackLabels(FrameSource(stack.data, stack.view))
    labels.put_plane(pixel[played], np.full(stack.shape, OBJECT, labels.array.dtype))
    layer = new_labels(stack, labels.array, "labels")

    for axis in (played, *stack.held):
        beside = list(pixel)
        beside[axis] = (pixel[axis] + 1) % kind.shape[axis]
        assert value_at(layer, image.data_to_world(beside)) == 0
