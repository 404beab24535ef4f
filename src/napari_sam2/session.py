"""A session: data, objects, prompts and results. What a script and the widget both drive."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.model.config import EMBEDDED_MODEL
from napari_sam2.persistence import Persistent
from napari_sam2.planning import plan_correction_run, plan_run
from napari_sam2.predictors import load_model
from napari_sam2.predictors.device import choose_device, choose_precision
from napari_sam2.predictors.frames import FrameSource, View
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.prompts import whole_number
from napari_sam2.propagation import Rules, Run
from napari_sam2.results.labels import StackLabels
from napari_sam2.results.overlaps import (
    Overlap as Overlap,  # what `Settings` and `set_overlap` take
)
from napari_sam2.settings import Settings
from napari_sam2.single_frames import SingleFrames
from napari_sam2.workspace.ledger import Keeping
from napari_sam2.workspace.ledger import Step as Step  # what `Session.watch_steps` tells of
from napari_sam2.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from napari_sam2.predictors import SAM2
    from napari_sam2.predictors.cancelling import Cancellation
    from napari_sam2.predictors.frames import ArrayLike
    from napari_sam2.predictors.passes import Direction, Plan
    from napari_sam2.prompts import FrameMasks
    from napari_sam2.results.divisions import DivisionRule


__all__ = ["Overlap", "Session", "Settings", "Step"]


class Session(SingleFrames, Persistent):
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
        Device, precision, what may be kept in memory, and how objects are followed.
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
        source = FrameSource(data, view if axis is None else replace(view, axis=axis))
        stack_labels = StackLabels(source, labels)
        self._asked = model
        device = choose_device(settings.device)
        self._precision = choose_precision(settings.precision, device)
        self.model = load_model(
            model,
            settings.checkpoint,
            device=device,
            compiled=settings.compile,
            image_size=settings.image_size,
        )
        tracker = self._new_tracker(source)
        keeping = Keeping(
            history_bytes=settings.history_bytes,
            overlap_bytes=settings.overlap_bytes,
            overlap=Overlap(settings.overlap),
        )
        empty = labels is None
        work = Workspace(source, stack_labels, tracker, is_empty=empty, keeping=keeping)
        super().__init__(work)

    def propagate(
        self,
        direction: Direction = "forward",
        start: int = 0,
        stop: int | None = None,
        objects: Iterable[int] | None = None,
        *,
        stop_after_empty: int | None = None,
        divisions: DivisionRule | None = None,
    ) -> Generator[FrameMasks, None, None]:
        """Follow objects from where they are prompted, and write them to the labels.

        A generator: each step is one frame, already written when it is given. Stop asking
        to cancel, or call `cancel`; what was done stays, and a later run with its first frame
        as `start` goes on as if it had not been interrupted; only for divisions it begins to
        watch anew.

        An object with new prompts on several frames attends to them all: they are answered
        first, a step a frame. Frames on which an object is locked keep what is there, and it
        is followed from them; see `lock`.

        Parameters
        ----------
        direction : {"forward", "backward", "both"}
            Forward follows each object from its first prompted frame to the end, backward
            from its last to the beginning; both goes from its first either way.
        start, stop : int
            Frames from `start` up to but not including `stop`; all unless given.
        objects : iterable of int, optional
            Which objects; all that have prompts unless given. Others stay as they are.
        stop_after_empty : int, optional
            An object that is not there on as many frames in a row is looked for no further in
            this direction, until its next prompted frame, and earlier results of it are taken
            out of the labels. Unless given, one that is hidden is waited for to the end.
        divisions : DivisionRule, optional
            Watch for objects that divide, going forward: each ends, and two new objects are
            followed from there; see `divide`. Unless given, nothing divides.

        Yields
        ------
        FrameMasks

        Raises
        ------
        ValueError
            If there is nothing to follow.
        """
        plan = self.plan(direction, start, stop, objects)
        rules = Rules(stop_after_empty=stop_after_empty, divisions=divisions)
        return Run(self._work, rules).steps(plan)

    def plan(
        self,
        direction: Direction = "forward",
        start: int = 0,
        stop: int | None = None,
        objects: Iterable[int] | None = None,
    ) -> Plan:
        """Say which frames `propagate` would visit, and for which objects.

        Parameters and errors are those of `propagate`. There are as many steps as there are
        ``frames`` in all parts of the plan.
        """
        start = whole_number("A frame", start)
        stop = self.n_frames if stop is None else whole_number("A frame", stop)
        if not 0 <= start < stop <= self.n_frames:
            raise ValueError(
                f"Cannot go from frame {start} to {stop} in a stack of {self.n_frames} frames."
            )
        with self._work.lock:
            return plan_run(self._work, direction, range(start, stop), objects)

    def correct(
        self, object_id: int, frame: int, *, stop_after_empty: int | None = None
    ) -> Generator[FrameMasks, None, None]:
        """Follow one object again from a frame with new prompts, and nothing else.

        Forward and backward, each as far as the next locked frame of the object. What is
        remembered of it around the frame is forgotten first; results of all other objects,
        and of this one from the locked frames on, stay bit for bit, unless `set_overlap` says that
        they share pixels otherwise.

        Parameters
        ----------
        object_id : int
        frame : int
            With prompts of the object.
        stop_after_empty : int, optional
            As in `propagate`.

        Yields
        ------
        FrameMasks
            As from `propagate`.

        Raises
        ------
        ValueError
            If the frame has no prompts of the object, or is locked.
        """
        plan = self.plan_correction(object_id, frame)
        rules = Rules(stop_after_empty=stop_after_empty)
        return Run(self._work, rules, "correct").steps(plan)

    def plan_correction(self, object_id: int, frame: int) -> Plan:
        """Say which frames `correct` would visit; errors are the same."""
        with self._work.lock:
            return plan_correction_run(self._work, object_id, frame)

    def cancel(self) -> None:
        """Have a run that is under way end, also in the midst of a frame with many objects.

        Called from any thread, as by a button, while another one asks for the steps of `propagate`
        or `correct`: they end as if that were all. What was found stays, and of the frame under way
        nothing does. A run that begins later does not know of it.
        """
        self._work.tracker.cancellation.ask()

    def labels_before(self, frame: int) -> np.ndarray:
        """Give the labels of a frame as they were before the last `propagate` or `correct`.

        Only what was changed is kept, up to 256 MiB; beyond, the frames that were changed first
        are given as they are now.

        Returns
        -------
        np.ndarray, shape (H, W), integers
        """
        with self._work.lock:
            return self._work.labels.before(frame)

    def take_over(self, earlier: Session) -> None:
        """Go on with the objects of a session of the same data, and what was found of them.

        For another model, or another contrast; the labels are to be the same. Prompts are
        answered anew.
        """
        self._work.take_over(earlier._work)

    def at(self, held: Mapping[int, int], axis: int | None = None) -> Session:
        """Begin a session elsewhere in the same data: at another position, along another axis.

        It has the same model, contrast and labels, and no number is given to objects of both;
        objects and prompts are its own.

        Parameters
        ----------
        held : mapping of int to int
            The position on every axis that is neither played nor seen.
        axis : int, optional
            The axis to play through; the same unless given.
        """
        played = (self.source.axis or 0) if axis is None else axis
        # The source has chosen a level of a pyramid already, and the model is compiled.
        view = replace(
            self.source.view,
            axis=played,
            held=held,
            rgb=self.source.rgb,
            contrast_limits=self.source.limits,
            level=0,
        )
        settings = replace(self.settings, checkpoint=None, compile=False, overlap=self.overlap)
        other = Session(
            self.source.data, self.model, view=view, settings=settings, labels=self.labels
        )
        other._work.numbers = self._work.numbers
        # What is saved names the weights, and not the model that was made of them.
        other._asked = self._asked
        other.settings = replace(settings, checkpoint=self.settings.checkpoint)
        return other

    def release(self) -> None:
        """Let go of what is remembered of frames, to make room; prompts are answered anew.

        A run that is under way goes on.
        """
        with self._work.lock:
            fresh = self._new_tracker(self.source, self._work.tracker.cancellation)
            for object_id in self.objects:
                fresh.mark_tracked(object_id, self._work.tracker.followed_frames(object_id))
            self._work.tracker = fresh

    def _new_tracker(
        self, source: FrameSource, cancellation: Cancellation | None = None
    ) -> Tracker:
        return Tracker(
            self.model,
            source,
            precision=self._precision,
            options=self.settings.tracker,
            found=self._found,
            cancellation=cancellation,
        )

    def _found(self, object_id: int, frame: int) -> np.ndarray | None:
        """Give an object's mask in the labels, if it was found on a frame."""
        return self._work.found(object_id, frame)
