"""The shape of a model, and the YAML files that name one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_sam2.model.locations import models_folder
from napari_sam2.model.registry import find_published

if TYPE_CHECKING:
    from collections.abc import Mapping


EMBEDDED_MODEL = "sam2.1_hiera_nano"  #: comes with the package


@dataclass(frozen=True, kw_only=True)
class HieraConfig:
    """Shape of the image trunk. One entry per stage unless stated."""

    embed_dim: int = 96  #: channels of the first stage; doubled at each later one
    num_heads: int = 1  #: heads of the first stage; doubled likewise
    stages: tuple[int, ...] = (1, 2, 7, 2)  #: blocks
    windows: tuple[int, ...] = (8, 4, 14, 7)  #: attention window edge, in tokens
    global_blocks: tuple[int, ...] = (5, 7, 9)  #: indices of blocks that attend everywhere
    pos_embed_grid: tuple[int, int] = (7, 7)  #: (H, W) of the learnt background embedding

    def __post_init__(self) -> None:
        if not len(self.stages) == len(self.windows) == 4:
            raise ValueError(
                f"A Hiera trunk has four stages; got blocks {self.stages}, windows {self.windows}."
            )

    @property
    def stage_dims(self) -> tuple[int, ...]:
        """Output channels of each stage, e.g. (96, 192, 384, 768)."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.stages)))


@dataclass(frozen=True, kw_only=True)
class SAM2Config:
    """Everything needed to build a model, before its weights.

    The defaults are what all eight published models share.
    """

    name: str  #: shown to the user
    checkpoint: str  #: file name of the weights
    image_size: int = 1024  #: edge of the square input, in pixels
    hiera: HieraConfig = field(default_factory=HieraConfig)
    d_model: int = 256  #: width of everything after the trunk
    memory_dim: int = 64  #: channels of a spatial memory; a pointer is cut into such tokens
    memory_layers: int = 4  #: layers of memory attention
    memory_mlp_dim: int = 2048  #: hidden channels in memory attention
    decoder_heads: int = 8  #: attention heads in the mask decoder
    decoder_mlp_dim: int = 2048  #: hidden channels in the mask decoder's transformer
    iou_head_dim: int = 256  #: hidden channels of the IoU head
    occlusion_embedding: bool = True  #: mark memories of frames without the object (2.1)
    pointer_time: bool = True  #: tell pointers by their distance in time (2.1)
    #: A single mask is kept, rather than replaced by the best candidate, where the ratio of its
    #: areas is at least this when its threshold moves by `stability_delta` (Meta's dynamic
    #: multimask). 0 keeps all.
    least_stability: float = 0.98
    stability_delta: float = 0.05  #: logits, either way

    def __post_init__(self) -> None:
        # 32 for the trunk's strides, 8 for the window that tiles its position embedding.
        unit = 4 * max(8, self.hiera.windows[0])
        if self.image_size <= 0 or self.image_size % unit:
            raise ValueError(
                f"image_size must be a positive multiple of {unit}, got {self.image_size}."
            )
        if self.d_model % self.memory_dim:
            raise ValueError(
                f"d_model must be a multiple of memory_dim ({self.memory_dim}), got {self.d_model}."
            )

    @property
    def grid_size(self) -> int:
        """Edge of the feature map that memories live on, in tokens of 16 pixels."""
        return self.image_size // 16

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SAM2Config:
        """Build from a parsed ``configs/*.yaml``; unknown keys are errors."""
        _reject_unknown(cls, data)
        hiera = data.get("hiera", {})
        _reject_unknown(HieraConfig, hiera)
        hiera = {key: tuple(v) if isinstance(v, list) else v for key, v in hiera.items()}
        return cls(**{**data, "hiera": HieraConfig(**hiera)})


def _reject_unknown(cls: type[HieraConfig | SAM2Config], data: Mapping[str, Any]) -> None:
    known = {f.name for f in fields(cls)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"{cls.__name__} has no {unknown}; it takes {sorted(known)}.")


def config_folder() -> Path:
    """Give the folder of the YAML files: inside the package when installed, else the checkout's."""
    here = Path(__file__)
    installed = here.parents[1] / "configs"
    return installed if installed.is_dir() else here.parents[3] / "configs"


def architecture_names() -> list[str]:
    """Name every model that the package has a config of; no two have the same tensors."""
    return sorted(path.stem for path in config_folder().glob("*.yaml"))


def user_model_names() -> list[str]:
    """Name the user's own models; see `napari_sam2.model.locations.models_folder`.

    A file there that is no config is passed over: it keeps no other from being used.
    """
    taken, names = architecture_names(), []
    for path in sorted(models_folder().glob("*.yaml")):
        try:
            _read_config(path)
        except ValueError:
            continue
        if path.stem not in taken:
            names.append(path.stem)
    return names


def config_names() -> list[str]:
    """Name every model that has a config, e.g. ``sam2.1_hiera_tiny``; the user's own last."""
    return architecture_names() + user_model_names()


def load_config(name: str | Path) -> SAM2Config:
    """Read a config by its name, or from a YAML file.

    Parameters
    ----------
    name : str or Path
        One of `config_names` (the package's own go before the user's), any other name of one
        of Meta's models
        (``configs/sam2.1/sam2.1_hiera_t.yaml``, ``facebook/sam2.1-hiera-tiny``,
        ``sam2.1_hiera_tiny.pt``), or the path of a ``.yaml`` file of ours. Where a file bears a
        name of Meta's, a str means the model and a `Path` the file.

    Raises
    ------
    ValueError
        If there is no such config, or it has keys that do not exist.
    """
    published = find_published(name) if isinstance(name, str) else None
    path = Path(name if published is None else published.name)
    if path.suffix in {".pt", ".pth", ".safetensors"}:
        raise ValueError(
            f"{path} is a file of weights, and a config was expected. Give the file as checkpoint, "
            f"and beside it the config that it is for: one of {config_names()}, or a YAML file."
        )
    if path.suffix not in {".yaml", ".yml"}:
        given = path
        path = config_folder() / f"{given}.yaml"
        if not path.is_file():
            path = models_folder() / f"{given}.yaml"
    if not path.is_file():
        raise ValueError(
            f"There is no config {str(name)!r}. Choose one of {config_names()} or give a YAML file."
        )
    return _read_config(path)


def _read_config(path: Path) -> SAM2Config:
    try:
        return SAM2Config.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a model config: {error}") from error
