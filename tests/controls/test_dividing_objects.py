"""Objects that divide while the dock follows them."""

from __future__ import annotations

import numpy as np
import pytest
from hand import settle
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_sam2 import FrameMasks, MaskPrompt, ObjectMask
from napari_sam2._controls.object_model import Column
from napari_sam2._widget import AnnotateWidget
from napari_sam2.predictors.tracker import Tracker

LABELS, SHAPE = "SAM 2 labels", (96, 128)
WAIT = 10_000  #: ms, for what a worker does


def disc(column, radius):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - 48) ** 2 + (columns - column) ** 2 < radius**2


@pytest.fixture
def truth(monkeypatch):
    """Object 1 is whole on two frames and in two parts on four; then there are 2 and 3 as well."""
    left, right = disc(40, 12), disc(80, 11)
    frames = [disc(60, 16), disc(60, 16), *[left | right] * 4]

    def track(self, visits, *, reverse=False):
        for frame, ids in visits:
            parts = {1: frames[frame], 2: left, 3: right}
            masks = [ObjectMask.given(i, MaskPrompt(frame, parts[i])) for i in ids]
            yield FrameMasks(frame, SHAPE, tuple(masks))

    monkeypatch.setattr(Tracker, "track", track)
    return np.array(frames)


@pytest.fixture
def dividing(truth, tiny_model, qtbot):
    """A dock that has followed object 1 through its division."""
    viewer = ViewerModel()
    viewer.add_image((truth * 170).astype(np.uint8), name="cells")
    viewer.dims.set_point(0, 0)
    dock = AnnotateWidget(viewer, model=tiny_model)
    qtbot.addWidget(dock, before_close_func=lambda dock: dock.annotator.shut())
    dock.panels.prompts.take_up("brush")
    layer = viewer.layers["SAM 2 paint"]
    layer.brush_size = 31
    layer.paint((0, 48, 60), 1)
    settle(dock)
    dock.panels.track.divisions.click()
    run(dock, qtbot)
    yield dock
    dock.annotator.shut()
    dock.annotator.autosaver.wait()


def run(dock, qtbot):
    dock.annotator.propagate()
    qtbot.waitUntil(dock.panels.track.propagate_button.isEnabled, timeout=WAIT)
    settle(dock)


def labels_of(dock):
    return dock.annotator._viewer.layers[LABELS].data


def ids_on(dock, frame):
    return set(np.unique(labels_of(dock)[frame]).tolist()) - {0}


def test_divisions_are_watched_for_only_where_it_is_asked(dock):
    assert not dock.panels.track.route(()).divisions


def test_daughters_are_listed_and_stay(dividing, qtbot):
    assert dividing.panels.objects.names() == {
        1: "object 1",
        2: "object 1.1",
        3: "object 1.2",
    }
    assert [ids_on(dividing, frame) for frame in (0, 2, 3, 5)] == [{1}, {1}, {2, 3}, {2, 3}]

    dividing.annotator.new_object()
    dividing.annotator.segment()
    settle(dividing)

    assert ids_on(dividing, 5) == {2, 3}


def test_daughter_names_her_parent_in_the_tool_tip(dividing, qtbot):
    model = dividing.panels.objects.model

    def tip():
        return model.index(model.place(3), Column.NAME).data(Qt.ItemDataRole.ToolTipRole)

    qtbot.waitUntil(lambda: "Daughter of object 1." in tip(), timeout=WAIT)


def test_division_is_undone_and_redone_with_its_run(dividing, qtbot):
    found = labels_of(dividing).copy()

    dividing.annotator.timeline.undo()
    settle(dividing)
    assert dividing.panels.objects.names() == {1: "object 1"}
    assert not labels_of(dividing).any()
    assert list(dividing.session.objects) == [1]
    dividing.annotator.timeline.redo()
    settle(dividing)

    np.testing.assert_array_equal(labels_of(dividing), found)
    assert list(dividing.panels.objects.names()) == [1, 2, 3]
    assert dividing.session.objects[3].parent == 1


def test_daughters_that_are_removed_are_gone_until_that_is_undone(dividing, qtbot):
    found = labels_of(dividing).copy()
    dividing.panels.objects.remove([2])
    settle(dividing)
    assert ids_on(dividing, 5) == {3}

    dividing.annotator.timeline.undo()
    settle(dividing)

    np.testing.assert_array_equal(labels_of(dividing), found)
    assert dividing.panels.objects.names()[2] == "object 1.1"


def test_prompt_of_the_parent_after_its_division_is_refused_with_a_reason(dividing, qtbot):
    dividing.annotator._viewer.dims.set_point(0, 4)
    dividing.panels.objects.make_current(1)
    dividing.panels.prompts.take_up("point")
    dividing.annotator._viewer.layers["SAM 2 points"].add([4, 48, 60])

    text = dividing.panels.status.label.text
    qtbot.waitUntil(lambda: "divided on frame 3" in text(), timeout=WAIT)
    assert ids_on(dividing, 5) == {2, 3}
