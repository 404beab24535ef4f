"""Images to try the plugin on: generated, not downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_sam2.training.synthetic import Modality, SceneOptions, generate_scene

if TYPE_CHECKING:
    import numpy as np

N_FRAMES = 20
SIZE = (256, 256)  #: (H, W), pixels


def nuclei() -> list[tuple[np.ndarray, dict[str, Any], str]]:
    """Generate fluorescent nuclei that drift; one comes in from the side."""
    return _time_lapse("nuclei (generated)", Modality.FLUORESCENCE, seed=126)


def cells() -> list[tuple[np.ndarray, dict[str, Any], str]]:
    """Generate a layer of cells in differential interference contrast."""
    return _time_lapse("cells (generated)", Modality.DIC, seed=4)


def _time_lapse(
    name: str, modality: Modality, seed: int
) -> list[tuple[np.ndarray, dict[str, Any], str]]:
    options = SceneOptions(
        size=SIZE, n_frames=N_FRAMES, modality=modality, diameters=(28.0, 64.0), coverage=0.15
    )
    scene = generate_scene(options, torch.Generator().manual_seed(seed))
    images = (scene.images[:, 0] * 255).round().to(torch.uint8).numpy()
    return [(images, {"name": name}, "image")]
