"""A session made to agree with what is drawn and listed in the dock."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._controls.tasks import Refused, next_serial
from napari_sam2.predictors.objects import order_prompts
from napari_sam2.prompts import MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_sam2._controls.tasks import Task
    from napari_sam2.prompts import Candidates, Prompt
    from napari_sam2.session import Session


@dataclass(slots=True, eq=False)
class Said:
    """What the dock has listed and drawn last.

    A session may know more: daughters that were born in a run, what a script has added. Only what
    the dock has said is the dock's to change.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    prompts: Mapping[int, Mapping[int, tuple[Prompt, ...]]] = field(default_factory=dict)
    serial: int = -1  #: of the task in which it was said
    #: The session's prompts when they were last compared with these: what has come to them since
    #: is news, and told once.
    compared: dict[int, Mapping[int, tuple[Prompt, ...]]] = field(default_factory=dict)
    #: Objects that the dock has heard of since: a serial number, which later tasks are above.
    heard: Mapping[int, int] = field(default_factory=dict)

    @property
    def known(self) -> set[int]:
        """All objects that the dock knows."""
        return {*self.names, *self.heard}

    def hear(self, object_ids: Iterable[int]) -> None:
        """Note that the dock has listed objects; in any thread."""
        self.heard = {**self.heard, **dict.fromkeys(object_ids, next_serial())}

    def removed_in(self, task: Task) -> set[int]:
        """Give the objects that the dock knew when it asked for something, and did not list."""
        heard = {i for i, serial in self.heard.items() if serial < task.serial}
        return (self.names.keys() | heard) - task.names.keys()

    def forget(self, object_id: int) -> None:
        """Note that an object is listed no more."""
        self.names = {i: name for i, name in self.names.items() if i != object_id}
        self.heard = {i: serial for i, serial in self.heard.items() if i != object_id}

    def take(self, task: Task) -> None:
        """Note what was listed and drawn."""
        self.names, self.prompts, self.serial = task.names, task.prompts, task.serial
        self.heard = {i: serial for i, serial in self.heard.items() if serial > task.serial}


@dataclass(frozen=True, eq=False)
class Made:
    """A session, and the task it was made for."""

    task: Task
    session: Session
    unanswered: set[tuple[int, int]] = field(default_factory=set)  #: (object, frame) to preview
    said: Said = field(default_factory=Said)


def adopted(task: Task, session: Session) -> Made:
    """Say of a session that was made elsewhere how layers show it; see `show_session`.

    Parameters
    ----------
    task : Task
        Of this session, or of one at another place in the same data.
    session : Session
    """
    source = session.source
    stack = task.stack.elsewhere(source.axis or 0, source.held)
    if stack.same_position(task.stack):
        stack = task.stack
    prompts = {i: known.prompts for i, known in session.objects.items()}
    task = replace(task, stack=stack, prompts=prompts)
    names = {i: name for i, name in task.names.items() if i in session.objects}
    return Made(task, session, said=Said(names, prompts, task.serial, compared=dict(prompts)))


@dataclass(frozen=True, eq=False)
class Prompted:
    """Prompts of an object on a frame, where others than the dock have changed them."""

    before: tuple[Prompt, ...]
    now: tuple[Prompt, ...]

    @property
    def added(self) -> list[Prompt] | None:
        """What has come to those before; None if not all of these are left."""
        left = list(self.now)
        for one in self.before:
            place = next((n for n, other in enumerate(left) if _same(one, other)), None)
            if place is None:
                return None
            del left[place]
        return left


@dataclass(frozen=True, eq=False)
class News:
    """What a session knows of objects, and the dock does not."""

    come: Mapping[int, str]  #: names of objects that are not listed
    gone: frozenset[int]  #: objects that are listed, and are no more
    renamed: Mapping[int, str]
    prompts: Mapping[int, Mapping[int, Prompted]]  #: by object and frame

    def __bool__(self) -> bool:
        return bool(self.come or self.gone or self.renamed or self.prompts)


def find_news(made: Made, *, agrees: bool = False) -> News:
    """Compare a session with what the dock has listed and drawn.

    To be called by who changes the session, before anyone else does.

    Parameters
    ----------
    made : Made
    agrees : bool
        Whether it was just made to agree with what the dock says.
    """
    known, listed, heard = made.session.objects, made.said.names, made.said.known
    return News(
        {i: one.name for i, one in known.items() if i not in heard},
        frozenset(heard - known.keys()),
        {i: known[i].name for i, name in listed.items() if i in known and known[i].name != name},
        _find_prompted(made, agrees=agrees),
    )


