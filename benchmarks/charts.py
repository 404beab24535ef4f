"""A plain line chart as a picture, drawn with Pillow alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZE = (960, 480)
LEFT, TOP, RIGHT, BOTTOM = 90, 56, 30, 64  #: margins, in pixels
INK, GRID = (40, 40, 40), (222, 222, 222)
COLOURS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)]


class Line(NamedTuple):
    """One line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


class Axis(NamedTuple):
    """What an axis says, and where it ends."""

    title: str
    stop: float
    steps: int = 5


def draw_lines(path: Path, title: str, lines: Sequence[Line], x: Axis, y: Axis) -> None:
    """Draw lines over axes that begin at 0.

    Parameters
    ----------
    path : Path
        A picture; its folder is made.
    title : str
    lines : sequence of Line
    x, y : Axis
    """
    picture = Image.new("RGB", SIZE, "white")
    pen, small = ImageDraw.Draw(picture), ImageFont.load_default(15)
    width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM

    def place(at_x: float, at_y: float) -> tuple[float, float]:
        return LEFT + width * at_x / x.stop, TOP + height * (1 - at_y / y.stop)

    for step in range(y.steps + 1):
        value = y.stop * step / y.steps
        pen.line([place(0, value), place(x.stop, value)], fill=GRID)
        pen.text((LEFT - 8, place(0, value)[1]), f"{value:g}", INK, small, anchor="rm")
    for step in range(x.steps + 1):
        value = x.stop * step / x.steps
        pen.text((place(value, 0)[0], TOP + height + 8), f"{value:g}", INK, small, anchor="ma")
    pen.line([place(0, y.stop), place(0, 0), place(x.stop, 0)], fill=INK)
    pen.text((LEFT, 14), title, INK, ImageFont.load_default(18))
    pen.text((LEFT + width / 2, SIZE[1] - 12), x.title, INK, small, anchor="ms")
    pen.text((10, TOP - 12), y.title, INK, small, anchor="ls")
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        pen.line([place(*at) for at in zip(line.x, line.y, strict=True)], fill=colour, width=3)
        pen.text((LEFT + width - 8, TOP + 8 + 20 * number), line.name, colour, small, anchor="ra")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
