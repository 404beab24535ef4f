"""Held-out objects as pictures: what was found before, and what after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.segmentation import find_boundaries
from skimage.transform import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.training.scoring import Picture

#: After Okabe and Ito: told apart with any kind of colour vision.
TRUTH, FOUND = np.array((0, 158, 115), dtype=np.uint8), np.array((230, 159, 0), dtype=np.uint8)
GAP = 6  #: pixels between pictures


def draw(picture: Picture, edge: int = 192) -> np.ndarray:
    """Draw an object: the annotated outline green, what was found tinted orange, and the click.

    Returns
    -------
    np.ndarray, shape (edge, edge, 3), uint8
    """
    image = _enlarged(picture.image, edge, order=1)
    truth, found = (_enlarged(mask, edge, order=0) > 0 for mask in (picture.truth, picture.found))
    drawn = image.astype(float)
    drawn[found] = 0.6 * drawn[found] + 0.4 * FOUND
    drawn[find_boundaries(found, mode="inner")] = FOUND
    drawn[find_boundaries(truth, mode="inner")] = TRUTH
    scale = edge / np.array(picture.truth.shape)
    row, column = ((np.array(picture.click) + 0.5) * scale).astype(int)
    for reach, colour in ((3, 0), (2, 255)):
        drawn[
            max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ] = colour
    return drawn.round().astype(np.uint8)


def side_by_side(pictures: Sequence[tuple[Picture, Picture]], edge: int = 192) -> np.ndarray | None:
    """Draw a column an object: above what was found before, below what was after.

    Returns
    -------
    np.ndarray, shape (H, W, 4), uint8, or None
        Transparent between the pictures; None if there are no pictures.
    """
    if not pictures:
        return None
    step = edge + GAP
    sheet = np.zeros((2 * step - GAP, len(pictures) * step - GAP, 4), dtype=np.uint8)
    for column, pair in enumerate(pictures):
        for row, picture in enumerate(pair):
            cell = sheet[row * step :, column * step :][:edge, :edge]
            cell[..., :3], cell[..., 3] = draw(picture, edge), 255
    return sheet


def _enlarged(image: np.ndarray, edge: int, order: int) -> np.ndarray:
    shape = (edge, edge, *image.shape[2:])
    return np.asarray(
        resize(
            image.astype(float), shape, order=order, preserve_range=True, anti_aliasing=order > 0
        )
    )
