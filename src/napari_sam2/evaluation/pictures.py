"""Objects as pictures: what they are, and what was found of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from skimage.segmentation import find_boundaries
from skimage.transform import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.evaluation.prompting import Target
    from napari_sam2.predictors.frames import Region

#: After Okabe and Ito: told apart with any kind of colour vision.
TRUTH, FOUND = np.array((0, 158, 115), dtype=np.uint8), np.array((230, 159, 0), dtype=np.uint8)
PICTURE_ROOM = 1.6  #: pictures are this many times as long as their object
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


class Picture(NamedTuple):
    """One object, and what was found of it by a click."""

    title: str
    image: np.ndarray  #: (h, w, 3), uint8
    truth: np.ndarray  #: (h, w), bool
    found: np.ndarray  #: (h, w), bool
    iou: float
    click: tuple[float, float]  #: (row, column) in the picture


def take_picture(title: str, image: np.ndarray, target: Target, found: np.ndarray) -> Picture:
    """Cut an object out of its image, with some room around it.

    Parameters
    ----------
    title : str
    image : np.ndarray, shape (H, W, 3), float in [0, 1]
        As the model sees it.
    target : Target
    found : np.ndarray, shape (H, W), bool
    """
    region = _around(target.region, found.shape)
    row, column = (place - part.start for place, part in zip(target.click, region, strict=True))
    truth = np.zeros(found.shape, dtype=bool)
    truth[target.region] = target.mask
    pixels = (image[region] * 255).round().astype(np.uint8)
    return Picture(title, pixels, truth[region], found[region], target.iou(found), (row, column))


def lay_out(rows: Sequence[Sequence[Picture]], edge: int = 192) -> np.ndarray | None:
    """Draw pictures in rows.

    Returns
    -------
    np.ndarray, shape (H, W, 4), uint8, or None
        Transparent between the pictures; None if there are no pictures.
    """
    longest = max(map(len, rows), default=0)
    if longest == 0:
        return None
    step = edge + GAP
    sheet = np.zeros((len(rows) * step - GAP, longest * step - GAP, 4), dtype=np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            cell = sheet[row * step :, column * step :][:edge, :edge]
            cell[..., :3], cell[..., 3] = draw(picture, edge), 255
    return sheet


def _around(region: Region, shape: tuple[int, ...]) -> Region:
    """Give a square with room around an object, as far as the image goes."""
    edge = round(PICTURE_ROOM * max(part.stop - part.start for part in region))
    slices = []
    for part, length in zip(region, shape, strict=True):
        start = (part.start + part.stop - edge) // 2
        start = min(max(start, 0), max(length - edge, 0))
        slices.append(slice(start, min(start + edge, length)))
    return slices[0], slices[1]


def _enlarged(image: np.ndarray, edge: int, order: int) -> np.ndarray:
    shape = (edge, edge, *image.shape[2:])
    return np.asarray(
        resize(
            image.astype(float), shape, order=order, preserve_range=True, anti_aliasing=order > 0
        )
    )
