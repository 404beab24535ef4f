"""What a modality hands to the camera."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """Light that reaches the lens, and the truth behind it."""

    light: Tensor  #: (T, 1 or 3, H, W), not negative
    labels: Tensor  #: (T, H, W) int32
    parents: dict[int, int]  #: child id -> parent id
    diameter: float  #: typical object, pixels
    max_noise: float = 0.15  #: largest noise, in parts of the range of the light
    max_shading: float = 0.4  #: how deep uneven illumination may be
    max_blur: float = 0.12  #: widest usual point spread, in diameters
