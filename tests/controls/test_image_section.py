"""Which channels the model sees, and a picture of it."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points, Shapes

from napari_sam2 import Session, View
from napari_sam2._layers import Channels
from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.frames import FrameSource
from napari_sam2.predictors.transforms import as_seen

PREVIEW, LABELS, POINTS = "SAM 2 preview", "SAM 2 labels", "SAM 2 points"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def colourful(blobs):
    """Four channels on the second axis, (T, C, Y, X): each disc has its own."""
    images, labels = blobs
    discs = [(labels == n) * np.uint8(200) for n in (1, 2)]
    return np.stack([images, *discs, images[:, ::-1]], axis=1)


@pytest.fixture
def picker(dock):
    return dock.panels.image


@pytest.fixture
def channelled(viewer, dock, colourful):
    """The dock on an image with an axis of channels, none chosen."""
    image = viewer.add_image(colourful, name="colourful", scale=(1, 1, 0.5, 0.5))
    dock.panels.image.images.pick(image)
    return dock


def seen(dock):
    stack = dock.panels.image.stack()
    return FrameSource(stack.data, stack.view).read(2)


def test_channels_on_an_axis_are_what_the_model_sees(channelled, viewer, colourful):
    viewer.layers["colourful"].contrast_limits = (0, 200)
    channelled.panels.image.channels.choose(Channels(1, (2, 1, 0)))

    stack = channelled.panels.image.stack()
    assert (stack.axis, stack.n_frames, stack.shape) == (0, 8, (96, 128))
    expected = np.moveaxis(colourful[2, [2, 1, 0]], 0, -1) / 200
    np.testing.assert_allclose(seen(channelled), expected.clip(0, 1), atol=1e-6)


def test_axis_that_is_called_channel_is_taken_for_it(dock, viewer, colourful):
    image = viewer.add_image(colourful, axis_labels=("t", "c", "y", "x"))
    dock.panels.image.images.pick(image)

    assert dock.panels.image.channels.channels() == Channels(1, (0, 1, 2))
    assert dock.panels.image.stack().n_frames == 8


def test_image_with_channels_alone_is_one_frame(dock, viewer, colourful):
    image = viewer.add_image(colourful[0], name="still")
    dock.panels.image.choose(image, 0, Channels(0, (1, 2)))

    stack = dock.panels.image.stack()

    assert (stack.axis, stack.n_frames, stack.shape) == (None, 1, (96, 128))
    assert seen_still(stack).shape == (96, 128, 3)


def seen_still(stack):
    return FrameSource(stack.data, stack.view).read(0)


def test_layers_of_one_shape_are_seen_together(dock, viewer, blobs, picker):
    green = viewer.add_image(blobs[0][:, ::-1], name="green", contrast_limits=(10, 100), gamma=0.5)
    first = viewer.layers["blobs"]
    first.contrast_limits = (0, 255)
    picker.choose(first, 0, Channels(layers=(first, green)))

    found = seen(dock)

    red = blobs[0][2] / 255
    expected = (((blobs[0][2, ::-1].astype(float) - 10) / 90).clip(0, 1)) ** 0.5
    np.testing.assert_allclose(found[..., 0], red, atol=1e-6)
    np.testing.assert_allclose(found[..., 1], expected, atol=1e-5)
    assert not found[..., 2].any()


def test_layers_of_other_shapes_are_not_offered(dock, viewer, blobs, picker):
    viewer.add_image(blobs[0][:3], name="short")

    assert picker.channels.kinds.findData("layers") == -1


def test_layers_are_offered_as_they_come_and_go(dock, viewer, blobs, picker):
    picker.images.pick(viewer.add_image(blobs[0][0], name="still"))
    green = viewer.add_image(blobs[0][1], name="green")
    offered = [not picker.channels.isHidden()]
    viewer.layers.remove(green)
    offered.append(not picker.channels.isHidden())

    assert offered == [True, False]


def test_layer_that_is_removed_is_seen_no_more(dock, viewer, blobs, picker):
    green = viewer.add_image(blobs[0], name="green")
    picker.channels.choose(Channels(layers=(viewer.layers["blobs"], green)))

    viewer.layers.remove(green)

    assert picker.channels.channels() == Channels()


def test_objects_are_found_and_followed_in_channels(channelled, viewer, qtbot, hand):
    channelled.panels.image.channels.choose(Channels(1, (0, 1, 2)))
    layer = hand.take_up(channelled, "point", Points)
    layer.add([0, 0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)
    hand.follow(channelled)

    labels = viewer.layers[LABELS]
    assert labels.data.shape == (8, 1, 96, 128)
    assert labels.data[4].any()


@pytest.mark.parametrize("channel", [0, 3])
def test_results_and_prompts_are_seen_with_every_channel(channelled, viewer, qtbot, hand, channel):
    channelled.panels.image.channels.choose(Channels(1, (0, 1, 2)))
    points = hand.take_up(channelled, "point", Points)
    points.add([0, 0, 30, 40])
    qtbot.waitUntil(lambda: hand.previewed(viewer) == {1}, timeout=WAIT)

    viewer.dims.set_point(1, channel)

    preview = viewer.layers[PREVIEW]
    assert preview.get_value((0, channel, 15, 20), world=True) is not None
    assert points.get_value((0, channel, 15, 20), world=True) == 0


def test_point_drawn_at_any_channel_lies_on_the_frame(channelled, viewer, hand):
    channelled.panels.image.channels.choose(Channels(1, (0, 1)))
    points = hand.take_up(channelled, "point", Points)
    points.add(points.world_to_data((5, 3, 15, 20)))

    (prompt,) = channelled.annotator._read().prompts[1][5]

    assert (prompt.row, prompt.column) == (30, 40)


def test_session_with_channels_is_adopted_bit_for_bit(dock, viewer, colourful, tiny_model, qtbot):
    session = Session(colourful, tiny_model, view=View(channel_axis=1, channels=(1, 0)), axis=0)
    session.add_points(session.add_object(), 0, [[30, 40]])
    expected = session.source.read(2)

    dock.adopt(session)
    dock.annotator.segment()

    qtbot.waitUntil(lambda: not dock.annotator.is_busy, timeout=WAIT)
    np.testing.assert_allclose(seen(dock), expected, atol=1e-6)
    made = dock.annotator._bench._made[dock.panels.image.image()]
    assert made.session is session


def test_picture_is_what_the_network_gets(dock, viewer, picker, qtbot, tiny_model):
    viewer.dims.set_point(0, 3)
    picker.view.button.click()
    qtbot.waitUntil(lambda: not picker.view.picture.pixmap().isNull(), timeout=WAIT)

    stack, size = picker.stack(), tiny_model.config.image_size
    assert "the whole frame" in picker.view.caption.text()
    assert f"{size} x {size}" in picker.view.caption.text()
    shown = next(dock.annotator._bench.picture(stack, 3, 1, size))[0]
    given = FrameSource(stack.data, stack.view).read(3)
    np.testing.assert_array_equal(shown, as_seen(given, size))


def test_picture_follows_the_contrast(dock, viewer, picker, qtbot):
    pictures = []
    show = picker.view.show_picture
    picker.view.show_picture = lambda pixels, *rest: (pictures.append(pixels), show(pixels, *rest))
    picker.view.button.click()
    qtbot.waitUntil(lambda: len(pictures) == 1, timeout=WAIT)

    viewer.layers["blobs"].contrast_limits = (0, 1)

    qtbot.waitUntil(lambda: len(pictures) > 1 and pictures[-1].mean() > 200, timeout=WAIT)


def test_nothing_is_read_while_the_picture_is_closed(dock, viewer, picker, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(dock.annotator._bench, "look", lambda *args: asked.append(args))

    viewer.layers["blobs"].contrast_limits = (0, 1)
    viewer.dims.set_point(0, 2)
    qtbot.wait(200)

    assert not asked


def test_picture_is_of_the_part_in_which_an_object_was_found(viewer, tiny_model, qtbot, hand):
    large = np.random.default_rng(0).integers(0, 255, (3, 600, 700), dtype=np.uint8)
    viewer.layers.clear()
    viewer.add_image(large, name="large")
    viewer.dims.set_point(0, 0)
    dock = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(dock, before_close_func=lambda widget: widget.annotator.shut())
    dock.panels.image.view.button.click()
    shapes = hand.take_up(dock, "outline", Shapes)
    shapes.add_polygons(np.array(hand.rectangle(300, 300, 330, 340)))

    caption = dock.panels.image.view.caption.text
    qtbot.waitUntil(lambda: caption().startswith("rows"), timeout=WAIT)
    dock.annotator.shut()
