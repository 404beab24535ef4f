"""Images to try the plugin on: generated, or in scikit-image; none is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage import data

from napari_sam2.demo import TimeLapse, make_time_lapse
from napari_sam2.training.synthetic import Modality, SceneOptions

#: The time-lapses, and the seeds that they grow from.
NUCLEI = SceneOptions(
    size=(344, 280),
    n_frames=16,
    modality=Modality.FLUORESCENCE,
    diameters=(30.0, 56.0),
    coverage=0.22,
)
CELLS = SceneOptions(
    size=(256, 256), n_frames=20, modality=Modality.DIC, diameters=(28.0, 64.0), coverage=0.15
)
NUCLEI_SEED, CELLS_SEED = 11, 4
Layers = list[tuple[np.ndarray, dict[str, Any], str]]

#: Of the z-stack: planes are farther apart than pixels, as they are under a microscope.
STACK_SHAPE, STEP = (32, 192, 192), 2.0
N_SPHERES, RADII = 14, (14.0, 24.0)  #: pixels of a plane
BLUR, PHOTONS = (1.2, 1.5, 1.5), 60.0


def nuclei() -> Layers:
    """Generate fluorescent nuclei that drift and change."""
    return _layers("nuclei (generated)", make_time_lapse(NUCLEI, NUCLEI_SEED))


def cells() -> Layers:
    """Generate a layer of cells in differential interference contrast."""
    return _layers("cells (generated)", make_time_lapse(CELLS, CELLS_SEED))


def nuclei_3d() -> Layers:
    """Generate a z-stack of nuclei: ellipsoids, blurred most along z, with noise of photons."""
    dice = np.random.default_rng(7)
    depth, height, width = STACK_SHAPE
    z, rows, columns = np.ogrid[:depth, :height, :width]
    light = np.full(STACK_SHAPE, 0.04)
    taken = np.zeros(STACK_SHAPE, dtype=bool)
    placed = 0
    while placed < N_SPHERES:
        middle = dice.uniform((6, 20, 20), (depth - 6, height - 20, width - 20))
        radii = dice.uniform(*RADII, size=3) * (0.5 / STEP * 1.4, 0.8, 0.8)
        axes = zip((z, rows, columns), middle, radii, strict=True)
        distance = sum(((axis - at) / radius) ** 2 for axis, at, radius in axes)
        if (taken & (distance < 1.3)).any():
            continue
        taken |= distance < 1.3
        light[distance < 1] = dice.uniform(0.5, 1.0)
        placed += 1
    grain = ndimage.gaussian_filter(dice.standard_normal(STACK_SHAPE), 2.0)
    light *= 1 + 0.15 * grain / grain.std()
    counts = dice.poisson(ndimage.gaussian_filter(light, BLUR).clip(0) * PHOTONS)
    images = (counts * (65535 / (2 * PHOTONS))).clip(0, 65535).astype(np.uint16)
    options = {
        "name": "nuclei, z-stack (generated)",
        "scale": (STEP, 1.0, 1.0),
        "axis_labels": ("z", "y", "x"),
        "contrast_limits": (0.0, float(np.percentile(images, 99.8))),
    }
    return [(images, options, "image")]


def coins() -> Layers:
    """Open a photograph of Greek coins from Pompeii, grey; in scikit-image."""
    return [(data.coins(), {"name": "coins"}, "image")]


def tissue() -> Layers:
    """Open a stained section of tissue, in colour; in scikit-image."""
    return [(data.immunohistochemistry(), {"name": "tissue", "rgb": True}, "image")]


def _layers(name: str, lapse: TimeLapse) -> Layers:
    low, high = np.percentile(lapse.images, (1, 99.7))
    options = {
        "name": name,
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": (float(low), float(high)),
    }
    return [(lapse.images, options, "image")]
