"""A stack, how it is looked at, and its labels, as plain data: enough to know them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.predictors.frames import FrameError, View
from napari_sam2.session_files.records import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.predictors.frames import FrameSource
    from napari_sam2.workspace.workspace import Workspace

LOOKED_AT = 3  #: frames by which a stack is known again


def describe(work: Workspace) -> dict[str, Any]:
    """Give how a session looks at its stack, and the numbers of its objects, as plain data."""
    source, view = work.source, work.source.view
    looked_at = {
        "axis": view.axis,
        "held": {str(axis): i for axis, i in source.held.items()},
        "rgb": source.rgb,
        "contrast_limits": [list(one) for one in source.limits],
        "gamma": source.gamma,
        "inverted": source.inverted,
        "level": view.level,
        "channel_axis": source.channel_axis,
        "channels": list(source.channels),
    }
    return {"view": looked_at, "order": list(work.objects), "numbers": work.number_state()}


def describe_stack(source: FrameSource) -> dict[str, Any]:
    """Give what a stack is known by again, as plain data: a few of its frames are read."""
    frames = np.linspace(0, source.n_frames - 1, min(LOOKED_AT, source.n_frames)).astype(int)
    return {
        "shape": [int(n) for n in source.data.shape],
        "dtype": type_name(source.data.dtype),
        "frames": {str(frame): digest_frame(source, frame) for frame in frames.tolist()},
    }


def digest_frame(source: FrameSource, frame: int) -> str | None:
    """Give a digest of a frame's pixels; None where they cannot be read."""
    try:
        return digest_of(little_endian(source.pixels(frame)).tobytes()).hex()
    except FrameError:  # work on images that are gone for now can be saved all the same
        return None


def describe_labels(work: Workspace, place: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the labels' shape, type and place as plain data."""
    array = work.labels.array
    return {
        "shape": [int(n) for n in array.shape],
        "dtype": type_name(array.dtype),
        "seen": list(work.source.seen),
        "place": None if place is None else dict(place),
    }


def decode_view(record: Mapping[str, Any]) -> View:
    """Give the view that `describe` was given."""
    limits = [(low, high) for low, high in record["contrast_limits"]]
    channels = record["channel_axis"] is not None
    return View(
        axis=record["axis"],
        held={int(axis): i for axis, i in record["held"].items()},
        rgb=None if channels else record["rgb"],
        contrast_limits=limits if channels else limits[0],
        gamma=record["gamma"],
        inverted=record["inverted"],
        level=record["level"],
        channel_axis=record["channel_axis"],
        channels=record["channels"] if channels else None,
    )


def type_name(dtype: Any) -> str:
    """Name a type, whatever its byte order."""
    return str(np.dtype(dtype).newbyteorder("=").name)


def little_endian(numbers: np.ndarray) -> np.ndarray:
    """Give numbers as they are written on every computer."""
    return np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False))
