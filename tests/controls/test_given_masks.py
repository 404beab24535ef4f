"""Masks that objects were given are prompts without being drawn one by one."""

from __future__ import annotations

from time import thread_time

import numpy as np
import pytest
from hand import settle
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_sam2._controls.object_model import Column
from napari_sam2._widget import AnnotateWidget
from napari_sam2.prompts import MaskPrompt
from napari_sam2.session import Session

OUTLINES, SHAPES = "SAM 2 masks", "SAM 2 shapes"
WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def session(blobs, tiny_model) -> Session:
    """Both blobs as masks on the first frame, the second one also on the fourth."""
    session = Session(blobs[0], tiny_model)
    session.add_labels(0, blobs[1][0])
    session.add_labels(3, np.where(blobs[1][3] == 2, 2, 0))
    return session


@pytest.fixture
def opened(dock, viewer, session) -> AnnotateWidget:
    """The dock, in which the session is gone on with."""
    viewer.layers.clear()
    dock.adopt(session)
    viewer.dims.set_point(0, 0)
    return dock


def held(session):
    return {i: {f: len(p) for f, p in one.prompts.items()} for i, one in session.objects.items()}


def outlined(viewer, frame):
    """The objects that are outlined where the viewer is, if the layer lies there."""
    layer = viewer.layers[OUTLINES]
    here = layer.translate[0] == frame * viewer.layers[0].scale[0]
    return set(np.unique(layer.data).tolist()) - {0} if here else set()


def test_masks_are_prompts_that_no_shape_shows(opened, viewer, session, blobs):
    settle(opened)

    assert SHAPES not in viewer.layers
    assert opened.annotator._read().prompts[1] == {0: (MaskPrompt(0, blobs[1][0] == 1),)}
    assert held(session) == {1: {0: 1}, 2: {0: 1, 3: 1}}


def test_table_counts_frames_with_masks(opened):
    settle(opened)
    cells = [opened.panels.objects.model.index(row, Column.PROMPTED).data() for row in (0, 1)]

    assert cells == ["1", "2"]


def test_outlines_are_those_of_the_frame_in_view(opened, viewer):
    assert outlined(viewer, 0) == {1, 2}

    viewer.dims.set_point(0, 3)
    assert outlined(viewer, 3) == {2}

    viewer.dims.set_point(0, 5)
    assert outlined(viewer, 5) == set()

    viewer.dims.set_point(0, 0)
    assert outlined(viewer, 0) == {1, 2}


def test_cleared_mask_is_gone_and_comes_back_with_undo(opened, viewer, session):
    opened.panels.objects.make_current(2)
    opened.annotator.clear_prompts()
    settle(opened)
    assert held(session) == {1: {0: 1}, 2: {3: 1}}
    assert outlined(viewer, 0) == {1}
    assert opened.panels.undo.undo_button.toolTip().endswith("remove a mask")

    opened.annotator.timeline.undo()
    settle(opened)
    assert held(session) == {1: {0: 1}, 2: {0: 1, 3: 1}}
    assert outlined(viewer, 0) == {1, 2}

    opened.annotator.timeline.redo()
    settle(opened)
    assert held(session) == {1: {0: 1}, 2: {3: 1}}


def test_removed_object_takes_its_masks_along(opened, viewer, session):
    opened.panels.objects.make_current(1)
    opened.panels.objects.remove_selected()
    settle(opened)

    assert held(session) == {2: {0: 1, 3: 1}}
    assert outlined(viewer, 0) == {2}


def test_outline_that_is_drawn_is_added_to_the_mask(opened, session, blobs, hand):
    opened.panels.objects.make_current(1)
    shapes = hand.take_up(opened, "outline", Shapes)
    shapes.add_polygons(np.array(hand.rectangle(80, 10, 90, 20)))
    settle(opened)

    (mask,) = session.prompts(1, 0)
    wanted = blobs[1][0] == 1
    wanted[80:91, 10:21] = True
    np.testing.assert_array_equal(mask.mask, wanted)


def test_layer_that_is_removed_takes_its_masks_along_until_undone(opened, viewer, session):
    viewer.layers.remove(viewer.layers[OUTLINES])
    settle(opened)
    assert held(session) == {1: {}, 2: {}}

    opened.annotator.timeline.undo()
    settle(opened)
    assert held(session) == {1: {0: 1}, 2: {0: 1, 3: 1}}
    assert outlined(viewer, 0) == {1, 2}


def test_masks_of_an_image_wait_until_it_is_chosen_again(opened, viewer, session):
    images = opened.panels.image.images
    first = images.layer()
    viewer.add_image(np.zeros((8, 50, 60), np.uint8), name="other")
    other = viewer.layers["other"]
    images.pick(other)
    settle(opened)
    assert opened.annotator._read().prompts == {}
    assert OUTLINES not in viewer.layers

    images.pick(first)
    settle(opened)

    assert held(session) == {1: {0: 1}, 2: {0: 1, 3: 1}}
    assert outlined(viewer, 0) == {1, 2}


def test_image_that_is_removed_takes_its_masks_along(opened, viewer):
    viewer.layers.remove(opened.panels.image.image())
    settle(opened)

    assert OUTLINES not in viewer.layers
    assert not opened.annotator.layers.given._held


def test_hidden_object_is_not_outlined(opened, viewer):
    opened.panels.objects.model.set_visible([2], visible=False)

    colors = viewer.layers[OUTLINES].colormap.map([1, 2])
    assert colors[:, 3].tolist() == [1, 0]


def test_next_dock_goes_on_with_the_masks(opened, viewer, tiny_model, blobs, qtbot):
    opened.annotator.shut()
    again = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(again)

    assert again.annotator._read().prompts[1] == {0: (MaskPrompt(0, blobs[1][0] == 1),)}
    again.annotator.shut()


def test_hundreds_of_masks_do_not_hold_up_the_window(tiny_model, qtbot):
    labels = np.kron(np.arange(1, 401).reshape(20, 20), np.pad(np.ones((18, 18), int), 3))
    session = Session(np.zeros((2, *labels.shape), np.uint8), tiny_model)
    session.add_labels(0, labels)
    widget = AnnotateWidget(ViewerModel(), model=tiny_model)
    qtbot.addWidget(widget)
    began = thread_time()

    widget.adopt(session)

    assert thread_time() - began < 0.5  # as shapes it took two seconds
    began = thread_time()
    assert len(widget.annotator._read().prompts) == 400
    assert thread_time() - began < 0.05
    widget.annotator.shut()
