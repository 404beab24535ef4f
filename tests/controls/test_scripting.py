"""A script drives the dock: its session, and every control."""

from __future__ import annotations

import inspect
import re
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hand import settle
from napari.components import ViewerModel
from qtpy.QtCore import QThreadPool

from napari_sam2._everything import EverythingWidget
from napari_sam2._widget import AnnotateWidget
from napari_sam2.automatic import Selection
from napari_sam2.results.overlaps import Overlap

POINTS, LABELS = "SAM 2 points", "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
#: What the page says of docks: a path of attributes, and arguments if it is called.
WAYS = re.findall(r"`(dock|everything)((?:\.\w+)+)(?:\[\w+\]\.pick)?(?:\((.*?)\))?`", PAGE)


def test_session_is_that_of_the_dock_of_the_plugin(window, qtbot, hand, tiny_model):
    _, dock = window.window.add_plugin_dock_widget("napari-sam2")
    dock.panels.model.use(tiny_model)
    hand.add_points(dock, [0, 30, 40])

    session = dock.session

    assert session.source.data is window.layers["blobs"].data
    assert list(session.objects[1].prompts) == [0]
    assert dock.session is session


def test_session_knows_what_was_drawn_a_moment_ago(dock, hand):
    hand.add_points(dock, [0, 30, 40])
    assert list(dock.session.objects[1].prompts) == [0]

    hand.add_points(dock, [3, 36, 40])

    assert list(dock.session.objects[1].prompts) == [0, 3]


def test_session_without_an_image_says_what_to_do(tiny_model, qtbot):
    dock = AnnotateWidget(ViewerModel(), model=tiny_model)
    qtbot.addWidget(dock, before_close_func=lambda dock: dock.annotator.shut())

    with pytest.raises(ValueError, match="open one first"):
        _ = dock.session


def test_session_waits_for_the_frame_under_way_only(following, gate, qtbot):
    gate.open.set()

    session = following.session

    assert len(session.objects[1].frames) < 8
    settle(following)
    assert len(session.objects[1].frames) == 8


def test_session_goes_on_with_what_the_dock_has_found(dock, hand, qtbot, viewer):
    hand.follow(dock, [0, 30, 40])

    assert dock.session.labels is viewer.layers[LABELS].data
    assert dock.session.quality.rows(1)["frame"].tolist() == list(range(8))


def test_object_of_a_script_is_listed_and_stays(dock, hand, qtbot):
    session = dock.session
    cell = session.add_object("of a script")
    session.add_points(cell, 2, [[60, 85]])
    hand.add_points(dock, [0, 30, 40])
    settle(dock)

    assert dock.panels.objects.names()[cell] == "of a script"
    assert list(session.objects[cell].prompts) == [2]


def test_prompt_of_a_script_is_followed_by_the_dock(dock, hand, qtbot, viewer):
    session = dock.session
    session.add_points(session.add_object("of a script"), 2, [[60, 85]])
    hand.follow(dock, [0, 30, 40])
    settle(dock)

    assert set(np.unique(viewer.layers[LABELS].data)) == {0, 1, 2}


def test_object_that_a_script_removes_is_listed_no_more(dock, hand, qtbot):
    hand.add_points(dock, [0, 30, 40])
    dock.annotator.new_object()
    points = hand.add_points(dock, [0, 60, 90])
    session = dock.session

    session.remove_object(1)
    settle(dock)

    assert list(dock.panels.objects.names()) == [2]
    assert points.data.tolist() == [[0, 60, 90]]
    assert list(dock.session.objects) == [2]


def test_object_that_a_script_renames_has_that_name(dock, hand, qtbot):
    hand.add_points(dock, [0, 30, 40])
    dock.session.rename_object(1, "mother")
    settle(dock)

    assert dock.panels.objects.names() == {1: "mother"}
    assert dock.session.objects[1].name == "mother"


def test_run_of_a_script_is_shown_and_undone_in_the_dock(dock, hand, qtbot, viewer):
    hand.add_points(dock, [0, 30, 40])
    for _ in dock.session.propagate():
        pass
    qtbot.waitUntil(lambda: LABELS in viewer.layers, timeout=WAIT)
    assert hand.frames_with_labels(viewer) == list(range(8))

    dock.annotator.timeline.undo()
    settle(dock)

    assert not viewer.layers[LABELS].data.any()
    assert len(viewer.layers[POINTS].data) == 1


def test_object_of_a_script_is_undone_with_its_row(dock, hand, qtbot):
    hand.add_points(dock, [0, 30, 40])
    settle(dock)
    session = dock.session
    session.add_object("of a script")
    settle(dock)

    dock.annotator.timeline.undo()
    settle(dock)
    assert dock.panels.objects.names() == {1: "object 1"}
    assert list(session.objects) == [1]
    dock.annotator.timeline.redo()
    settle(dock)

    assert list(dock.panels.objects.names().values()) == ["object 1", "of a script"]
    assert list(session.objects) == [1, 2]


