"""How a session computes, and by what names that is found again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2.model.config import config_names, load_config
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.results.overlaps import OVERLAP_BYTES, Overlap
from napari_sam2.workspace.history import HISTORY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.model.config import SAM2Config
    from napari_sam2.predictors import SAM2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a session computes."""

    checkpoint: Path | None = None  #: weights instead of the model's own
    device: str | None = None  #: the fastest there is unless given
    #: "float32", "bfloat16", "float16", or "mixed", which is exact but for what is remembered, and
    #: faster where bfloat16 is; safe for the device unless given.
    precision: str | None = None
    compile: bool = False  #: have torch compile the network: slow at first, then faster
    #: Edge of the square that the model sees, in pixels; its own unless given. With half of it all
    #: is several times as fast, and approximate.
    image_size: int | None = None
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    history_bytes: int = HISTORY_BYTES  #: of what is kept to undo changes; the oldest go first
    overlap: Overlap = Overlap.KEEP  #: who has the pixels that several objects claim
    #: Of what objects claim of pixels that others have; see `Session.set_overlap`.
    overlap_bytes: int = OVERLAP_BYTES


def record_settings(settings: Settings) -> dict[str, Any]:
    """Give what of settings matters on another computer, too, as plain data."""
    options = asdict(settings.tracker)
    options = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
    checkpoint = None if settings.checkpoint is None else str(Path(settings.checkpoint).absolute())
    return {
        "checkpoint": checkpoint,
        "precision": settings.precision,
        "image_size": settings.image_size,
        "overlap": Overlap(settings.overlap).value,
        "tracker": options,
    }


def read_settings(record: Mapping[str, Any]) -> Settings:
    """Make settings of what `record_settings` gave; options that are not known are left out."""
    known = {one.name for one in fields(TrackerOptions)}
    options = {k: v for k, v in record.get("tracker", {}).items() if k in known}
    if options.get("feature_folder") is not None:
        options["feature_folder"] = Path(options["feature_folder"])
    checkpoint = record.get("checkpoint")
    return Settings(
        checkpoint=None if checkpoint is None else Path(checkpoint),
        precision=record.get("precision"),
        image_size=record.get("image_size"),
        overlap=Overlap(record.get("overlap", Overlap.KEEP)),
        tracker=TrackerOptions(**options),
    )


def record_model(asked: str | Path | SAM2, model: SAM2) -> dict[str, Any]:
    """Give the names of a model as plain data.

    Parameters
    ----------
    asked : str, Path or SAM2
        What the session was begun with.
    model : SAM2
        What that was.
    """
    name = str(asked) if isinstance(asked, str | Path) else _config_of(model)
    if isinstance(asked, Path) or (name is not None and Path(name).is_file()):
        name = str(Path(str(name)).absolute())
    return {"name": name, "shown": model.config.name}


def find_model(record: Mapping[str, Any]) -> str:
    """Give the name of the model that `record_model` was given.

    Raises
    ------
    ValueError
        If it had none; the message says what to do.
    """
    if record["name"] is None:
        raise ValueError(
            f"The session was saved with the model {record['shown']!r}, which has no config here: "
            f"expected one of {config_names()}. Give the model itself."
        )
    return str(record["name"])


def _config_of(model: SAM2) -> str | None:
    """Find the config that a loaded model was made by."""
    own = _shape_of(model.config)
    return next((one for one in config_names() if _shape_of(load_config(one)) == own), None)


def _shape_of(config: SAM2Config) -> dict[str, Any]:
    """Give all of a config but its image size, which settings change."""
    return {name: value for name, value in asdict(config).items() if name != "image_size"}
