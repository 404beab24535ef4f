"""What the user says of objects: which there are, their prompts, and what is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.predictors.objects import check_prompt
from napari_sam2.prompts import (
    BoxPrompt,
    MaskPrompt,
    box_prompt,
    point_prompts,
    whole_number,
    whole_numbers,
)
from napari_sam2.results.labels import mask_prompts
from napari_sam2.results.tracks import make_tracks
from napari_sam2.workspace.revisions import Revisions
from napari_sam2.workspace.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike as Numbers

    from napari_sam2.prompts import Prompt
    from napari_sam2.results.quality import QualityTable
    from napari_sam2.results.tracks import Tracks
    from napari_sam2.workspace.ledger import SessionObject
    from napari_sam2.workspace.workspace import Workspace


class Annotations(Revisions):
    """Objects in a stack and what is said of them. Nothing is computed here.

    Positions are (row, column) in the stack's own pixels, pixel centres at integers.

    Parameters
    ----------
    work : Workspace
        What holds them.
    """

    def __init__(self, work: Workspace) -> None:
        super().__init__(work)
        self.source = work.source

    @property
    def objects(self) -> Mapping[int, SessionObject]:
        """What there is to find, by number; to be looked at."""
        return self._work.objects

    @property
    def labels(self) -> Any:
        """Every object where it was found: integers, the stack's shape without colour."""
        return self._work.labels.array

    @property
    def quality(self) -> QualityTable:
        """How sure each object is on each frame, and the worst frames; see `QualityTable`."""
        return self._work.quality

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return self.source.n_frames

    def add_object(self, name: str = "", object_id: int | None = None) -> int:
        """Begin a new object.

        Parameters
        ----------
        name : str
            Shown to the user.
        object_id : int, optional
            The value it has in the labels; the next one never used unless given. What the
            labels hold of it already is replaced on each frame where it is found.

        Returns
        -------
        int
            Its id.
        """
        return self._work.add(name, object_id)

    def add_labels(
        self, frame: int, labels: Numbers, names: Mapping[int, str] | None = None
    ) -> list[int]:
        """Begin or prompt every object of a labelled image: a mask each, all at once.

        A segmentation of one frame, or of a few, is what they are followed from.

        Parameters
        ----------
        frame : int
        labels : array-like, shape (H, W), integers
            0 is background; an object has the same number here and in the session's labels.
            It replaces the frame's other prompts of an object that is known already. Objects
            that are not in it stay as they are: see `add_mask` to say that one is not there.
        names : mapping of int to str, optional
            Of new objects.

        Returns
        -------
        list of int
            The objects, in order.

        Raises
        ------
        ValueError
            If the labels have another shape, are not of integers, or hold a number that the
            session's labels have no room for. No object is added then.
        """
        frame = whole_number("A frame", frame)
        found = mask_prompts(frame, labels)
        with self._work.lock:
            self.source.index(frame)
            for object_id, prompt in found.items():
                check_prompt(prompt, frame, self.source.shape)
                self._work.check_room(object_id)
                if object_id in self.objects:
                    self._work.check_undivided(object_id, frame)
            with self._work.step(f"prompt {count(len(found), 'object')} on frame {frame}"):
                for object_id, prompt in found.items():
                    if object_id not in self.objects:
                        self._work.add((names or {}).get(object_id, ""), object_id)
                    self._work.set_prompts(object_id, frame, (prompt,))
        return list(found)

    def remove_object(self, object_id: int) -> None:
        """Forget an object, and take it out of the labels.

        That is where it was found, and where a hand has painted since the session began; what
        labels that were given hold of its number elsewhere stays.
        """
        self._work.remove(object_id)

    def rename_object(self, object_id: int, name: str) -> None:
        """Give an object another name."""
        self._work.rename(object_id, name)

    def add_points(
        self,
        object_id: int,
        frame: int,
        points: Numbers,
        positive: Sequence[bool] | None = None,
    ) -> None:
        """Click on an object, or beside it.

        Parameters
        ----------
        object_id : int
        frame : int
        points : array-like, shape (N, 2) or (2,)
            (row, column).
        positive : sequence of bool, optional
            Whether each point is on the object; all are unless given.
        """
        clicks = point_prompts(frame, points, positive)
        self.set_prompts(object_id, frame, (*self.prompts(object_id, frame), *clicks))

    def add_box(self, object_id: int, frame: int, box: Numbers) -> None:
        """Draw a box around an object; it replaces an earlier box on the frame.

        Parameters
        ----------
        object_id : int
        frame : int
        box : array-like, shape (4,)
            (row0, column0, row1, column1), the centres of the corner pixels.
        """
        drawn = box_prompt(frame, box)
        others = (p for p in self.prompts(object_id, frame) if not isinstance(p, BoxPrompt))
        self.set_prompts(object_id, frame, (drawn, *others))

    def add_mask(self, object_id: int, frame: int, mask: Numbers) -> None:
        """Give an object's mask on a frame; it replaces the frame's other prompts.

        Parameters
        ----------
        object_id : int
        frame : int
        mask : array-like, shape (H, W)
            Anything but 0 is the object. All 0 says that it is not on the frame.
        """
        self.set_prompts(object_id, frame, (MaskPrompt(frame, np.asarray(mask) != 0),))

    def prompts(self, object_id: int, frame: int) -> tuple[Prompt, ...]:
        """Give an object's prompts on a frame."""
        return self._work.known(object_id).prompts.get(frame, ())

    def set_prompts(self, object_id: int, frame: int, prompts: Iterable[Prompt]) -> bool:
        """Replace an object's prompts on a frame; none clears it.

        Returns
        -------
        bool
            Whether this changed anything.

        Raises
        ------
        ValueError
            If a prompt lies outside the frame, or belongs to another one, or if the object
            has divided before it.
        """
        return self._work.set_prompts(object_id, frame, tuple(prompts))

    def clear_prompts(self, object_id: int, frame: int | None = None) -> None:
        """Remove an object's prompts from one frame, or from all."""
        with self._work.lock:
            known = self._work.known(object_id)
            with self._work.step(f"clear the prompts of {known.name}"):
                for one in list(known.prompts) if frame is None else [frame]:
                    self.set_prompts(object_id, one, ())

    def note_edits(self, places: Numbers) -> None:
        """Say that pixels of `labels` were changed by another hand, so that they are saved.

        Parameters
        ----------
        places : array-like, shape (N, D)
            Their positions along each axis of the labels.
        """
        self._work.note_edits(places)

    def lock(self, object_id: int, frames: int | Iterable[int]) -> None:
        """Accept an object's result on some frames for good.

        Nothing that is propagated writes it there again, and a correction is followed no
        further than the next locked frame. Behind one, objects are followed from the masks
        that were accepted. `accept` and `remove_object` still change it.

        Parameters
        ----------
        object_id : int
        frames : int or iterable of int

        Raises
        ------
        ValueError
            If the object has no result on one of them. None is locked then.
        """
        with self._work.lock:
            known = self._work.known(object_id)
            wanted = set(whole_numbers("A frame", frames))
            if missing := sorted(wanted - known.frames):
                raise ValueError(
                    f"{known.name} has no result to lock on frames {missing}: propagate to "
                    "them, or accept a preview there, first."
                )
            self._work.lock_frames(object_id, known.locked | wanted)

    def unlock(self, object_id: int, frames: int | Iterable[int] | None = None) -> None:
        """Let propagation write an object on some frames again; on all unless given."""
        with self._work.lock:
            known = self._work.known(object_id)
            open_again = known.locked if frames is None else whole_numbers("A frame", frames)
            self._work.lock_frames(object_id, known.locked.difference(open_again))

    def locked(self, object_id: int) -> list[int]:
        """Give the frames on which an object is locked, in order."""
        return sorted(self._work.known(object_id).locked)

    def divide(self, object_id: int, frame: int, masks: Sequence[Numbers]) -> list[int]:
        """Say that an object has divided: it ends, and its daughters begin on a frame.

        They are prompted with their masks, and the object is not looked for from there on.
        Where all daughters are removed, it has not divided.

        Parameters
        ----------
        object_id : int
        frame : int
            The first on which the daughters are apart.
        masks : sequence of array-like, shape (H, W)
            Anything but 0 is the daughter.

        Returns
        -------
        list of int
            The daughters. `SessionObject.parent` of each is the object.

        Raises
        ------
        ValueError
            If there are no masks, or it has divided before.
        """
        prompts = [MaskPrompt(frame, np.asarray(mask) != 0) for mask in masks]
        return self._work.divide(object_id, frame, prompts)

    def merge(self, into: int, from_: int | Iterable[int]) -> None:
        """Say that objects are one: its labels, prompts and quality are those of both, or of all.

        Where both are prompted on a frame, it has the points of both, less the negative ones
        that kept them apart, and one box around both; where one of them has a mask there, it
        has a mask of both. It is locked where all that was found of both was. The prompts are
        answered anew.

        Parameters
        ----------
        into : int
            The object that stays, with its number and name.
        from_ : int or iterable of int
            The object that is taken into it, and is no more; or several.

        Raises
        ------
        ValueError
            If one of them is not there, or has divided before the other one ends. Nothing is
            changed then.
        """
        self._work.merge(into, whole_numbers("The number of an object", from_))

    def tracks(self) -> Tracks:
        """Give all results as tracks for napari, with parents; see `Tracks`."""
        rows, columns = self.source.seen
        names: dict[int, str | int] = {**self.source.held, rows: "row", columns: "column"}
        if self.source.axis is not None:
            names[self.source.axis] = "frame"
        axes = [names[n] for n in range(self.source.n_axes)]
        with self._work.lock:
            parents = {i: one.parent for i, one in self.objects.items()}
            return make_tracks(self.quality.rows(), axes, parents)
