"""What the README and the guide name is in the window: buttons, menus, keys; and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel
from windows import menu_actions

from napari_sam2._controls.keys import Keys
from napari_sam2._widget import AnnotateWidget

ROOT = Path(__file__).parents[2]
GUIDE, README = ROOT / "docs" / "first-five-minutes.md", ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
KEY = re.compile(r"`((?:(?:Ctrl|Shift)-)*(?:[A-Z0-9]|Esc|Right|Left))`")
ALIASES = {"Esc": "Escape"}

pytestmark = pytest.mark.usefixtures("one_thread")


def find(pattern, page):
    text = " ".join(page.read_text(encoding="utf-8").split())
    return sorted(set(re.findall(pattern, text)))


def menu_paths(page):
    """What is set in italics, and has a menu in it."""
    return find(r"(?<!\*)\*([^*]+ > [^*]+)\*(?!\*)", page)


def plain(text):
    """A text of the window without its key, its mark and its arrows."""
    return re.sub(r"\([^)]*\)$|[▸▾←→…]", "", text.replace("&", "").strip()).strip()


@pytest.fixture
def bound(monkeypatch):
    """Every key that the dock takes, whenever it does."""
    keys = set()
    begin = Keys.__init__

    def noting(self, viewer, actions, *others, **options):
        keys.update(coerce_keybinding(key) for key in actions)
        begin(self, viewer, actions, *others, **options)

    monkeypatch.setattr(Keys, "__init__", noting)
    return keys


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def texts(viewer):
    """Whatever is written in the dock, folded away or not."""
    dock = AnnotateWidget(viewer)
    kinds = (QAbstractButton, QLabel, QAction)
    shown = {child.text() for kind in kinds for child in dock.findChildren(kind)}
    dock.annotator.toggle_sign()
    shown.add(dock.panels.prompts.sign_button.text())
    for box in dock.findChildren(QComboBox):
        shown |= {box.itemText(place) for place in range(box.count())}
    model = dock.panels.objects.model
    role = Qt.ItemDataRole.DisplayRole
    shown |= {
        str(model.headerData(column, Qt.Orientation.Horizontal, role))
        for column in range(model.columnCount())
    }
    yield {plain(text) for text in shown}
    dock.annotator.shut()
    dock.deleteLater()


def test_what_is_bold_in_the_guide_is_written_in_the_dock(texts):
    named = find(r"\*\*(.+?)\*\*", GUIDE)

    assert len(named) > 10
    assert [text for text in named if plain(text) not in texts] == []


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda page: page.name)
def test_menus_that_are_named_are_there(page, viewer):
    paths = [path.split(" > ") for path in menu_paths(page)]

    assert paths
    for *menus, last in paths:
        assert plain(last) in {plain(title) for title in menu_actions(viewer, *menus)}


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda page: page.name)
def test_keys_that_are_named_are_taken(page, bound, texts):
    named = find(KEY, page)

    assert len(named) > 8
    for key in named:
        *modifiers, last = key.split("-")
        assert coerce_keybinding("-".join([*modifiers, ALIASES.get(last, last)])) in bound, key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_and_pages_that_are_linked_exist(page):
    links = find(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page)

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_picture_is_shown_somewhere():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert [p.name for p in (ROOT / "docs" / "images").iterdir() if p.name not in text] == []