def test_session_asked_for_again_and_again_while_previews_run(dock, hand, qtbot):
    points = hand.add_points(dock)
    for place in range(20):
        points.add([0, 30 + place, 40])
        assert len(dock.session.prompts(1, 0)) == place + 1
        qtbot.wait(10)
    settle(dock)

    assert len(dock.session.prompts(1, 0)) == 20
    assert QThreadPool.globalInstance().waitForDone(WAIT)


def test_track_section_is_chosen(dock):
    track = dock.panels.track
    track.choose("both", 2, 5, selected=True, divisions=True)

    route = track.route((1,))
    assert (route.direction, route.start, route.stop) == ("both", 2, 6)
    assert (route.objects, route.divisions) == ((1,), True)


@pytest.mark.parametrize("wrong", [{"direction": "sideways"}, {"first": 1, "last": 8}])
def test_route_that_is_not_there_is_refused_as_a_whole(dock, wrong):
    before = dock.panels.track.route(())

    with pytest.raises(ValueError, match=r"not 'sideways'|frames 0 to 7; got 8"):
        dock.panels.track.choose(**wrong)

    assert dock.panels.track.route(()) == before


def test_sign_of_the_next_point_is_chosen(dock, hand):
    dock.panels.prompts.set_positive(False)

    points = hand.add_points(dock, [0, 30, 40])

    assert not points.features["positive"].iloc[0]


def test_tool_is_taken_up_and_put_down(dock, viewer):
    dock.panels.prompts.take_up("box")
    assert dock.annotator.layers.tool == "box"

    dock.panels.prompts.take_up("")

    assert dock.annotator.layers.tool == ""


def test_overlap_rule_is_chosen(dock):
    dock.panels.overlap.choose("highest")

    assert dock.session.overlap is Overlap.HIGHEST


def test_model_and_where_it_computes_are_chosen(dock):
    dock.panels.model.choose("sam2.1_hiera_nano", device="cpu", precision="bfloat16")

    assert dock.panels.model.model() == "sam2.1_hiera_nano"
    settings = dock.panels.model.settings()
    assert (settings.device, settings.precision) == ("cpu", "bfloat16")
    dock.panels.model.choose(precision=None)
    assert dock.panels.model.settings().precision is None
    assert dock.panels.model.settings().device == "cpu"


@pytest.mark.parametrize("wrong", [{"name": "sam9"}, {"device": "abacus"}, {"precision": "int3"}])
def test_model_that_is_not_there_is_refused(dock, wrong):
    before = dock.panels.model.model(), dock.panels.model.settings()

    with pytest.raises(ValueError, match=r"sam9|abacus|int3"):
        dock.panels.model.choose(**wrong)

    assert (dock.panels.model.model(), dock.panels.model.settings()) == before


def test_measure_is_chosen(dock):
    dock.panels.review.choose("area")

    assert dock.panels.review.column()[0] == "area"


@pytest.mark.parametrize("before", [True, False], ids=["before a run", "after one"])
def test_all_that_counts_is_chosen(viewer, tiny_model, qtbot, before):
    dock = EverythingWidget(viewer, model=tiny_model)
    qtbot.addWidget(dock, before_close_func=lambda dock: dock.runner.shut())
    if not before:
        dock.filter.offer_areas(10, 4000)
    wanted = Selection(min_iou=0.5, min_stability=0.6, min_area=40, max_area=900, max_overlap=0.25)

    dock.filter.choose(wanted)
    if before:
        dock.filter.offer_areas(10, 4000)

    found = dock.filter.selection()
    assert (found.min_iou, found.min_stability, found.max_overlap) == (0.5, 0.6, 0.25)
    assert found.min_area == pytest.approx(40, rel=0.05)
    assert found.max_area == pytest.approx(900, rel=0.05)


@pytest.fixture
def docks(dock, viewer, tiny_model, qtbot):
    everything = EverythingWidget(viewer, model=tiny_model)
    qtbot.addWidget(everything, before_close_func=lambda dock: dock.runner.shut())
    return {"dock": dock, "everything": everything}


def test_page_says_how_every_control_is_driven(docks):
    assert len(WAYS) > 30
    for which, path, arguments in WAYS:
        found = reduce(getattr, path[1:].split("."), docks[which])
        named = re.findall(r"(\w+)=", re.sub(r"\w+\(.*?\)", "", arguments))
        if named:
            assert set(named) <= inspect.signature(found).parameters.keys(), path


def test_object_that_the_dock_has_not_heard_of_stays(dock, hand, qtbot):
    hand.add_points(dock, [0, 30, 40])
    session = dock.session
    dock.annotator.news.shut()  # as when it was added a moment ago, in another thread
    cell = session.add_object("of a script")
    hand.add_points(dock, [1, 30, 40])

    assert dock.session is session
    assert cell in session.objects
    assert list(session.prompts(1, 1)) != []
