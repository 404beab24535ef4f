"""What a session holds, and the one door through which it changes: whatever does can be undone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.history import HISTORY_BYTES, History
from napari_sam2.prompts import MaskPrompt, bounding_box
from napari_sam2.quality import QualityTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_sam2.labels import StackLabels
    from napari_sam2.predictors.objects import Remembered
    from napari_sam2.predictors.tracker import Tracker
    from napari_sam2.prompts import FrameMasks, Prompt

BYTES_A_FRAME = 64  #: of a number in a set
BYTES_A_PROMPT = 120


@dataclass(frozen=True, slots=True)
class SessionObject:
    """One object to find: a name, its prompts on each frame, and what is known of it.

    It never changes: another one takes its place.
    """

    name: str
    prompts: Mapping[int, tuple[Prompt, ...]] = field(default_factory=dict)
    frames: frozenset[int] = frozenset()  #: frames with a result in the labels
    locked: frozenset[int] = frozenset()  #: frames whose result was accepted for good
    parent: int | None = None  #: the object that divided into this one and others
    end: int | None = None  #: the frame from which its daughters are there instead

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", MappingProxyType(dict(self.prompts)))
        object.__setattr__(self, "frames", frozenset(self.frames))
        object.__setattr__(self, "locked", frozenset(self.locked))

    def is_open(self, frame: int) -> bool:
        """Whether propagation may write it on a frame."""
        return frame not in self.locked and (self.end is None or frame < self.end)


class Records:
    """Objects, labels, quality and what is remembered to compute, changed within steps.

    Parameters
    ----------
    labels : StackLabels
    tracker : Tracker
    budget : int
        Bytes of what can be undone.
    """

    def __init__(self, labels: StackLabels, tracker: Tracker, budget: int = HISTORY_BYTES) -> None:
        self.labels = labels
        self.tracker = tracker
        self._objects: dict[int, SessionObject] = {}
        self.objects: Mapping[int, SessionObject] = MappingProxyType(self._objects)
        self.history: History[Records] = History(self, budget)
        self.quality = QualityTable(self._is_accepted, self._save_page)

    def begin(self, object_id: int, record: SessionObject) -> None:
        """Add an object, the last one."""
        self._save_object(object_id)
        self._objects[object_id] = record

    def end(self, object_id: int) -> None:
        """Take an object out, and forget how sure it was, and what is remembered of it."""
        self.history.save("order", lambda: _OrderChange(tuple(self._objects)))
        self.save_remembered(object_id)
        self.quality.forget(object_id)
        self.tracker.remove(object_id)
        self._save_object(object_id)
        del self._objects[object_id]

    def change(self, object_id: int, **fields: Any) -> None:
        """Change fields of an object; see `SessionObject`."""
        known = self._objects[object_id]
        for name in fields:
            self.history.save(
                ("field", object_id, name),
                lambda name=name: _FieldChange(object_id, name, getattr(known, name)),
            )
        self._objects[object_id] = replace(known, **fields)

    def put_plane(self, frame: int, plane: np.ndarray) -> None:
        """Replace the labels of a frame."""
        change = _PlaneChange.between(frame, self.labels.plane(frame), plane)
        if change is not None:
            self.history.add(change)
            self.labels.put_plane(frame, plane)

    def rate(self, masks: FrameMasks, ids: Collection[int]) -> None:
        """Note how sure objects are on a frame."""
        self.quality.record(masks, ids)

    def save_remembered(self, object_id: int) -> None:
        """Keep what is remembered of an object, before it is followed or forgotten."""
        self.history.save(
            ("remembered", object_id),
            lambda: _RememberedChange(object_id, self.tracker.remembered(object_id)),
        )

    def take_history(self, earlier: Records) -> None:
        """Take what can be undone from other records of the same, which then are no more."""
        self.history, earlier.history = earlier.history, self.history
        for records in (self, earlier):
            records.history.held = records

    def swap_object(self, object_id: int, record: SessionObject | None) -> SessionObject | None:
        """Put a record in the place of another one, which is given; None is for none."""
        earlier = self._objects.pop(object_id, None)
        if record is not None:
            self._objects[object_id] = record
        return earlier

    def swap_order(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """Put objects into an order, others after them; give the earlier one."""
        earlier = tuple(self._objects)
        for object_id in (*order, *(i for i in earlier if i not in set(order))):
            if object_id in self._objects:
                self._objects[object_id] = self._objects.pop(object_id)
        return earlier

    def swap_field(self, object_id: int, name: str, value: Any) -> Any:
        """Put a value in the place of another one, which is given."""
        known = self._objects[object_id]
        self._objects[object_id] = replace(known, **{name: value})
        if name == "prompts":
            for frame in known.prompts.keys() - value.keys():
                self.tracker.clear(object_id, frame)
        return getattr(known, name)

    def _save_object(self, object_id: int) -> None:
        record = self._objects.get(object_id)
        self.history.save(("object", object_id), lambda: _ObjectChange(object_id, record))

    def _save_page(self, object_id: int, number: int) -> None:
        self.history.save(
            ("page", object_id, number),
            lambda: _PageChange(object_id, number, self.quality.page(object_id, number)),
        )

    def _is_accepted(self, object_id: int, frame: int) -> bool:
        return object_id in self._objects and frame in self._objects[object_id].locked


@dataclass(slots=True)
class _ObjectChange:
    """An object that began or ended."""

    object_id: int
    record: SessionObject | None
    is_seen = True

    @property
    def nbytes(self) -> int:
        return _size(self.record)

    def swap(self, held: Records) -> None:
        self.record = held.swap_object(self.object_id, self.record)


@dataclass(slots=True)
class _OrderChange:
    """The order of all objects, as one is taken out of it."""

    order: tuple[int, ...]
    is_seen = False

    @property
    def nbytes(self) -> int:
        return 8 * len(self.order)

    def swap(self, held: Records) -> None:
        self.order = held.swap_order(self.order)


@dataclass(slots=True)
class _FieldChange:
    """A field of an object that is there before and after."""

    object_id: int
    name: str
    value: Any
    is_seen = True

    @property
    def nbytes(self) -> int:
        return _size(self.value)

    def swap(self, held: Records) -> None:
        self.value = held.swap_field(self.object_id, self.name, self.value)


@dataclass(slots=True)
class _PageChange:
    """Some rows of an object in the table of quality."""

    object_id: int
    number: int
    page: np.ndarray | None
    is_seen = True

    @property
    def nbytes(self) -> int:
        return 0 if self.page is None else self.page.nbytes

    def swap(self, held: Records) -> None:
        self.page = held.quality.swap_page(self.object_id, self.number, self.page)


@dataclass(slots=True)
class _RememberedChange:
    """What was remembered of an object in order to compute."""

    object_id: int
    remembered: Remembered | None
    is_seen = False

    @property
    def nbytes(self) -> int:
        return 0 if self.remembered is None else self.remembered.nbytes

    def swap(self, held: Records) -> None:
        now = held.tracker.remembered(self.object_id)
        held.tracker.restore(self.object_id, self.remembered)
        self.remembered = now


@dataclass(slots=True)
class _PlaneChange:
    """Pixels of a frame: which, and what they were; compressed.

    What is swapped is read from the labels: a hand may have painted there meanwhile.
    """

    frame: int
    region: tuple[slice, slice]
    packed: bytes
    is_seen = True

    @classmethod
    def between(cls, frame: int, before: np.ndarray, after: np.ndarray) -> _PlaneChange | None:
        """Compare labels of a frame; None where nothing differs."""
        changed = before != after
        box = bounding_box(changed)
        if box is None:
            return None
        row, column, last_row, last_column = box
        region = slice(row, last_row + 1), slice(column, last_column + 1)
        changed = changed[region]
        return cls(frame, region, _pack(changed, before[region][changed]))

    @property
    def nbytes(self) -> int:
        return len(self.packed)

    def swap(self, held: Records) -> None:
        plane = np.array(held.labels.plane(self.frame))
        part = plane[self.region]
        changed, values = _unpack(self.packed, part)
        self.packed = _pack(changed, part[changed])
        part[changed] = values
        held.labels.put_plane(self.frame, plane)


def _pack(changed: np.ndarray, values: np.ndarray) -> bytes:
    return zlib.compress(np.packbits(changed).tobytes() + values.tobytes(), level=1)


def _unpack(packed: bytes, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give which pixels of a part differ, (h, w), and the other values, (N,)."""
    data = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    n_bits = (part.size + 7) // 8
    changed = np.unpackbits(data[:n_bits], count=part.size).astype(bool).reshape(part.shape)
    return changed, np.frombuffer(data[n_bits:].tobytes(), dtype=part.dtype)


def _size(value: Any) -> int:
    """About how many bytes a field takes, or a record."""
    if isinstance(value, SessionObject):
        return sum(_size(getattr(value, name)) for name in ("prompts", "frames", "locked"))
    if isinstance(value, frozenset):
        return BYTES_A_FRAME * len(value)
    if isinstance(value, MappingProxyType):
        prompts = [prompt for on_frame in value.values() for prompt in on_frame]
        parts = sum(p.part.nbytes for p in prompts if isinstance(p, MaskPrompt))
        return int(BYTES_A_PROMPT * len(prompts) + parts)
    return BYTES_A_FRAME
