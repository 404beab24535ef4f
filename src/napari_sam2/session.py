"""A session: data, objects, prompts and results. What a script and the widget both drive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.labels import StackLabels
from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device, choose_precision
from napari_sam2.predictors.frames import FrameSource, View
from napari_sam2.predictors.objects import check_prompt
from napari_sam2.predictors.passes import Direction, Pass, plan_passes
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import (
    BoxPrompt,
    Candidates,
    FrameMasks,
    MaskPrompt,
    Prompt,
    box_prompt,
    point_prompts,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike as Numbers

    from napari_sam2.predictors import SAM2
    from napari_sam2.predictors.frames import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a session computes."""

    checkpoint: Path | None = None  #: weights instead of the model's own
    device: str | None = None  #: the fastest there is unless given
    precision: str | None = None  #: float32, bfloat16 or float16; safe for the device unless given
    compile: bool = False  #: have torch compile the network: slow at first, then faster
    tracker: TrackerOptions = field(default_factory=TrackerOptions)


@dataclass(slots=True)
class SessionObject:
    """One object to find: a name, and its prompts on each frame."""

    name: str
    prompts: dict[int, tuple[Prompt, ...]] = field(default_factory=dict)
    frames: set[int] = field(default_factory=set)  #: frames with a result in the labels


