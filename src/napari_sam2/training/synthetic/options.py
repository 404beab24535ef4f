"""What can be asked of the generator."""

from dataclasses import dataclass
from enum import StrEnum


class Modality(StrEnum):
    """A way of making small things visible."""

    FLUORESCENCE = "fluorescence"
    PHASE_CONTRAST = "phase contrast"
    BRIGHT_FIELD = "bright field"
    DIC = "dic"
    ELECTRON = "electron"
    TISSUE = "tissue"
    GENERIC = "generic"


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """One scene, as far as it is not left to chance.

    Raises
    ------
    ValueError
        If a size, count or range cannot be met.
    """

    size: tuple[int, int] = (256, 256)  #: (H, W), pixels
    n_frames: int = 1
    modality: Modality | None = None  #: None draws one
    diameters: tuple[float, float] = (5.0, 200.0)  #: of objects, area-equivalent, pixels
    coverage: float | None = None  #: share of the area under objects, 0 to 1; None draws it
    max_objects: int = 300  #: in the first frame
    hiding: float | None = None  #: chance of an object to go out of sight, a frame; None draws it

    def __post_init__(self) -> None:
        smallest, largest = self.diameters
        if min(self.size) < 32:
            raise ValueError(f"size must be at least (32, 32) pixels, got {self.size}.")
        if self.n_frames < 1 or self.max_objects < 1:
            raise ValueError(
                "n_frames and max_objects must be at least 1, "
                f"got {self.n_frames} and {self.max_objects}."
            )
        if not 4 <= smallest <= largest:
            raise ValueError(f"diameters must be (low, high), low from 4 px, got {self.diameters}.")
        if self.coverage is not None and not 0 < self.coverage <= 1:
            raise ValueError(f"coverage must be in (0, 1] or None, got {self.coverage}.")
        if self.hiding is not None and not 0 <= self.hiding < 1:
            raise ValueError(f"hiding must be in [0, 1) or None, got {self.hiding}.")
