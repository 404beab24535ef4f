"""What a threshold does with the same prompts: the least that a model must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

if TYPE_CHECKING:
    from napari_sam2.evaluation.prompting import Target


class OtsuBaseline:
    """Otsu's threshold; the component under the click, or the largest in the box.

    Objects may be the bright or the dark side of the threshold: the one that the object's
    middle lies on.

    Parameters
    ----------
    image : np.ndarray, shape (H, W) or (H, W, 3)
    """

    def __init__(self, image: np.ndarray) -> None:
        grey = image[..., :3].mean(axis=-1) if image.ndim == 3 else image
        threshold = threshold_otsu(grey) if grey.min() < grey.max() else grey.min()
        self._bright = grey > threshold
        self._components = {True: _label(self._bright), False: _label(~self._bright)}

    def click(self, target: Target) -> np.ndarray:
        """Give the component under the target's click; bool, (H, W)."""
        row, column = (int(x) for x in target.click)
        components = self._components[bool(self._bright[row, column])]
        return np.asarray(components == components[row, column])

    def box(self, target: Target) -> np.ndarray:
        """Give the largest component inside the target's box; bool, (H, W)."""
        row, column = (int(x) for x in target.click)
        found = np.zeros(self._bright.shape, dtype=bool)
        side = self._bright[target.region] == self._bright[row, column]
        components = _label(side)
        areas = np.bincount(components.ravel())
        areas[0] = 0
        found[target.region] = components == areas.argmax()
        return found


def _label(mask: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.label(mask)[0])
