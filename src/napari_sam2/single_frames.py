"""What a session finds on single frames: prompted, offered to choose from, or everything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.annotations import Annotations
from napari_sam2.automatic import Looker, Selection
from napari_sam2.prompts import (
    Candidates,
    FrameMasks,
    PointPrompt,
    whole_number,
    whole_numbers,
)
from napari_sam2.results.labels import mask_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from napari_sam2.automatic import Everything, EverythingOptions, EverythingStep
    from napari_sam2.predictors import SAM2
    from napari_sam2.predictors.device import Precision
    from napari_sam2.predictors.windows import Window


class SingleFrames(Annotations):
    """Asks the network about one frame at a time; nothing is followed."""

    model: SAM2
    _precision: Precision

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
        object_id = whole_number("The number of an object", object_id)
        frame = whole_number("A frame", frame)
        with self._work.lock:
            prompts, earlier = self.prompts(object_id, frame), self._work.found(object_id, frame)
            return self._work.tracker.prompt(object_id, frame, prompts, earlier)

    def choose(self, object_id: int, frame: int, index: int) -> Candidates:
        """Choose among the masks that are offered for an object's click.

        Further clicks correct the one chosen, and `propagate` goes on from it: from its mask,
        and from what the network made of it. The choice belongs to the click, and goes with it.

        Parameters
        ----------
        object_id : int
        frame : int
            With one click on the object, and nothing else.
        index : int
            Which of `Candidates.masks`; 0 is the surest.

        Returns
        -------
        Candidates
            The chosen one is its `best`.

        Raises
        ------
        ValueError
            If there is no choice, or no such mask.
        """
        with self._work.lock:
            offered = self.segment(object_id, frame)
            count = len(offered.masks)
            first, *_ = self.prompts(object_id, frame)
            if count == 1 or not isinstance(first, PointPrompt):
                raise ValueError(
                    f"Nothing to choose from on frame {frame}: masks are offered for a single "
                    "click, and one is found for a box, a mask or several clicks."
                )
            if not 0 <= index < count:
                raise ValueError(f"There are masks 0 to {count - 1} to choose from; got {index}.")
            chosen = replace(first, candidate=offered.numbers[index])
            self.set_prompts(object_id, frame, (chosen,))
            return self.segment(object_id, frame)

    def accept(self, candidates: Candidates) -> None:
        """Write the best of `candidates`, or the one that was chosen, to the labels.

        Nothing is written of an object that was removed since.
        """
        frame, best = candidates.frame, candidates.best
        with self._work.lock:
            if best.object_id in self.objects:
                name = self.objects[best.object_id].name
                with self._work.step(f"accept {name} on frame {frame}"):
                    self._work.write(FrameMasks(frame, candidates.shape, (best,)))

    def window(self, object_id: int, frame: int) -> Window:
        """Give the part of a frame that the model saw of an object; else the whole frame.

        Parameters
        ----------
        object_id : int
        frame : int
            Where its prompts are answered.
        """
        with self._work.lock:
            tracker = self._work.tracker
            known = frame in tracker.prompted_frames(object_id)
            return tracker.window(object_id, frame) if known else tracker.windows.whole

    def prepare(
        self,
        object_id: int,
        frame: int,
        stop: Callable[[], bool] = lambda: False,
        place: tuple[float, float] | None = None,
    ) -> bool:
        """Compute what the next prompt on a frame will need, so that it is answered fast.

        Parameters
        ----------
        object_id : int
            Whose prompt that will be.
        frame : int
        stop : callable
            Asked now and then; True ends it, and nothing is kept.
        place : tuple of float, optional
            (row, column) where it will be clicked; where it was last unless given.

        Returns
        -------
        bool
            Whether it was done.
        """
        self.source.index(frame)
        with self._work.lock:  # not while it computes: a preview would wait for it
            tracker = self._work.tracker
            windows = tracker.expected_windows(object_id, frame, place)
        features = tracker.segmenter.features
        return all(features.prepare(frame, window, stop) for window in windows)

    def segment_everything(
        self, frames: int | Iterable[int] | None = None, options: EverythingOptions | None = None
    ) -> Generator[EverythingStep, None, None]:
        """Look for everything on frames, each on its own, without prompts.

        A generator: each step is a batch of points. Stop asking to cancel; what the last step
        gave stays good. Nothing is added to the session: see `add_everything`.

        Parameters
        ----------
        frames : int or iterable of int, optional
            All frames unless given.
        options : EverythingOptions, optional
            The typical diameter of objects, above all.

        Yields
        ------
        EverythingStep
            With what was found on the frame so far, to choose from by size and score.

        Raises
        ------
        IndexError
            If there is no such frame.
        """
        chosen = range(self.n_frames) if frames is None else frames
        wanted = whole_numbers("A frame", chosen)
        for frame in wanted:
            self.source.index(frame)
        return Looker(self.model, self.source, self._precision.frames, options).look(wanted)

    def add_everything(self, found: Everything, selection: Selection | None = None) -> list[int]:
        """Begin an object for each that was found and chosen, prompted with its mask.

        Parameters
        ----------
        found : Everything
        selection : Selection, optional
            What counts; the thresholds that suit the model unless given.

        Returns
        -------
        list of int
            The objects, with new numbers, the best first.

        Raises
        ------
        ValueError
            If the labels have no room for so many. No object is added then.
        """
        chosen = selection or Selection.suited(self.model.config)
        masks = mask_prompts(found.frame, found.labels(chosen))
        with self._work.lock:
            return self._work.add_masks([masks[number] for number in sorted(masks)])
