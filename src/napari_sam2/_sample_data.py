"""Images to try the plugin on: generated, or in scikit-image; none is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage import data

from napari_sam2.demo import make_time_lapse
from napari_sam2.training.synthetic import Modality, SceneOptions

N_FRAMES = 20
SIZE = (256, 256)  #: (H, W), pixels
Layers = list[tuple[np.ndarray, dict[str, Any], str]]

#: Of the z-stack: planes are farther apart than pixels, as they are under a microscope.
STACK_SHAPE, STEP = (32, 192, 192), 2.0
N_SPHERES, RADII = 14, (14.0, 24.0)  #: pixels of a plane
BLUR, PHOTONS = (1.2, 1.5, 1.5), 60.0


def nuclei() -> Layers:
    """Generate fluorescent nuclei that drift; one comes in from the side."""
    return _time_lapse("nuclei (generated)", Modality.FLUORESCENCE, seed=126)


def cells() -> Layers:
    """Generate a layer of cells in differential interference contrast."""
    return _time_lapse("cells (generated)", Modality.DIC, seed=4)


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


def _time_lapse(name: str, modality: Modality, seed: int) -> Layers:
    options = SceneOptions(
        size=SIZE, n_frames=N_FRAMES, modality=modality, diameters=(28.0, 64.0), coverage=0.15
    )
    return [
        (
            make_time_lapse(options, seed).images,
            {"name": name, "axis_labels": ("t", "y", "x")},
            "image",
        )
    ]
