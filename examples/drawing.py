"""Draws results: masks over an image, the prompts that they came from, and sheets of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from napari_sam2.results.exports import overlay, save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GREEN, RED, WHITE = (0, 177, 12), (211, 7, 0), (255, 255, 255)
TITLE_HEIGHT = 16  #: pixels
SMALLEST = 300  #: pixels of a picture's shorter side; smaller images are enlarged
GAP = 4  #: pixels between pictures
RADIUS = 4  #: pixels of a point


def draw(
    image: np.ndarray,
    masks: Sequence[np.ndarray] = (),
    *,
    points: Sequence[Sequence[float]] = (),
    labels: Sequence[int] | None = None,
    boxes: Sequence[Sequence[float]] = (),
    title: str = "",
) -> Image.Image:
    """Draw masks and prompts over an image.

    Parameters
    ----------
    image : np.ndarray, shape (H, W) or (H, W, 3), uint8
    masks : sequence of np.ndarray, shape (H, W)
        Anything above 0 is the object; of two on a pixel the smaller one is seen.
    points : sequence of (x, y)
    labels : sequence of int, optional
        1 for points on the object, green, and 0 for points off it, red; all 1 unless given.
    boxes : sequence of (x0, y0, x1, y1)
    title : str
        Written above.
    """
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    objects = np.zeros(image.shape[:2], dtype=int)
    numbered = enumerate((np.asarray(mask) > 0 for mask in masks), start=1)
    for number, mask in sorted(numbered, key=lambda pair: -pair[1].sum()):
        objects[mask] = number
    scale = max(1, -(-SMALLEST // min(objects.shape)))
    # Enlarged before it is drawn on, so that outlines stay thin.
    colour, objects = (a.repeat(scale, axis=0).repeat(scale, axis=1) for a in (colour, objects))
    picture = Image.fromarray(overlay((colour / 255).astype(np.float32), objects))
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        pen.rectangle([scale * (value + 0.5) for value in box], outline=WHITE)
    for (x, y), label in zip(points, labels or [1] * len(points), strict=True):
        column, row = scale * (x + 0.5), scale * (y + 0.5)
        around = [column - RADIUS, row - RADIUS, column + RADIUS, row + RADIUS]
        pen.ellipse(around, fill=GREEN if label else RED, outline=WHITE)
    titled = Image.new("RGB", (picture.width, picture.height + TITLE_HEIGHT))
    titled.paste(picture, (0, TITLE_HEIGHT))
    ImageDraw.Draw(titled).text((3, 2), title, fill=WHITE)
    return titled


def save_sheet(path: Path, rows: Sequence[Sequence[Image.Image]]) -> None:
    """Write pictures side by side and row by row, and say where."""
    widths = [sum(picture.width + GAP for picture in row) - GAP for row in rows]
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (max(widths), sum(heights) + GAP * (len(rows) - 1)))
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + GAP
        top += height + GAP
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, np.asarray(sheet))
    print(f"See {path.resolve()}")
