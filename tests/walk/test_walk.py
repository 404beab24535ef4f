"""The whole way, from an image that is opened to a session that is opened again."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QThreadPool
from story import CHAPTERS, Story

WAIT = 10_000  #: ms, for what a worker does


@pytest.fixture
def story(make_napari_viewer, tmp_path, one_thread):
    story = Story(tmp_path, lambda: make_napari_viewer(show=True))
    yield story
    story.dock.annotator.shut()
    story.dock.annotator.autosaver.wait()
    assert QThreadPool.globalInstance().waitForDone(WAIT)


def test_cells_are_clicked_followed_mended_saved_and_gone_on_with(story):
    assert tuple(story.tell()) == tuple(CHAPTERS)