def _find_prompted(made: Made, *, agrees: bool) -> dict[int, dict[int, Prompted]]:
    """Find the frames on which objects were prompted by other than the dock."""
    objects, said = made.session.objects, made.said
    found: dict[int, dict[int, Prompted]] = {}
    for object_id in said.compared.keys() - objects.keys():
        del said.compared[object_id]
    for object_id, known in objects.items():
        earlier = said.compared.get(object_id)
        if known.prompts == earlier:
            continue
        said.compared[object_id] = known.prompts
        if earlier is None and known.parent is not None:
            continue  # what daughters are born with is found, not drawn
        for frame in sorted(known.prompts.keys() | (earlier or {}).keys()):
            now, before = known.prompts.get(frame, ()), (earlier or {}).get(frame, ())
            drawn = said.prompts.get(object_id, {}).get(frame, ())
            if not (_alike(now, before) or (agrees and _alike(now, drawn))):
                found.setdefault(object_id, {})[frame] = Prompted(drawn if agrees else before, now)
    return found


def synchronise(made: Made, task: Task, *, afresh: bool = False) -> None:
    """Take over the objects and prompts of a task, as far as they are new in it.

    Parameters
    ----------
    made : Made
    task : Task
    afresh : bool
        Whether what the dock said before and says still is taken over again, too.
    """
    _synchronise_objects(made, task)
    for object_id, frame in list(_frames(made, task)):
        _synchronise_prompts(made, task, object_id, frame, afresh=afresh)
    made.said.take(task)


def try_segmenting(
    session: Session, object_id: int, frame: int, prompts: Sequence[Prompt] = ()
) -> Candidates | Refused:
    """Find an object, or say why its prompts make no sense."""
    try:
        if prompts and not session.prompts(object_id, frame):
            session.set_prompts(object_id, frame, prompts)
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


def _synchronise_objects(made: Made, task: Task) -> None:
    session, listed, known = made.session, made.said.names, made.said.known
    for object_id, name in task.names.items():
        if object_id in session.objects:
            if listed.get(object_id) != name:
                session.rename_object(object_id, name)
        elif object_id not in known:
            session.add_object(name, object_id)


def _synchronise_prompts(
    made: Made, task: Task, object_id: int, frame: int, *, afresh: bool
) -> None:
    wanted = task.prompts.get(object_id, {}).get(frame, ())
    earlier = made.said.prompts.get(object_id, {}).get(frame, ())
    if _alike(wanted, earlier) and not afresh:
        return
    known = made.session.prompts(object_id, frame)
    # No shape says that an object is not on a frame; what a script said so stays.
    unseen = not wanted and all(isinstance(p, MaskPrompt) and not p.part.size for p in known)
    if unseen:
        return
    if _alike(known, wanted):
        # A script has said so, and the dock says it from now on; what is found is not offered.
        is_found = frame in made.session.objects[object_id].frames
        if wanted and not is_found and not _alike(wanted, earlier):
            made.unanswered.add((object_id, frame))
        return
    if not (wanted and has_ended(made.session, object_id, frame)):
        made.session.set_prompts(object_id, frame, wanted)
    (made.unanswered.add if wanted else made.unanswered.discard)((object_id, frame))


def has_ended(session: Session, object_id: int, frame: int) -> bool:
    """Whether an object has divided by then; prompts of it there are refused."""
    end = session.objects[object_id].end
    return end is not None and frame >= end


def has_prompts(session: Session, task: Task) -> bool:
    """Whether a session has all prompts of a task."""
    return all(
        object_id in session.objects and _alike(prompts, session.prompts(object_id, frame))
        for object_id, by_frame in task.prompts.items()
        for frame, prompts in by_frame.items()
    )


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


def _frames(made: Made, task: Task) -> Iterator[tuple[int, int]]:
    """Give every object and frame that the dock has prompts for, or had."""
    for object_id in made.session.objects:
        ours, earlier = task.prompts.get(object_id, {}), made.said.prompts.get(object_id, {})
        for frame in sorted(ours.keys() | earlier.keys()):
            yield object_id, frame
