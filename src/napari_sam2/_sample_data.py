"""Images to try the plugin on: generated, not downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2.demo import make_time_lapse
from napari_sam2.training.synthetic import Modality, SceneOptions

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
    return [(make_time_lapse(options, seed).images, {"name": name}, "image")]
