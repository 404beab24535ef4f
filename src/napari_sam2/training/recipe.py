"""A training run as data: which model, which stages, in which order."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from napari_sam2.model.config import config_folder
from napari_sam2.training.steps import StepOptions

KINDS = ("dense", "images", "sequences")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a run."""

    name: str  #: shown in the log; unique in a recipe
    kind: str  #: one of `KINDS`
    steps: int
    image_size: int  #: edge of the input, in pixels
    batch_size: int = 4  #: images or sequences a step
    n_frames: int = 1  #: of each sequence
    learning_rate: float = 5e-4  #: at the start; kept, or falling to 0
    #: Of the image encoder; as the rest unless given, and 0 leaves it as it is.
    trunk_learning_rate: float | None = None
    frozen: tuple[str, ...] = ()  #: further parts of the model that stay as they are
    decay: bool = False  #: whether the learning rate falls to 0 by a cosine
    nuclei_share: float = 0.3  #: of samples that are real nuclei, where the set is there
    echo: int = 4  #: views of each generated scene
    zoom: tuple[float, float] = (0.8, 2.0)  #: enlargement of generated scenes
    nuclei_zoom: tuple[float, float] = (0.5, 3.0)  #: enlargement of real nuclei
    around: float = 0.0  #: share of views that are around an object, as windows are
    #: Chance of an object of a generated sequence to go out of sight, a frame; drawn unless given.
    hiding: float | None = None
    options: StepOptions = field(default_factory=StepOptions)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Stage {self.name!r} is of kind {self.kind!r}; choose from {KINDS}.")
        if self.kind == "sequences" and self.n_frames < 2:
            raise ValueError(f"Stage {self.name!r} needs n_frames of 2 or more.")

    @property
    def still(self) -> tuple[str, ...]:
        """The parts of the model that stay as they are."""
        return (*self.frozen, "image_encoder") if self.trunk_learning_rate == 0 else self.frozen


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run."""

    model: str  #: name of a config
    stages: tuple[Stage, ...]
    seed: int = 0
    #: File with the stems of nuclei images that are not trained on; in YAML its name, and it
    #: lies beside the recipe.
    kept_out: Path | None = None
    weight_decay: float = 0.02
    average: float = 0.999  #: decay of the moving average of the weights, a step
    clip: float = 1.0  #: largest norm of the gradient

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a YAML file; unknown keys are errors.

        Raises
        ------
        ValueError
            If it is not a recipe; the message says where.
        """
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            data = _mapping(data, "A recipe")
            if "kept_out" in data:
                data["kept_out"] = path.parent / str(data["kept_out"])
            if "stages" in data:
                data["stages"] = _stages(data["stages"])
            recipe: Recipe = _build(cls, data)
        except (yaml.YAMLError, ValueError) as error:
            raise ValueError(f"{path} is not a recipe: {error}") from error
        return recipe

    def kept_out_stems(self) -> frozenset[str]:
        """Read the names of the images that are only measured on."""
        if self.kept_out is None:
            return frozenset()
        return frozenset(self.kept_out.read_text(encoding="utf-8").split())

    def outline(self) -> list[str]:
        """Say what is done in which order; a run goes on only where this has not changed."""
        return [f"{stage.name} ({stage.kind})" for stage in self.stages]


def recipe_folder() -> Path:
    """Give the folder of the recipes that the package brings along."""
    return config_folder() / "training"


def find_recipe(name: str | Path) -> Recipe:
    """Read a recipe by its name, or from a YAML file.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = recipe_folder() / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in recipe_folder().glob("*.yaml"))
        raise ValueError(f"There is no recipe {str(name)!r}. Choose one of {known} or a YAML file.")
    return Recipe.read(path)


def _stages(data: Any) -> tuple[Stage, ...]:
    if not isinstance(data, list):
        raise ValueError(f"stages must be a list, got {data!r}.")
    return tuple(_stage(_mapping(stage, "A stage")) for stage in data)


def _stage(data: dict[str, Any]) -> Stage:
    pairs = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    options = _build(StepOptions, _mapping(data.get("options", {}), "options"))
    stage: Stage = _build(Stage, {**data, **pairs, "options": options})
    return stage


def _mapping(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{what} is keys and values, got {data!r}.")
    return dict(data)


def _build(cls: type, data: dict[str, Any]) -> Any:
    known = {f.name for f in fields(cls)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"{cls.__name__} has no {unknown}; it takes {sorted(known)}.")
    needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(needed - set(data)):
        raise ValueError(f"{cls.__name__} needs {missing}.")
    return cls(**data)
