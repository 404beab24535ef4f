"""Which part of a frame the model looks at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.predictors.windows import (
    Extent,
    Found,
    Window,
    Windows,
    extent_of_logits,
    extent_of_mask,
    move_logits,
)
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

LARGE = Windows((2000, 3000), 512)


@st.composite
def frames_and_extents(draw):
    """A frame's shape, and an extent somewhere on it."""
    shape = draw(st.integers(1, 3000)), draw(st.integers(1, 3000))
    spans = [sorted((draw(st.floats(0, n - 1)), draw(st.floats(0, n - 1)))) for n in shape]
    return shape, Extent(spans[0][0], spans[1][0], spans[0][1], spans[1][1])


@given(frames_and_extents())
def test_window_lies_on_the_frame_and_holds_the_object(frame):
    shape, extent = frame
    window = Windows(shape, 512).around(extent)

    assert 0 <= window.row <= extent.row0
    assert 0 <= window.column <= extent.column0
    assert extent.row1 <= window.row + window.height - 1 < shape[0]
    assert extent.column1 <= window.column + window.width - 1 < shape[1]


@given(frames_and_extents())
def test_window_around_an_object_suits_it(frame):
    shape, extent = frame
    windows = Windows(shape, 512)
    window = windows.around(extent)

    assert windows.fit(window, extent) == window


@given(frames_and_extents())
def test_whole_frame_is_always_seen_where_that_is_wanted(frame):
    shape, extent = frame
    windows = Windows(shape, 512, "frame")

    assert windows.around(extent) == windows.whole
    assert windows.first([PointPrompt(0, *extent[:2])]) == (windows.whole,)
    assert windows.fit(windows.whole, extent) == windows.whole


def test_small_objects_are_brought_closer_and_large_ones_seen_whole():
    edges = [
        max(LARGE.around(Extent(1000, 1000, 1000 + size, 1000)).shape) for size in (10, 100, 400)
    ]

    assert edges == [128, 256, 1024]
    assert LARGE.around(Extent(0, 0, 1900, 1900)) == LARGE.whole


def test_neighbours_share_a_window():
    one = LARGE.around(Extent(1000, 1000, 1020, 1020))

    assert LARGE.around(Extent(1010, 1005, 1030, 1025)) == one


def test_what_a_point_means_is_looked_for_at_full_resolution_and_from_closer():
    windows = LARGE.first([PointPrompt(0, 1000, 1000)])

    assert [window.shape for window in windows] == [(128, 128), (256, 256), (512, 512)]
    *_, last = Windows((300, 400), 512).first([PointPrompt(0, 10, 10)])
    assert last == Window(0, 0, 300, 400)


def test_what_a_box_means_is_looked_for_once():
    assert LARGE.first([BoxPrompt(0, 1000, 1000, 1040, 1040)]) == (
        LARGE.around(Extent(1000, 1000, 1040, 1040)),
    )


@pytest.mark.parametrize(
    "prompts",
    [
        [PointPrompt(0, 10, 10), PointPrompt(0, 1900, 2900, positive=False)],
        [BoxPrompt(0, -50, -50, 1990, 2990)],
        [MaskPrompt(0, np.ones((2000, 3000), dtype=bool))],
        [MaskPrompt(0, np.zeros((2000, 3000), dtype=bool))],
    ],
    ids=["far points", "large box", "large mask", "empty mask"],
)
def test_prompts_over_the_frame_need_all_of_it(prompts):
    assert set(LARGE.first(prompts)) == {LARGE.whole}


@pytest.mark.parametrize(
    ("found", "edge"),
    [
        (Extent(1000, 1000, 1009, 1009), 128),
        (Extent(1000, 1000, 1099, 1099), 512),
        (Extent(900, 900, 1349, 1349), 1024),
        (None, 512),
    ],
    ids=["too small", "right", "too large", "nothing found"],
)
def test_window_is_left_for_a_better_one(found, edge):
    *_, window = LARGE.first([PointPrompt(0, 1050, 1050)])

    assert max(LARGE.fit(window, found).shape) == edge


def test_window_moves_when_the_object_reaches_its_border():
    window = Window(512, 512, 256, 256)
    inside, leaving = Extent(600, 600, 690, 690), Extent(600, 680, 690, 765)

    assert LARGE.fit(window, inside) == window
    moved = LARGE.fit(window, leaving)
    assert moved.shape == window.shape
    assert moved.column > window.column


