"""One generated scene: images, and the exact mask of every object in them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_sam2.training.synthetic.bright_field import bright_field
from napari_sam2.training.synthetic.dic import relief
from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.electron import electron
from napari_sam2.training.synthetic.fluorescence import fluorescence
from napari_sam2.training.synthetic.generic import generic
from napari_sam2.training.synthetic.optics import (
    develop,
    expose,
    illuminate,
    lose_resolution,
    point_spread,
)
from napari_sam2.training.synthetic.options import Modality, SceneOptions
from napari_sam2.training.synthetic.phase_contrast import phase_contrast
from napari_sam2.training.synthetic.specimen import Specimen
from napari_sam2.training.synthetic.tissue import tissue

ATTEMPTS = 4  #: scenes drawn until one holds an object
MIN_PIXELS = 12  #: fewer visible pixels than this get no label

RENDERERS: dict[Modality, Callable[[Dice, SceneOptions], Specimen]] = {
    Modality.FLUORESCENCE: fluorescence,
    Modality.PHASE_CONTRAST: phase_contrast,
    Modality.BRIGHT_FIELD: bright_field,
    Modality.DIC: relief,
    Modality.ELECTRON: electron,
    Modality.TISSUE: tissue,
    Modality.GENERIC: generic,
}

FREQUENCIES = {
    Modality.FLUORESCENCE: 4.0,
    Modality.PHASE_CONTRAST: 3.0,
    Modality.BRIGHT_FIELD: 1.0,
    Modality.DIC: 2.5,
    Modality.ELECTRON: 3.0,
    Modality.TISSUE: 1.5,
    Modality.GENERIC: 2.0,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """T frames of one place, and what is in them."""

    images: Tensor  #: (T, 3, H, W) float32 in [0, 1]; grey is repeated
    labels: Tensor  #: (T, H, W) int32; 0 is background, an id is one object in all frames
    parents: dict[int, int]  #: child id -> parent id, both somewhere in `labels`
    modality: Modality


def generate_scene(
    options: SceneOptions, generator: torch.Generator, device: torch.device | str = "cpu"
) -> Scene:
    """Generate one scene.

    Parameters
    ----------
    options : SceneOptions
    generator : torch.Generator
        The only source of chance: equal options, seed and device give equal scenes.
    device : torch.device or str
        Where the images are made and stay.

    Returns
    -------
    Scene
        Without objects only where several attempts gave none, as very small images or sparse
        coverage may.
    """
    dice = Dice(generator, device)
    modality = options.modality
    if modality is None:
        modality = dice.pick(list(FREQUENCIES), list(FREQUENCIES.values()))
    for _ in range(ATTEMPTS):
        specimen = RENDERERS[modality](dice, options)
        labels, parents = _tidy(specimen.labels, specimen.parents)
        if bool(labels.any()):
            break
    light = specimen.light
    light = point_spread(dice, light, specimen.max_blur * specimen.diameter)
    light = illuminate(dice, light, specimen.max_shading)
    light = expose(dice, light, specimen.max_noise)
    images = lose_resolution(dice, develop(dice, light), specimen.diameter)
    return Scene(images.expand(-1, 3, -1, -1).contiguous(), labels, parents, modality)


def _tidy(labels: Tensor, parents: dict[int, int]) -> tuple[Tensor, dict[int, int]]:
    """Drop labels that are hardly visible and number the rest from 1 without holes."""
    n_ids = int(labels.max()) + 1
    frames = torch.arange(labels.shape[0], device=labels.device)[:, None, None] * n_ids
    flat = (labels + frames).flatten().long()
    pixels = torch.bincount(flat, minlength=labels.shape[0] * n_ids).view(-1, n_ids)
    visible = pixels >= MIN_PIXELS
    visible[:, 0] = False
    present = visible.any(0)
    number = torch.where(present, present.cumsum(0), 0)
    table = torch.where(visible, number, 0).int()  # (T, n_ids)
    kept = dict(enumerate(number.tolist()))
    family = {
        kept[child]: kept[parent]
        for child, parent in parents.items()
        if kept.get(child) and kept.get(parent)
    }
    return table.flatten()[flat].view(labels.shape), family
