"""Fine-tuning: a model learns from a lab's own labels, and joins the list of models."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from napari_sam2.evaluation.pictures import lay_out
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictors.device import choose_device, choose_precision
from napari_sam2.training import own_models
from napari_sam2.training.annotated import check_all, check_links, is_linked
from napari_sam2.training.finetune_options import Ending, FineTuned, FineTuneOptions, Progress
from napari_sam2.training.holding_out import hold_out
from napari_sam2.training.learner import Learner, copied
from napari_sam2.training.run_state import RunState, describe
from napari_sam2.training.scoring import Judge, Measurement, ScoreOptions, Scores
from napari_sam2.training.views import ViewDrawer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import torch

    from napari_sam2.training.annotated import AnnotatedStack
    from napari_sam2.training.datasets import Sample

__all__ = ["FineTuneOptions", "FineTuned", "FineTuning", "Progress"]

SEQUENCES_EVERY = 4  #: steps: what is there is learnt from images, in a third of the time


class FineTuning:
    """Learns from annotations, measures on those that were held out, and keeps the best weights.

    Parameters
    ----------
    stacks : sequence of AnnotatedStack
    options : FineTuneOptions

    Attributes
    ----------
    result : FineTuned or None
        What came of it; None until it is finished.

    Raises
    ------
    AnnotationError
        If the annotations cannot be learnt from; the message says why.
    ValueError
        If the name is taken, or there is no such model or device.
    TrainingError
        If the folder is that of another run, or its state cannot be read.

    Examples
    --------
    >>> stack = AnnotatedStack(images, labels)
    >>> run = FineTuning([stack], FineTuneOptions(name="my-cells"))
    >>> for progress in run.steps():
    ...     print(progress.step, progress.loss, progress.scores)
    >>> session = Session(other_images, model="my-cells")
    """

    def __init__(self, stacks: Sequence[AnnotatedStack], options: FineTuneOptions) -> None:
        self.options = options
        self.result: FineTuned | None = None
        own_models.check_name(options.name)
        check_all(stacks)
        if options.sequences == "on":
            check_links(stacks)
        self._settings = describe(stacks, options)
        self._state = RunState(options.run_folder, self._settings)
        state = self._state.read()
        if state is None:
            own_models.check_free(options.name, overwrite=options.overwrite)
        self._split = hold_out(stacks, options.hold_out, options.hold_out_by, options.seed)
        device = choose_device(options.device)
        self._judged = load_model(options.model, options.checkpoint, device=device)
        self._judged.requires_grad_(False)
        self._learner = Learner(copy.deepcopy(self._judged), options)
        self._first = copied(self._learner.average)  # what learning begins with
        self._drawer = self._make_drawer()
        self._judge = Judge(
            self._split.held_out,
            ScoreOptions(objects=options.scored_objects, follow=options.sequences != "off"),
            choose_precision(None, device).frames,
        )
        self.step = 0
        self._before: Scores | None = None
        self._best: dict[str, torch.Tensor] = {}
        self._history: list[dict[str, Any]] = []
        self._seconds = self._measuring = 0.0  # steps of training took, a measurement takes
        self._stopped = False
        self._ending: Ending = "all steps"
        if state is not None:
            self._restore(state)

    def stop(self) -> None:
        """End soon, from any thread: what is best so far is kept, and `steps` comes to its end."""
        self._stopped = True

    def steps(self) -> Generator[Progress, None, None]:
        """Train; each step is one step of training, or one object measured.

        When it comes to its end, `result` is there and the model is in the list; unless the
        minutes are over, and a run with the same options goes on. However it is left, also by
        an interrupt, the state is saved first.

        Yields
        ------
        Progress

        Raises
        ------
        DeviceMemoryError, TrainingError
            See `Learner.learn`.
        OSError
            If the model cannot be written; the state of the run is kept then.
        """
        deadline = time.monotonic() + 60 * self.options.minutes
        before = Measurement()
        try:
            if self._before is None:
                yield from self._measure("before", before)
                self._before = self._scored(before)
                yield self._progress("before", scores=self._before)
            yield from self._train(deadline)
        finally:
            remark = self._save()
        if remark:
            yield self._progress("training", remark=remark)
        if self._is_over():
            yield from self._finish(before)

    def keep_best(self) -> FineTuned | None:
        """Write the best weights so far as a model, as after an interrupt; None if there are none.

        Scores are those measured on the way.
        """
        if not self._best or self._before is None:
            return None
        self._load_best()
        best = max((one for one in self._history), key=lambda one: one["mean"])
        return self._keep(Scores(**best["scores"]), Measurement(), Measurement())

    def _train(self, deadline: float) -> Iterator[Progress]:
        saved = time.monotonic()
        with ThreadPoolExecutor(1, thread_name_prefix="views") as pool:
            following = pool.submit(self._views, self.step)
            while True:
                if self._is_due():  # at once also where the last run was interrupted meanwhile
                    yield from self._evaluate()
                if self._is_over():
                    return
                begun = time.monotonic()
                samples = following.result()
                following = pool.submit(self._views, self.step + 1)
                remark = self._learner.learn(self.step, samples)
                self.step += 1
                self._learner.is_whole = True
                self._seconds += time.monotonic() - begun
                yield self._progress("training", loss=self._learner.loss, remark=remark)
                if time.monotonic() - saved > 60 * self.options.save_every:
                    if remark := self._save():
                        yield self._progress("training", remark=remark)
                    saved = time.monotonic()
                if time.monotonic() > deadline:
                    return

    def _is_due(self) -> bool:
        last = self._history[-1]["step"] if self._history else 0
        due = self.step % self.options.evaluate_every == 0 or self.step == self.options.steps
        return due and self.step > last

    def _is_over(self) -> bool:
        if self._stopped:
            self._ending = "cancelled"
        elif self._is_due():  # the weights of now may be the best
            return False
        elif self.step >= self.options.steps:
            self._ending = "all steps"
        elif self._since_best() >= self.options.patience:
            self._ending = "no better for long"
        else:
            return False
        return True

    def _since_best(self) -> int:
        """Count the measurements since the best one."""
        means = [one["mean"] for one in self._history]
        return len(means) - 1 - means.index(max(means)) if means else 0

    def _evaluate(self) -> Iterator[Progress]:
        """Measure the weights of now, and keep them if they are the best."""
        weights = copied(self._learner.average)
        self._judged.load_state_dict(weights, strict=False)
        measured = Measurement()
        yield from self._measure("measuring", measured)
        scores = self._scored(measured)
        if scores is None:
            return
        means = [one["mean"] for one in self._history]
        if not means or scores.mean > max(means):
            self._best = weights
        one = {"step": self.step, "loss": self._learner.loss, "mean": scores.mean}
        self._history.append({**one, "scores": asdict(scores)})
        self._state.log(one)
        yield self._progress("measuring", scores=scores)

    def _measure(self, stage: Any, results: Measurement) -> Iterator[Progress]:
        begun = time.monotonic()
        for _ in self._judge.measure(self._judged, results):
            yield self._progress(stage)
            if self._stopped and stage != "after":
                return
        self._measuring = time.monotonic() - begun

    def _scored(self, measured: Measurement) -> Scores | None:
        """Give scores; None if the measurement was stopped."""
        return measured.scores() if len(measured.click) == self._judge.n_objects else None

    def _finish(self, before: Measurement) -> Iterator[Progress]:
        """Measure the best weights, and write them as a model."""
        if not self._best:  # stopped before anything was measured
            self._best = copied(self._learner.average)
        if self._scored(before) is None:  # stopped then, or measured by an earlier run
            self._judged.load_state_dict(self._first, strict=False)
            before = Measurement()
            yield from self._measure("after", before)
            self._before = before.scores()
        self._load_best()
        after = Measurement()
        yield from self._measure("after", after)
        scores = after.scores()
        self.result = self._keep(scores, before, after)
        self._state.clear()
        remark = ""
        if not self.result.is_better:
            remark = (
                f"The new model does no better ({scores}) than the one it began with "
                f"({self._before}): go on with that one, or annotate more."
            )
        yield self._progress("after", scores=scores, remark=remark)

    def _load_best(self) -> None:
        """Load the best weights; all are rounded as they are written."""
        self._judged.load_state_dict(self._best, strict=False)
        for value in self._judged.state_dict().values():
            value.copy_(value.half())

    def _keep(self, scores: Scores, before: Measurement, after: Measurement) -> FineTuned:
        assert self._before is not None
        pairs = tuple(zip(before.pictures, after.pictures, strict=False))
        weights = {key: value.half() for key, value in self._judged.state_dict().items()}
        path = own_models.write_model(
            self.options.name,
            self._judged.config,
            weights,
            self._card(scores),
            lay_out(list(zip(*pairs, strict=True))),
        )
        return FineTuned(
            name=self.options.name,
            weights=path,
            before=self._before,
            after=scores,
            ending=self._ending,
            is_honest=self._split.is_honest,
            pictures=pairs,
        )

    def _card(self, scores: Scores) -> dict[str, Any]:
        assert self._before is not None
        return {
            "name": self.options.name,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "napari-sam2": version("napari-sam2"),
            "from": str(self.options.model),
            "data": self._settings["data"],
            "settings": {k: v for k, v in self._settings.items() if k != "data"},
            "steps": self.step,
            "ending": self._ending,
            "measured on": "objects that were held out"
            if self._split.is_honest
            else "the objects that were learnt from: nothing was held out",
            "mean IoU before": asdict(self._before),
            "mean IoU after": asdict(scores),
            "history": self._history,
        }

    def _views(self, step: int) -> list[Sample]:
        """Draw the views of a step; of sequences now and then."""
        options = self.options
        plays = options.sequences != "off" and step % SEQUENCES_EVERY == SEQUENCES_EVERY - 1
        seed = 7_919 * options.seed + 1_000_003 * step
        n_frames = options.n_frames if plays else 1
        count = max(options.batch_size // n_frames, 1)
        return [self._drawer.draw(seed + i, n_frames) for i in range(count)]

    def _make_drawer(self) -> ViewDrawer:
        parts = [part for part in self._split.training if part.n_objects]
        linked = {i for i, part in enumerate(parts) if is_linked(part.stack)}
        return ViewDrawer(parts, self._judged.config.image_size, linked)

    def _progress(self, stage: Any, **more: Any) -> Progress:
        left = None
        if self.step and not self._stopped:
            steps = self.options.steps - self.step
            left = self._seconds / self.step * steps
            left += self._measuring * (steps / self.options.evaluate_every + 1)
        return Progress(
            stage=stage, step=self.step, steps=self.options.steps, seconds_left=left, **more
        )

    def _save(self) -> str:
        """Write everything needed to go on; give what went wrong.

        In the middle of a step the last state stays: a run that goes on takes the step again.
        """
        if not self._learner.is_whole:
            return ""
        return self._state.write(
            {
                **self._learner.state(),
                "step": self.step,
                "best": self._best,
                "history": self._history,
                "before": None if self._before is None else asdict(self._before),
                "seconds": self._seconds,
            }
        )

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._learner.restore(state)
        self.step, self._best, self._history = state["step"], state["best"], state["history"]
        self._before = None if state["before"] is None else Scores(**state["before"])
        self._seconds = state["seconds"]
