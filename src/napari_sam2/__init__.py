"""SAM 2 for napari: click a cell, have it in every frame.

The names below are imported when they are first used, so that ``import napari_sam2`` loads
neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.automatic import Everything, EverythingOptions, Selection
    from napari_sam2.downloads import DownloadError, download_weights
    from napari_sam2.model.checkpoint import CheckpointError, load_model
    from napari_sam2.model.config import SAM2Config, config_names, load_config
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.batches import DeviceMemoryError
    from napari_sam2.predictors.frames import FrameError, FrameSource, View
    from napari_sam2.predictors.image import ImagePredictor
    from napari_sam2.predictors.meta.automatic import SAM2AutomaticMaskGenerator
    from napari_sam2.predictors.meta.build import (
        build_sam2,
        build_sam2_hf,
        build_sam2_video_predictor,
        build_sam2_video_predictor_hf,
    )
    from napari_sam2.predictors.meta.image import SAM2ImagePredictor
    from napari_sam2.predictors.meta.video import SAM2VideoPredictor
    from napari_sam2.predictors.segmenter import TrackerOptions
    from napari_sam2.predictors.tracker import Tracker
    from napari_sam2.prompts import (
        BoxPrompt,
        Candidates,
        FrameMasks,
        MaskPrompt,
        ObjectMask,
        PointPrompt,
    )
    from napari_sam2.results.divisions import DivisionRule
    from napari_sam2.results.overlaps import Overlap
    from napari_sam2.results.quality import QualityTable
    from napari_sam2.results.tracks import Tracks
    from napari_sam2.session import Session, Settings
    from napari_sam2.session_files.records import SessionFileError
    from napari_sam2.training.annotated import AnnotatedStack, AnnotationError
    from napari_sam2.training.finetune import FineTuning
    from napari_sam2.training.finetune_options import FineTuned, FineTuneOptions
    from napari_sam2.volumes import SeriesStep, StackSeries

_HOMES = {
    "Everything": "automatic",
    "EverythingOptions": "automatic",
    "Selection": "automatic",
    "DivisionRule": "results.divisions",
    "DownloadError": "downloads",
    "download_weights": "downloads",
    "CheckpointError": "model.checkpoint",
    "load_model": "model.checkpoint",
    "SAM2Config": "model.config",
    "SAM2VideoPredictor": "predictors.meta.video",
    "config_names": "model.config",
    "load_config": "model.config",
    "SAM2": "model.sam2",
    "Overlap": "results.overlaps",
    "DeviceMemoryError": "predictors.batches",
    "FrameError": "predictors.frames",
    "FrameSource": "predictors.frames",
    "View": "predictors.frames",
    "ImagePredictor": "predictors.image",
    "SAM2AutomaticMaskGenerator": "predictors.meta.automatic",
    "SAM2ImagePredictor": "predictors.meta.image",
    "build_sam2": "predictors.meta.build",
    "build_sam2_hf": "predictors.meta.build",
    "build_sam2_video_predictor": "predictors.meta.build",
    "build_sam2_video_predictor_hf": "predictors.meta.build",
    "Tracker": "predictors.tracker",
    "TrackerOptions": "predictors.segmenter",
    "BoxPrompt": "prompts",
    "Candidates": "prompts",
    "FrameMasks": "prompts",
    "MaskPrompt": "prompts",
    "ObjectMask": "prompts",
    "PointPrompt": "prompts",
    "QualityTable": "results.quality",
    "Session": "session",
    "SessionFileError": "session_files.records",
    "Settings": "session",
    "Tracks": "results.tracks",
    "AnnotatedStack": "training.annotated",
    "AnnotationError": "training.annotated",
    "FineTuneOptions": "training.finetune_options",
    "FineTuned": "training.finetune_options",
    "FineTuning": "training.finetune",
    "SeriesStep": "volumes",
    "StackSeries": "volumes",
}

__all__ = [
    "SAM2",
    "AnnotatedStack",
    "AnnotationError",
    "BoxPrompt",
    "Candidates",
    "CheckpointError",
    "DeviceMemoryError",
    "DivisionRule",
    "DownloadError",
    "Everything",
    "EverythingOptions",
    "FineTuneOptions",
    "FineTuned",
    "FineTuning",
    "FrameError",
    "FrameMasks",
    "FrameSource",
    "ImagePredictor",
    "MaskPrompt",
    "ObjectMask",
    "Overlap",
    "PointPrompt",
    "QualityTable",
    "SAM2AutomaticMaskGenerator",
    "SAM2Config",
    "SAM2ImagePredictor",
    "SAM2VideoPredictor",
    "Selection",
    "SeriesStep",
    "Session",
    "SessionFileError",
    "Settings",
    "StackSeries",
    "Tracker",
    "TrackerOptions",
    "Tracks",
    "View",
    "build_sam2",
    "build_sam2_hf",
    "build_sam2_video_predictor",
    "build_sam2_video_predictor_hf",
    "config_names",
    "download_weights",
    "load_config",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("napari-sam2")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"napari_sam2.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
