"""Quality over frames: the plot, the worst frames, and how fast they are shown."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor

from napari_sam2._controls.quality_plot import Curve, QualityPlot
from napari_sam2._controls.reviewer import REFRESH_MS
from napari_sam2._controls.summary import Summary, summarise
from napari_sam2.prompts import FrameMasks, ObjectMask
from napari_sam2.results.quality import QualityTable
from napari_sam2.session import Session

LABELS = "SAM 2 labels"
WAIT = 10_000  #: ms, for what a worker does


def curve(object_id=1, values=(0.9, 0.2, 0.8), **kwargs) -> Curve:
    values = np.array(values, dtype=float)
    color = QColor("#ff0000" if object_id == 1 else "#0000ff")
    return Curve(object_id, f"object {object_id}", color, np.arange(len(values)), values, **kwargs)


@pytest.fixture
def plot(qtbot) -> QualityPlot:
    plot = QualityPlot()
    qtbot.addWidget(plot)
    plot.resize(300, 140)
    plot.show_current(1)
    plot.show()
    return plot


@pytest.fixture
def reviewed(docked, window, hand, qtbot):
    """Two objects, followed through all frames and summed up."""
    hand.add_boxes(docked, hand.rectangle(10, 20, 50, 60), hand.rectangle(45, 75, 75, 105))
    docked.annotator.segment()
    hand.follow(docked)
    docked.panels.prompts.show_tool("")
    reviewer = docked.annotator.reviewer
    qtbot.waitUntil(
        lambda: [len(rows) for rows in reviewer.summary.rows.values()] == [8, 8], timeout=WAIT
    )
    return docked


def has_color(plot, color, around) -> bool:
    """Whether a colour is seen near a position."""
    image = plot.grab(QRect(around - QPoint(2, 2), around + QPoint(2, 2))).toImage()
    wanted = QColor(color)
    return any(
        abs(image.pixelColor(x, y).hue() - wanted.hue()) < 20
        and image.pixelColor(x, y).saturation() > 120
        for x in range(image.width())
        for y in range(image.height())
    )


def test_curve_is_drawn_in_its_colour_where_its_values_are(plot):
    plot.show_curves([curve(1), curve(2, (0.1, 0.9, 0.1))], 3, (0, 1))

    place = QPoint(round(plot.x_of(1)), round(plot.y_of(0.2)))
    assert has_color(plot, "#ff0000", place)
    assert not has_color(plot, "#0000ff", place)


def test_one_bad_frame_of_thousands_is_seen(plot):
    values = np.full(20_000, 0.9)
    values[7_531] = 0.1
    plot.show_curves([curve(1, values)], len(values), (0, 1))

    bottom = QPoint(round(plot.x_of(7_531)), round(plot.y_of(0.13)))
    assert has_color(plot, "#ff0000", bottom)


def test_gap_is_not_bridged(plot):
    gap = Curve(1, "a", QColor("#ff0000"), np.array([0, 1, 9, 10]), np.array([0.5, 0.5, 0.5, 0.5]))
    plot.show_curves([gap], 11, (0, 1))

    assert not has_color(plot, "#ff0000", QPoint(round(plot.x_of(5)), round(plot.y_of(0.5))))
    assert has_color(plot, "#ff0000", QPoint(round(plot.x_of(0.5)), round(plot.y_of(0.5))))


def test_click_gives_the_frame_and_the_object_of_the_nearest_line(plot, qtbot):
    plot.show_curves([curve(1), curve(2, (0.1, 0.9, 0.1))], 3, (0, 1))
    picked = []
    plot.picked.connect(lambda *place: picked.append(place))

    for value in (0.85, 0.25, 0.55):
        place = QPoint(round(plot.x_of(1)) + 2, round(plot.y_of(value)))
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place)

    assert picked == [(1, 2), (1, 1), (1, 0)]


@given(n_frames=st.integers(1, 250), data=st.data())
def test_frame_is_found_where_it_is_drawn(n_frames, data):
    plot = QualityPlot()
    plot.resize(300, 140)
    plot.show_curves([], n_frames, (0, 1))
    frame = data.draw(st.integers(0, n_frames - 1))

    assert plot.frame_at(plot.x_of(frame)) == frame


def test_empty_plot_is_drawn(plot):
    plot.show_curves([], 1, None)

    assert not plot.grab().isNull()


def test_section_unfolds_when_there_is_something_to_review(docked, hand, qtbot):
    assert not docked.sections["Review"].is_open
    hand.add_points(docked, [0, 30, 40])

    docked.annotator.propagate()

    qtbot.waitUntil(lambda: docked.sections["Review"].is_open, timeout=WAIT)


def test_lines_have_the_colours_of_the_labels(reviewed, window):
    curves = reviewed.panels.review.plot.curves

    shown = [one.color.getRgbF() for one in curves]
    expected = window.layers[LABELS].colormap.map(np.array([1, 2]))
    np.testing.assert_allclose(shown, expected, atol=0.01)


@pytest.mark.parametrize(
    ("text", "column"), [("Area (pixels)", "area"), ("Object score", "object_score")]
)
def test_other_numbers_are_plotted(reviewed, text, column):
    reviewed.panels.review.measure.setCurrentText(text)

    shown = reviewed.panels.review.plot.curves[0]
    np.testing.assert_allclose(shown.values, reviewed.annotator.reviewer.summary.rows[1][column])


def test_plot_follows_the_slider(reviewed, window):
    window.dims.set_point(0, 5)

    assert reviewed.panels.review.plot.frame == 5


def test_click_in_the_plot_goes_to_the_frame_and_the_object(reviewed, window, qtbot):
    reviewed.sections["Review"].set_open(True)
    qtbot.wait(50)
    plot = reviewed.panels.review.plot
    reviewed.panels.objects.make_current(1)
    chosen = plot.curves[1]
    place = QPoint(round(plot.x_of(6)), round(plot.y_of(chosen.values[6])))
    plot.show_curves([chosen], 8, (0, 1))

    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place)

    assert window.dims.current_step[0] == 6
    assert reviewed.panels.objects.current() == 2


def test_g_goes_from_the_worst_frame_to_the_next(reviewed, window, hand):
    worst = reviewed.annotator.reviewer.summary.worst
    shown = []
    for _ in range(3):
        hand.press(window, Qt.Key.Key_G)
        shown.append((window.dims.current_step[0], reviewed.panels.objects.current()))

    assert shown == [(row["frame"], row["object"]) for row in worst[:3]]


def test_after_the_last_g_begins_anew(reviewed):
    reviewer = reviewed.annotator.reviewer
    for _ in range(len(reviewer.summary.worst) + 1):
        reviewer.go_to_worst()

    assert "Number 1 of the worst" in reviewed.panels.status.label.text()


def test_g_without_results_says_what_is_missing(docked, window, hand):
    hand.press(window, Qt.Key.Key_G)

    assert "propagate first" in docked.panels.status.label.text()


def test_list_leads_to_its_frames(reviewed, window, qtbot):
    panel = reviewed.panels.review
    row = reviewed.annotator.reviewer.summary.worst[1]
    panel.worst.itemClicked.emit(panel.worst.item(1))

    assert window.dims.current_step[0] == row["frame"]
    assert reviewed.panels.objects.current() == row["object"]


def test_plot_grows_while_objects_are_followed(following, gate, qtbot):
    reviewer = following.annotator.reviewer
    # Three frames are there, the fourth is under way: it is summed up when that is done.
    qtbot.wait(REFRESH_MS + 200)
    gate.closes_at = 6
    gate.open.set()
    qtbot.waitUntil(lambda: 1 in reviewer.summary.rows, timeout=WAIT)
    assert 3 <= len(reviewer.summary.rows[1]) < 8
    gate.closes_at = None
    gate.open.set()
    qtbot.waitUntil(lambda: len(reviewer.summary.rows[1]) == 8, timeout=WAIT)


def test_image_without_results_shows_none_of_another(reviewed, window, blobs, qtbot):
    other = window.add_image(blobs[0][:, ::-1], name="other")
    reviewed.panels.image.images.pick(other)

    qtbot.waitUntil(lambda: not reviewed.panels.review.plot.curves, timeout=WAIT)


@pytest.fixture
def long_summary() -> Summary:
    """50 objects on 2,000 frames."""
    rng, table = np.random.default_rng(0), QualityTable()
    logits = np.ones((2, 2), dtype=np.float16)
    for frame in range(2000):
        masks = [
            ObjectMask(i, (i, frame % 50), logits, float(iou), 3.0)
            for i, iou in enumerate(rng.uniform(0.5, 1, 50), start=1)
        ]
        table.record(FrameMasks(frame, (64, 64), tuple(masks)), range(1, 51))

    rows = table.rows()
    parts = {i: rows[rows["object"] == i] for i in range(1, 51)}
    return Summary(2000, parts, table.worst(n=100), dict.fromkeys(parts, (0, 100)))


def test_many_objects_and_frames_are_shown_within_50_ms(dock, long_summary):
    dock.resize(320, 900)
    dock.show()
    dock.sections["Review"].set_open(True)
    dock.panels.objects.include(range(1, 51))
    plot, took = dock.panels.review.plot, []
    for _ in range(3):
        for step in (lambda: dock.annotator.reviewer._show(long_summary), plot.repaint):
            began = time.thread_time()
            step()
            took.append(time.thread_time() - began)

    assert len(plot.curves) == 50
    assert max(took) < 0.05


@pytest.fixture
def crowd() -> list[Curve]:
    """Objects that are as sure on all frames, each a little more than the one before."""
    values = np.linspace(0.1, 0.9, 40)
    return [
        Curve(i, f"cell {i}", QColor("blue"), np.arange(100), np.full(100, value))
        for i, value in enumerate(values, start=2)
    ]


def colored(plot, curves) -> int:
    """Count the curves that are seen in their colour."""
    places = [QPoint(round(plot.x_of(50)), round(plot.y_of(c.values[0]))) for c in curves]
    return sum(has_color(plot, "blue", place) for place in places)


def test_many_curves_are_drawn_a_few_at_a_time_and_all_in_the_end(plot, crowd, monkeypatch, qtbot):
    monkeypatch.setattr("napari_sam2._controls.quality_plot.SLICE", 0)
    plot.resize(300, 500)

    plot.show_curves(crowd, 100, (0.0, 1.0))

    assert colored(plot, crowd[-1:]) == 0
    qtbot.waitUntil(lambda: colored(plot, crowd) == len(crowd), timeout=WAIT)


def test_earlier_curves_are_seen_until_others_are_drawn(plot, crowd, monkeypatch, qtbot):
    plot.resize(300, 500)
    plot.show_curves(crowd, 100, (0.0, 1.0))
    qtbot.waitUntil(lambda: colored(plot, crowd) == len(crowd), timeout=WAIT)
    monkeypatch.setattr("napari_sam2._controls.quality_plot.SLICE", 0)

    plot.show_curves(crowd[:25], 100, (0.0, 1.0))

    assert colored(plot, crowd[-1:]) == 1
    qtbot.waitUntil(lambda: colored(plot, crowd[25:]) == 0, timeout=WAIT)
    assert colored(plot, crowd[:25]) == 25


def test_summary_says_what_is_prompted_and_locked(blobs, tiny_model):
    session = Session(blobs[0], tiny_model)
    cell = session.add_object()
    session.add_points(cell, 0, [[30, 40]])
    for _ in session.propagate(stop=3):
        pass
    session.lock(cell, [1, 2])

    summary = summarise(session)

    assert (summary.prompted, summary.locked) == ({cell: (0,)}, {cell: (1, 2)})
    assert summary.rows[cell]["frame"].tolist() == [0, 1, 2]
    assert summary.scores(7) == pytest.approx({cell: session.quality.rows(cell)["iou"][2]})
