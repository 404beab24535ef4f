"""Cameras that keep what they see: an album of pictures, and a film."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw
from qtpy.QtCore import QPoint, QRect
from qtpy.QtTest import QTest
from user import Camera, User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

#: The pictures: of which chapter, and of which part of the window.
PICTURES = {
    "open_the_dock": ("dock", "window"),
    "click_a_cell": ("click", "window"),
    "choose_a_candidate": ("candidates", "Prompts"),
    "box_others": ("boxes", "window"),
    "look_through": ("propagated", "window"),
    "go_to_the_worst_frame": ("worst", "window"),
    "correct": ("corrected", "window"),
    "lock": ("review", "Review"),
    "save": ("save", "Save"),
    "the offer": ("restore", "offer"),
}
PADDING = 6  #: pixels around parts
COLORS = 255

GLIDE, LONGEST_GLIDE = 70.0, 8  #: pixels of the screen in one picture of the film; pictures
#: ms that a picture of the film is shown
MOMENT, BREATH, PAUSE = 60, 110, 900
SEEN_FOR = {"a frame": BREATH, "a candidate": 650, "open_the_dock": 500}
ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))  #: (x, y), its tip first


class Album(Camera):
    """Saves a picture of each chapter as a PNG of few colours.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self, user: User, what: str) -> None:
        if what not in PICTURES:
            return
        name, part = PICTURES[what]
        QTest.qWait(400)  # until it is drawn
        picture = take(user)
        box = frame(user, part)
        if box is not None:
            picture = picture.crop((box.left(), box.top(), box.right() + 1, box.bottom() + 1))
        picture = picture.quantize(COLORS, kmeans=2, dither=Image.Dither.NONE)
        path = self._folder / f"walk-{name}.png"
        picture.save(path, optimize=True)
        print(path, *picture.size, f"{path.stat().st_size / 1000:.0f} kB")


class Film(Camera):
    """Keeps what is seen, and where the hand is, as an animation."""

    def __init__(self) -> None:
        self._pictures: list[Image.Image] = []
        self._times: list[int] = []  #: ms
        self._hand: QPoint | None = None
        self._count = -1

    def look(self, user: User, what: str) -> None:
        self._take(user, SEEN_FOR.get(what, PAUSE))

    def glimpse(self, user: User) -> None:
        bar = user.dock.panels.status.bar
        if bar.isVisible() and bar.value() != self._count:
            self._count = bar.value()
            self._take(user, BREATH)

    def follow(self, user: User, place: QPoint) -> None:
        there = user.viewer.window._qt_window.mapFromGlobal(place)
        here = self._hand or there
        way = there - here
        count = min(max(round(way.manhattanLength() / GLIDE), 1), LONGEST_GLIDE)
        for step in range(1, count + 1):
            self._hand = here + way * (step / count)
            self._take(user, MOMENT)

    def save(self, path: Path) -> None:
        """Write it, to be played again and again."""
        self._times[-1] = 2 * PAUSE
        first, *others = self._pictures
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=self._times,
            loop=0,
            quality=70,
            method=6,
        )
        seconds = sum(self._times) / 1000
        print(path, len(self._pictures), f"{seconds:.0f} s, {path.stat().st_size / 1e6:.2f} MB")

    def _take(self, user: User, time: int) -> None:
        QTest.qWait(30)
        picture = take(user)
        if self._hand is not None:
            corners = [(self._hand.x() + x, self._hand.y() + y) for x, y in ARROW]
            ImageDraw.Draw(picture).polygon(corners, fill="white", outline="black")
        self._pictures.append(picture)
        self._times.append(time)


def take(user: User) -> Image.Image:
    """Take a picture of the whole window."""
    pixels = user.viewer.screenshot(canvas_only=False, flash=False)
    return Image.fromarray(pixels[..., :3])


def frame(user: User, part: str) -> QRect | None:
    """Where a part of the window is: a section of the dock, what it offers, or all."""
    if part == "window":
        return None
    if part == "offer":
        widgets: Sequence[QWidget] = (user.dock.panels.unsaved,)
    else:
        section = user.dock.sections[part]
        widgets = (section.header, section.content)
    window = user.viewer.window._qt_window
    box = QRect()
    for widget in widgets:
        box = box.united(QRect(widget.mapTo(window, QPoint(0, 0)), widget.size()))
    return box.adjusted(-PADDING, -PADDING, PADDING, PADDING).intersected(window.rect())
