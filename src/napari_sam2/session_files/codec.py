"""Objects and prompts as JSON, and back."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.workspace.ledger import SessionObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari_sam2.prompts import Prompt


def to_json(value: Any) -> bytes:
    """Give plain data as JSON, the same for the same; numbers come back bit for bit."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.encode()


def _plain(value: Any) -> Any:
    """Give numpy's numbers as Python's: scripts take a level or a gamma from arrays."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be saved: {value!r}.")


def encode_object(one: SessionObject, followed: Iterable[int]) -> bytes:
    """Give an object without its prompts.

    Parameters
    ----------
    one : SessionObject
    followed : iterable of int
        Frames on which a new click corrects, rather than begins.
    """
    frames = {"frames": one.frames, "locked": one.locked, "followed": followed}
    return to_json(
        {
            "name": one.name,
            "parent": one.parent,
            "end": one.end,
            **{name: _runs(numbers) for name, numbers in frames.items()},
        }
    )


def decode_object(
    content: bytes, prompts: Mapping[int, tuple[Prompt, ...]]
) -> tuple[SessionObject, frozenset[int]]:
    """Give the object that `encode_object` was given, and the frames it was followed over.

    Its prompts, by frame, are not in there: they are given.
    """
    record = json.loads(content)
    one = SessionObject(
        record["name"],
        prompts,
        frames=_frames(record["frames"]),
        locked=_frames(record["locked"]),
        parent=record["parent"],
        end=record["end"],
    )
    return one, _frames(record["followed"])


def encode_prompts(prompts: Sequence[Prompt]) -> bytes:
    """Give the prompts of an object on a frame."""
    return to_json([_encode_prompt(prompt) for prompt in prompts])


def decode_prompts(content: bytes, frame: int) -> tuple[Prompt, ...]:
    """Give the prompts that `encode_prompts` was given."""
    return tuple(_DECODERS[record["kind"]](record, frame) for record in json.loads(content))


def _encode_prompt(prompt: Prompt) -> dict[str, Any]:
    if isinstance(prompt, PointPrompt):
        at = [float(prompt.row), float(prompt.column)]
        chosen = {} if prompt.candidate is None else {"candidate": int(prompt.candidate)}
        return {"kind": "point", "at": at, "positive": bool(prompt.positive), **chosen}
    if isinstance(prompt, BoxPrompt):
        corners = (prompt.row0, prompt.column0, prompt.row1, prompt.column1)
        return {"kind": "box", "corners": [float(x) for x in corners]}
    return {
        "kind": "mask",
        "shape": [int(n) for n in prompt.shape],
        "origin": [int(n) for n in prompt.origin],
        "size": list(prompt.part.shape),
        "bits": b64encode(np.packbits(prompt.part).tobytes()).decode(),
    }


def _decode_point(record: Mapping[str, Any], frame: int) -> Prompt:
    row, column = record["at"]
    return PointPrompt(frame, row, column, record["positive"], record.get("candidate"))


def _decode_box(record: Mapping[str, Any], frame: int) -> Prompt:
    return BoxPrompt(frame, *record["corners"])


def _decode_mask(record: Mapping[str, Any], frame: int) -> Prompt:
    height, width = record["size"]
    bits = np.frombuffer(b64decode(record["bits"]), np.uint8)
    part = np.unpackbits(bits, count=height * width).reshape(height, width)
    row, column = record["origin"]
    return MaskPrompt(frame, part, (row, column), tuple(record["shape"]))


_DECODERS: dict[str, Callable[[Mapping[str, Any], int], Prompt]] = {
    "point": _decode_point,
    "box": _decode_box,
    "mask": _decode_mask,
}


def _runs(frames: Iterable[int]) -> list[list[int]]:
    """Give frames as runs, [first, last] each: most follow on one another."""
    runs: list[list[int]] = []
    for frame in sorted(map(int, frames)):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return runs


def _frames(runs: Iterable[Sequence[int]]) -> frozenset[int]:
    return frozenset(frame for first, last in runs for frame in range(first, last + 1))
