"""What a session holds, and the one door through which it changes: whatever does can be undone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.prompts import MaskPrompt
from napari_sam2.results.overlaps import OVERLAP_BYTES, Claims, Overlap, place, settle_anew
from napari_sam2.results.pixels import Pixels
from napari_sam2.results.quality import QualityTable
from napari_sam2.workspace import history
from napari_sam2.workspace.history import HISTORY_BYTES, History

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari_sam2.predictors.objects import Remembered
    from napari_sam2.predictors.tracker import Tracker
    from napari_sam2.prompts import ObjectMask, Prompt
    from napari_sam2.results.labels import StackLabels
    from napari_sam2.results.overlaps import Claim

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


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How much is kept of what is not seen, and who has pixels that several objects claim."""

    history_bytes: int = HISTORY_BYTES  #: of what can be undone
    overlap_bytes: int = OVERLAP_BYTES  #: of what objects claim of each frame
    overlap: Overlap = Overlap.KEEP


class Ledger:
    """Objects, labels, quality and what is remembered to compute, changed within steps.

    Parameters
    ----------
    labels : StackLabels
    tracker : Tracker
    keeping : Keeping
    """

    def __init__(self, labels: StackLabels, tracker: Tracker, keeping: Keeping) -> None:
        self.rule = keeping.overlap
        self.claims = Claims(keeping.overlap_bytes, self._save_claims)
        self.labels = labels
        self.tracker = tracker
        self._objects: dict[int, SessionObject] = {}
        self.objects: Mapping[int, SessionObject] = MappingProxyType(self._objects)
        self.history: History[Ledger] = History(self, keeping.history_bytes)
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
            make = partial(_FieldChange, object_id, name, getattr(known, name))
            self.history.save(("field", object_id, name), make)
        self._objects[object_id] = replace(known, **fields)

    def write(self, frame: int, ids: Collection[int], found: Sequence[ObjectMask]) -> None:
        """Replace objects on a frame of the labels; those that are not found are taken out."""
        # What was accepted neither loses a pixel to others nor gets one back.
        locked = {i for i, one in self._objects.items() if frame in one.locked} - set(ids)
        before = self.claims.on(frame)
        after = self.claims.replace(frame, ids, found)
        before, after = (
            {i: claim for i, claim in claims.items() if i not in locked}
            for claims in (before, after)
        )
        self.put_plane(frame, place(self.labels.plane(frame), ids, before, after, self.rule, found))

    def settle_anew(self, rule: Overlap) -> None:
        """Have another rule say who has the pixels that several objects claim."""
        before, self.rule = self.rule, rule
        self.history.save("rule", partial(_RuleChange, before))
        for frame in self.claims.frames:
            claims = {
                i: claim
                for i, claim in self.claims.on(frame).items()
                if i in self._objects and frame not in self._objects[i].locked
            }
            self.put_plane(frame, settle_anew(self.labels.plane(frame), claims, before, rule))

    def put_plane(self, frame: int, plane: np.ndarray) -> None:
        """Replace the labels of a frame."""
        pixels = Pixels.that_differ(self.labels.plane(frame), plane)
        if pixels is not None:
            self.history.add(_PlaneChange(frame, pixels))
            self.labels.put_plane(frame, plane, pixels)

    def save_remembered(self, object_id: int) -> None:
        """Keep what is remembered of an object, before it is followed or forgotten."""
        self.history.save(
            ("remembered", object_id),
            lambda: _RememberedChange(object_id, self.tracker.remembered(object_id)),
        )

    def take_history(self, earlier: Ledger) -> None:
        """Take what can be undone from another ledger of the same, which is used no more."""
        self.history, earlier.history = earlier.history, self.history
        for one in (self, earlier):
            one.history.held = one

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

    def _save_claims(self, frame: int) -> None:
        self.history.save(
            ("claims", frame), lambda: _ClaimsChange(frame, dict(self.claims.on(frame)))
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

    def swap(self, held: Ledger) -> None:
        self.record = held.swap_object(self.object_id, self.record)


@dataclass(slots=True)
class _OrderChange:
    """The order of all objects, as one is taken out of it."""

    order: tuple[int, ...]
    is_seen = False

    @property
    def nbytes(self) -> int:
        return 8 * len(self.order)

    def swap(self, held: Ledger) -> None:
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

    def swap(self, held: Ledger) -> None:
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

    def swap(self, held: Ledger) -> None:
        self.page = held.quality.swap_page(self.object_id, self.number, self.page)


@dataclass(slots=True)
class _ClaimsChange:
    """What objects claim of a frame."""

    frame: int
    claims: Mapping[int, Claim]
    is_seen = False

    @property
    def nbytes(self) -> int:
        return sum(claim.nbytes for claim in self.claims.values())

    def swap(self, held: Ledger) -> None:
        self.claims = held.claims.swap(self.frame, self.claims)


@dataclass(slots=True)
class _RuleChange:
    """Who has pixels that several objects claim."""

    rule: Overlap
    nbytes = BYTES_A_FRAME
    is_seen = True

    def swap(self, held: Ledger) -> None:
        self.rule, held.rule = held.rule, self.rule


@dataclass(slots=True)
class _RememberedChange:
    """What was remembered of an object in order to compute."""

    object_id: int
    remembered: Remembered | None
    is_seen = False

    @property
    def nbytes(self) -> int:
        return 0 if self.remembered is None else self.remembered.nbytes

    def swap(self, held: Ledger) -> None:
        now = held.tracker.remembered(self.object_id)
        held.tracker.restore(self.object_id, self.remembered)
        self.remembered = now


@dataclass(slots=True)
class _PlaneChange:
    """Pixels of a frame."""

    frame: int
    pixels: Pixels
    is_seen = True

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes

    def swap(self, held: Ledger) -> None:
        # What is there is read from the labels: a hand may have painted there meanwhile.
        plane = np.array(held.labels.plane(self.frame))
        self.pixels = self.pixels.swap(plane)
        held.labels.put_plane(self.frame, plane)


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


Step = history.Step[Ledger]
