"""A session made to agree with what is drawn and listed in the dock."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._controls.tasks import Refused
from napari_sam2.predictors.objects import order_prompts
from napari_sam2.prompts import MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_sam2._controls.tasks import Task
    from napari_sam2.prompts import Candidates, Prompt
    from napari_sam2.session import Session


@dataclass(frozen=True, eq=False)
class Made:
    """A session, and the task it was made for."""

    task: Task
    session: Session
    unanswered: set[tuple[int, int]] = field(default_factory=set)  #: (object, frame) to preview


def synchronise(made: Made, task: Task) -> None:
    """Take over the objects and prompts of a task."""
    _synchronise_objects(made.session, task)
    for object_id, frame in list(_frames(made.session, task)):
        _synchronise_prompts(made, task, object_id, frame)


def try_segmenting(session: Session, object_id: int, frame: int) -> Candidates | Refused:
    """Find an object, or say why its prompts make no sense."""
    try:
        return session.segment(object_id, frame)
    except ValueError as error:
        return Refused(object_id, frame, str(error))


def find_refused(session: Session, object_ids: Iterable[int]) -> Iterator[Refused]:
    """Find the objects that could not be followed for what their prompts say."""
    for object_id in object_ids:
        for frame, prompts in session.objects[object_id].prompts.items():
            try:
                order_prompts(prompts, corrects=False)
            except ValueError:  # but on a tracked frame they may correct what is there
                if isinstance(refused := try_segmenting(session, object_id, frame), Refused):
                    yield refused
                    break


def _synchronise_objects(session: Session, task: Task) -> None:
    for object_id in session.objects.keys() - task.names.keys():
        session.remove_object(object_id)
    for object_id, name in task.names.items():
        if object_id not in session.objects:
            session.add_object(name, object_id)
        session.rename_object(object_id, name)


def _synchronise_prompts(made: Made, task: Task, object_id: int, frame: int) -> None:
    known = made.session.prompts(object_id, frame)
    wanted = task.prompts.get(object_id, {}).get(frame, ())
    # No shape says that an object is not on a frame; what a script said so stays.
    unseen = not wanted and all(isinstance(p, MaskPrompt) and not p.part.size for p in known)
    if not unseen and not _alike(known, wanted):
        made.session.set_prompts(object_id, frame, wanted)
        (made.unanswered.add if wanted else made.unanswered.discard)((object_id, frame))


def _alike(some: Sequence[Prompt], others: Sequence[Prompt]) -> bool:
    """Compare prompts of an object on a frame, as they come from a script and from layers.

    Layers are read one after the other, and positions go through their transforms.
    """
    pairs = zip(_by_kind(some), _by_kind(others), strict=False)
    return len(some) == len(others) and all(_same(one, other) for one, other in pairs)


def _by_kind(prompts: Sequence[Prompt]) -> list[Prompt]:
    return sorted(prompts, key=lambda prompt: type(prompt).__name__)


def _same(one: Prompt, other: Prompt) -> bool:
    if isinstance(one, MaskPrompt) or type(one) is not type(other):
        return one == other
    if isinstance(one, PointPrompt) and isinstance(other, PointPrompt):
        if one.candidate != other.candidate:
            return False
        one, other = replace(one, candidate=0), replace(other, candidate=0)
    return np.allclose(astuple(one), astuple(other), rtol=0, atol=1e-6)


def _frames(session: Session, task: Task) -> Iterator[tuple[int, int]]:
    """Give every object and frame that has prompts, or had."""
    for object_id, known in session.objects.items():
        for frame in sorted(known.prompts.keys() | task.prompts.get(object_id, {}).keys()):
            yield object_id, frame