class Session:
    """Objects in a stack: prompt them on some frames, have them in every frame.

    Positions are (row, column) in the stack's own pixels, pixel centres at integers.

    Parameters
    ----------
    data : array-like, or sequence of array-like
        An image (Y, X), a stack (T, Y, X), or either in colour (..., 3 or 4); a pyramid is a
        list of them, or a zarr group. Numpy, dask, zarr, memmap: frames are read one at a
        time, when they are needed.
    model : str, Path or SAM2
        Name of a config, a YAML file, or a loaded model.
    axis : int, optional
        The axis to play through; the view's, which is the first, unless given.
    view : View, optional
        Colour, channels, contrast, level of a pyramid, and the position on further axes.
    settings : Settings, optional
        Device and precision.
    labels : array-like, optional
        Where results are written, of the stack's shape without colour; in memory unless
        given. What they hold already stays, and new objects are numbered past it.

    Raises
    ------
    ValueError
        If the data, the model or the settings cannot be used; the message says why.

    Examples
    --------
    >>> session = Session(stack)
    >>> cell = session.add_object("cell 1")
    >>> session.add_points(cell, frame=0, points=[[120, 88]])
    >>> for frame in session.propagate():
    ...     print(frame.frame, frame.mask(cell).sum())
    """

    def __init__(
        self,
        data: ArrayLike | Sequence[ArrayLike],
        model: str | Path | SAM2 = EMBEDDED_MODEL,
        axis: int | None = None,
        *,
        view: View | None = None,
        settings: Settings | None = None,
        labels: Any = None,
    ) -> None:
        self.settings = settings = settings or Settings()
        view = view or View()
        self.source = FrameSource(data, view if axis is None else replace(view, axis=axis))
        self._labels = StackLabels(self.source, labels)
        # Ids are never used again, lest an answer meant for one object goes to another.
        self._highest_id = 0
        self._labels_numbered = labels is None  # whether theirs are below the highest id
        device = choose_device(settings.device)
        precision = choose_precision(settings.precision, device)
        self.model = load_model(
            model, settings.checkpoint, device=device, compiled=settings.compile
        )
        self.objects: dict[int, SessionObject] = {}
        self._tracker = Tracker(
            self.model,
            self.source,
            precision=precision,
            options=settings.tracker,
            found=self._found,
        )
        # A preview may be wanted while frames are being tracked in another thread.
        self._lock = RLock()

    @property
    def labels(self) -> Any:
        """Every object where it was found: integers, the stack's shape without colour."""
        return self._labels.array

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
        with self._lock:
            if object_id is None:
                object_id = self._next_id()
            if object_id in self.objects:
                raise ValueError(f"There is an object {object_id} already.")
            if not 0 < object_id <= self._labels.largest_id:
                raise ValueError(
                    f"Labels of type {self.labels.dtype} have no room for {object_id}."
                )
            self._highest_id = max(self._highest_id, object_id)
            self.objects[object_id] = SessionObject(name or f"object {object_id}")
            return object_id

    def take_over(self, earlier: Session) -> None:
        """Go on with the objects of a session of the same data, and what was found of them.

        For another model, or another contrast; the labels are to be the same. Prompts are
        answered anew.
        """
        with earlier._lock, self._lock:
            for object_id, known in earlier.objects.items():
                self.add_object(known.name, object_id)
                self.objects[object_id] = replace(known, prompts={}, frames=set(known.frames))
                self._tracker.mark_tracked(object_id, earlier._tracker.followed_frames(object_id))
                for frame, prompts in known.prompts.items():
                    self.set_prompts(object_id, frame, prompts)
            self._highest_id = max(self._highest_id, earlier._highest_id)
            self._labels_numbered |= earlier._labels_numbered

    def remove_object(self, object_id: int) -> None:
        """Forget an object, and take it out of the labels."""
        with self._lock:
            known = self._known(object_id)
            self._tracker.remove(object_id)
            for frame in known.frames:
                self._labels.write(frame, {object_id}, None)
            del self.objects[object_id]

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
        mask : array-like, shape (H, W)
            Anything but 0 is the object. All 0 says that it is not on the frame.
        """
        self.set_prompts(object_id, frame, (MaskPrompt(frame, np.asarray(mask) != 0),))

    def prompts(self, object_id: int, frame: int) -> tuple[Prompt, ...]:
        """Give an object's prompts on a frame."""
        return self._known(object_id).prompts.get(frame, ())

    def set_prompts(self, object_id: int, frame: int, prompts: Iterable[Prompt]) -> bool:
        """Replace an object's prompts on a frame; none clears it.

        Returns
        -------
        bool
            Whether this changed anything.

        Raises
        ------
        ValueError
            If a prompt lies outside the frame, or belongs to another one.
        """
        prompts = tuple(prompts)
        self.source.index(frame)
        for prompt in prompts:
            check_prompt(prompt, frame, self.source.shape)
        with self._lock:
            known = self._known(object_id)
            if prompts == known.prompts.get(frame, ()):
                return False
            if prompts:
                known.prompts[frame] = prompts
            else:
                known.prompts.pop(frame, None)
                self._tracker.clear(object_id, frame)
            return True

    def clear_prompts(self, object_id: int, frame: int | None = None) -> None:
        """Remove an object's prompts from one frame, or from all."""
        frames = list(self._known(object_id).prompts) if frame is None else [frame]
        for one in frames:
            self.set_prompts(object_id, one, ())

    def segment(self, object_id: int, frame: int) -> Candidates:
        """Find an object on a frame where it is prompted.

        Nothing is written to the labels; see `accept` and `propagate`.

        Returns
        -------
        Candidates
            The best is what `propagate` goes on from.

        Raises
        ------
        ValueError
            If the frame has no prompts, or they contradict each other.
        """
        with self._lock:
            prompts, earlier = self.prompts(object_id, frame), self._found(object_id, frame)
            return self._tracker.prompt(object_id, frame, prompts, earlier)

    def accept(self, candidates: Candidates) -> None:
        """Write the best of `candidates` to the labels."""
        masks = FrameMasks(candidates.frame, candidates.shape, (candidates.best,))
        with self._lock:
            self._write(masks)

    def propagate(
        self,
        direction: Direction = "forward",
        start: int = 0,
        stop: int | None = None,
        objects: Iterable[int] | None = None,
    ) -> Generator[FrameMasks, None, None]:
        """Follow objects from where they are prompted, and write them to the labels.

        A generator: each step is one frame, already written when it is given. Stop asking
        to cancel; what was done stays.

        Parameters
        ----------
        direction : {"forward", "backward", "both"}
            Forward follows each object from its first prompted frame to the end, backward
            from its last to the beginning; both goes from its first either way.
        start, stop : int
            Frames from `start` up to but not including `stop`; all unless given.
        objects : iterable of int, optional
            Which objects; all that have prompts unless given. Others stay as they are.

        Yields
        ------
        FrameMasks

        Raises
        ------
        ValueError
            If there is nothing to follow.
        """
        return self._propagate(self.plan(direction, start, stop, objects))

    def plan(
        self,
        direction: Direction = "forward",
        start: int = 0,
        stop: int | None = None,
        objects: Iterable[int] | None = None,
    ) -> tuple[Pass, ...]:
        """Say which frames `propagate` would visit, and for which objects.

        Parameters and errors are those of `propagate`.
        """
        stop = self.n_frames if stop is None else stop
        if not 0 <= start < stop <= self.n_frames:
            raise ValueError(
                f"Cannot go from frame {start} to {stop} in a stack of {self.n_frames} frames."
            )
        ids = list(self.objects) if objects is None else list(objects)
        prompted = {i: list(known.prompts) for i in ids if (known := self._known(i)).prompts}
        if not prompted:
            raise ValueError("Nothing to follow: add a point, a box or a mask first.")
        passes = plan_passes(prompted, direction, start, stop)
        if not any(one.frames for one in passes):
            raise ValueError(
                f"Nothing to follow {direction} in frames {start} to {stop - 1}: the objects are "
                f"prompted on frames {sorted(set().union(*prompted.values()))}."
            )
        return passes

    def _propagate(self, passes: Sequence[Pass]) -> Generator[FrameMasks, None, None]:
        with self._lock:
            known = {i: self.objects[i] for i in passes[0].begins if i in self.objects}
            prompted = sorted((frame, i) for i, one in known.items() for frame in one.prompts)
        for frame, object_id in prompted:  # by frame: each is encoded once
            with self._lock:
                # Either may have been taken away since the lock was last held.
                if object_id in self.objects and (prompts := self.prompts(object_id, frame)):
                    earlier = self._found(object_id, frame)
                    self._tracker.answer(object_id, frame, prompts, earlier)
        for one in passes:
            with self._tracker.reading_ahead(one.frames):
                yield from self._visit(one)

    def _visit(self, one: Pass) -> Generator[FrameMasks, None, None]:
        steps = self._tracker.track(one.visits(), reverse=one.reverse)
        while True:
            # Held for one frame at a time, never while the caller has it.
            with self._lock:
                masks = next(steps, None)
                if masks is None:
                    return
                self._write(masks)
            yield masks

    def _write(self, masks: FrameMasks) -> None:
        ids = set(masks.object_ids) & self.objects.keys()
        self._labels.write(masks.frame, ids, masks.labels(self.labels.dtype))
        for object_id in ids:
            self.objects[object_id].frames.add(masks.frame)

    def _found(self, object_id: int, frame: int) -> np.ndarray | None:
        """Give an object's mask in the labels, if it was found on the frame."""
        if frame not in self._known(object_id).frames:
            return None
        return self._labels.mask(frame, object_id)

    def _next_id(self) -> int:
        if not self._labels_numbered:
            self._highest_id = max(self._highest_id, self._labels.highest())
            self._labels_numbered = True
        return self._highest_id + 1

    def _known(self, object_id: int) -> SessionObject:
        if object_id not in self.objects:
            raise ValueError(f"There is no object {object_id}; there are {sorted(self.objects)}.")
        return self.objects[object_id]
