"""Sections of the dock fold away, and all of it is reached in a small window."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel, QScrollArea

from napari_sam2._controls.sections import Section

HAND = ["Image", "Model", "Prompts", "Objects", "Track", "Review", "Save"]


@pytest.fixture
def section(qtbot):
    section = Section("Part", [QLabel("inside")], is_open=False)
    qtbot.addWidget(section)
    section.show()
    return section


def test_click_on_the_header_unfolds_and_folds(section, qtbot):
    shown = []
    section.toggled.connect(shown.append)

    for _ in range(2):
        qtbot.mouseClick(section.header, Qt.MouseButton.LeftButton)

    assert shown == [True, False]


def test_folded_section_takes_no_room_but_its_header(section):
    assert section.sizeHint().height() == section.header.sizeHint().height()


def test_section_that_is_offered_unfolds(section):
    section.offer()

    assert section.is_open


def test_section_that_the_user_folded_stays_folded(section, qtbot):
    section.offer()
    qtbot.mouseClick(section.header, Qt.MouseButton.LeftButton)
    section.offer()

    assert not section.is_open


def test_sections_are_in_the_order_of_the_hand(dock):
    titles = dock.sections.titles()

    assert titles == [title for title in HAND if title in titles]
    assert {"Image", "Prompts", "Track"} <= set(titles)


def test_all_sections_are_reached_by_scrolling_while_the_status_stays(docked, window, qtbot):
    window.window._qt_window.resize(1280, 800)
    for title in docked.sections.titles():
        docked.sections[title].set_open(True)
    qtbot.wait(50)
    scroll = docked.findChild(QScrollArea)

    for title in docked.sections.titles():
        scroll.ensureWidgetVisible(docked.sections[title].header)
        header = docked.sections[title].header
        top = header.mapTo(scroll.viewport(), QPoint(0, 0)).y()
        assert 0 <= top <= scroll.viewport().height() - header.height()
        bottom = docked.panels.status.mapTo(docked, QPoint(0, docked.panels.status.height())).y()
        assert bottom <= docked.height()


@pytest.mark.parametrize("title", ["Model", "Save"])
def test_section_that_is_unfolded_is_scrolled_into_sight(window, docked, qtbot, title):
    window.window._qt_window.resize(900, 420)
    header = docked.sections[title].header
    (area,) = docked.findChildren(QScrollArea)
    area.ensureWidgetVisible(header, 0, 0)
    qtbot.wait(50)

    qtbot.mouseClick(header, Qt.MouseButton.LeftButton)

    whole = docked.sections[title].content
    qtbot.waitUntil(lambda: whole.visibleRegion().boundingRect() == whole.rect())
    assert not header.visibleRegion().isEmpty()