def test_border_of_the_frame_is_none_of_the_window():
    window = LARGE.around(Extent(0, 0, 90, 90))

    assert window == Window(0, 0, 256, 256)
    assert LARGE.fit(window, Extent(0, 0, 90, 90)) == window


def test_click_beyond_the_window_widens_it():
    window = LARGE.around(Extent(1000, 1000, 1050, 1050))
    found, click = Extent(1000, 1000, 1050, 1050), PointPrompt(0, 1400, 1400, positive=False)

    wider = LARGE.fit(window, found, [click])

    assert wider.row + wider.height > 1400
    assert wider.row <= 1000


def test_asking_ends_where_the_answers_go_in_circles():
    asked = []

    def ask(window):
        asked.append(window)
        small = len(asked) % 2
        extent = Extent(1000, 1000, *((1010, 1010) if small else (1300, 1300)))
        return Found(len(asked), extent, 0.5)

    window, answer = LARGE.settle([Window(512, 512, 1024, 1024)], [], ask)

    assert len(asked) <= 4
    assert answer == len(asked)
    assert window == asked[-1]


def test_answer_that_suits_its_window_is_asked_for_once():
    window = LARGE.around(Extent(1000, 1000, 1050, 1050))

    found = Found("yes", Extent(1000, 1000, 1050, 1050), 0.5)
    assert LARGE.settle([window], [], lambda _: found) == (window, "yes")


def test_surest_answer_counts_among_those_that_suit_their_windows():
    windows = LARGE.first([PointPrompt(0, 1000, 1000)])
    extents = [Extent(1000, 1000, 1000 + size, 1000 + size) for size in (40, 80, 2)]
    answers = {
        window: Found(number, extent, confidence)
        for window, number, extent, confidence in zip(
            windows, range(3), extents, (0.6, 0.8, 0.9), strict=True
        )
    }

    assert LARGE.settle(windows, [], answers.__getitem__) == (windows[1], 1)


def test_nothing_found_anywhere_is_an_answer():
    windows = LARGE.first([PointPrompt(0, 1000, 1000)])

    assert LARGE.settle(windows, [], lambda window: Found(window, None, 0.1)) == (
        windows[0],
        windows[0],
    )


def test_unknown_field_is_refused():
    with pytest.raises(ValueError, match="no field 'all': choose from"):
        Windows((10, 10), 512, "all")


def test_extent_is_that_of_the_mask():
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:7, 11:12] = True

    assert extent_of_mask(mask) == (3, 11, 6, 11)
    assert extent_of_mask(mask).longest == 4
    assert extent_of_mask(np.zeros((4, 4), dtype=bool)) is None


def test_extent_of_logits_is_in_pixels_of_the_frame():
    logits = torch.full((8, 8), -1.0)
    logits[2:4, 5] = 1

    assert extent_of_logits(logits, Window(100, 200, 32, 16)) == (108, 210, 115, 211)


def bump(window, centre=(110.0, 230.0), size=64):
    """Logits of a blob in the frame, as a window has them."""
    rows = window.row + (torch.arange(size) + 0.5) / size * window.height - 0.5
    columns = window.column + (torch.arange(size) + 0.5) / size * window.width - 0.5
    squared = (rows[:, None] - centre[0]) ** 2 + (columns[None] - centre[1]) ** 2
    return (25 * (-squared / 400).exp() - 10)[None, None]


@pytest.mark.parametrize(
    "new",
    [Window(64, 192, 128, 128), Window(32, 160, 256, 256), Window(80, 200, 64, 96)],
    ids=["aside", "wider", "closer"],
)
def test_moved_logits_are_as_seen_there(new):
    old = Window(64, 160, 128, 128)

    moved = move_logits(bump(old), old, new)

    torch.testing.assert_close(moved, bump(new), atol=0.4, rtol=0)


def test_what_was_not_seen_is_not_the_object():
    old, new = Window(0, 0, 64, 64), Window(64, 64, 64, 64)

    assert (move_logits(torch.full((2, 1, 16, 16), 5.0), old, new) <= 0).all()
    absent = torch.full((2, 1, 16, 16), -1024.0)
    assert torch.equal(move_logits(absent, old, new), absent)
