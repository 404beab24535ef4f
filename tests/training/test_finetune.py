"""Fine-tuning runs: what comes of them, how they end, how they go on."""

import json

import numpy as np
import pytest
import torch

from napari_sam2 import Session, config_names
from napari_sam2.model.checkpoint import load_model
from napari_sam2.training.annotated import AnnotatedStack
from napari_sam2.training.finetune import FineTuning
from napari_sam2.training.scoring import Judge
from napari_sam2.training.trainer import TrainingError


def finish(run):
    return list(run.steps())


def test_result_is_a_model_that_is_used_by_its_name(begin, stack, blobs, models):
    run = begin([stack])
    finish(run)

    assert config_names()[-1] == "my-cells"
    assert run.result.weights == models / "my-cells.safetensors"
    session = Session(blobs[0], model="my-cells")
    cell = session.add_object()
    session.add_points(cell, frame=0, points=[[30, 40]])
    assert session.segment(cell, 0).best.iou >= 0
    assert session.model.config.name == "my-cells"


def test_card_says_what_it_was_made_from_and_how_good_it_is(begin, stack, models):
    run = begin([stack])
    finish(run)

    card = json.loads((models / "my-cells.json").read_text())
    assert card["data"][0]["annotated frames"] == 8
    assert card["data"][0]["objects"] == 2
    assert card["settings"]["learning"] == "frozen"
    assert card["mean IoU after"]["click"] == pytest.approx(run.result.after.click)
    assert card["mean IoU before"]["click"] == pytest.approx(run.result.before.click)
    assert card["measured on"] == "objects that were held out"
    assert [one["step"] for one in card["history"]] == [2, 4]


def test_scores_after_are_those_of_the_written_weights(begin, stack):
    run = begin([stack])
    finish(run)
    written = load_model("my-cells")
    for name, value in run._judged.state_dict().items():
        torch.testing.assert_close(written.state_dict()[name], value.half().float())


def test_pictures_show_the_same_held_out_objects_before_and_after(begin, stack, models):
    run = begin([stack])
    finish(run)

    assert run.result.pictures
    for before, after in run.result.pictures:
        assert before.title == after.title
        assert np.array_equal(before.truth, after.truth)
        assert int(before.title.split("frame ")[1].split(",")[0]) >= 6, "the last frames"
    assert (models / "my-cells.png").is_file()


@pytest.fixture
def ranked(monkeypatch):
    """Scores by the number of the measurement, in place of real ones."""
    scores: list[float] = []

    def measure(self, model, results):
        value = scores.pop(0) if scores else 0.5
        results.click += [value] * self.n_objects
        results.box += [value] * self.n_objects
        yield from [None] * self.n_objects

    monkeypatch.setattr(Judge, "measure", measure)
    return scores


def test_best_weights_are_kept_rather_than_the_last(begin, stack, ranked):
    ranked += [0.1, 0.3, 0.9, 0.4]  # before, and after 2, 4 and 6 steps
    run = begin([stack], steps=6)
    best = None
    for progress in run.steps():
        if progress.stage == "measuring" and progress.step == 4 and progress.scores:
            best = {k: v.clone() for k, v in run._learner.average.items()}

    kept = load_model("my-cells").state_dict()
    assert best
    assert all(torch.equal(kept[name], value.half().float()) for name, value in best.items())
    last = run._learner.average
    assert any(not torch.equal(kept[name], last[name].half().float()) for name in best)


def test_run_ends_when_nothing_has_been_better_for_long(begin, stack, ranked):
    ranked += [0.1, 0.3, 0.2, 0.2]
    run = begin([stack], steps=100, patience=2)
    finish(run)

    assert run.step == 6
    assert run.result.ending == "no better for long"


def test_cancelled_run_keeps_the_best_so_far(begin, stack, models):
    run = begin([stack], steps=1000)
    for progress in run.steps():
        if progress.step == 3:
            run.stop()

    assert run.step == 3
    assert run.result.ending == "cancelled"
    assert (models / "my-cells.yaml").is_file()


def test_run_that_is_cancelled_at_once_still_gives_a_whole_result(begin, stack):
    run = begin([stack])
    for _ in run.steps():
        run.stop()

    assert run.step == 0
    assert run.result.before.n_objects == run.result.after.n_objects == 4


def test_result_that_is_no_better_is_told(begin, stack, ranked):
    ranked += [0.5, 0.4, 0.4, 0.4]
    told = [p.remark for p in finish(begin([stack])) if p.remark]

    assert "does no better" in told[-1]


def test_run_that_was_stopped_after_every_step_ends_with_the_same_weights(
    begin, stack, tmp_path, models
):
    straight = begin([stack], folder=tmp_path / "straight", name="straight")
    finish(straight)
    runs = 0
    while not (models / "parts.yaml").is_file():
        finish(begin([stack], folder=tmp_path / "parts", name="parts", minutes=0))
        runs += 1

    assert runs == 5, "four steps, and the end"
    one, other = (load_model(name).state_dict() for name in ("straight", "parts"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    history = [
        json.loads((models / f"{n}.json").read_text())["history"] for n in ("straight", "parts")
    ]
    assert history[0] == history[1]


def test_run_that_was_interrupted_while_measuring_measures_again(begin, stack, models):
    straight = begin([stack], name="straight", folder=models / "a")
    finish(straight)
    run = begin([stack], folder=models / "b")
    steps = run.steps()
    while next(steps).stage != "measuring":
        pass
    steps.close()
    again = begin([stack], folder=models / "b")
    finish(again)

    assert again._history == straight._history


def test_best_can_be_kept_after_an_interrupt(begin, stack, models):
    run = begin([stack], steps=1000)
    assert run.keep_best() is None
    steps = run.steps()
    while not (progress := next(steps)).scores or progress.stage != "measuring":
        pass
    steps.close()

    assert run.keep_best().after == progress.scores
    assert (models / "my-cells.yaml").is_file()
    assert begin([stack], steps=1000).step == run.step, "and the run can go on"


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"learning": "all"}, "learning"), ({"hold_out": 0.4, "seed": 3}, "hold_out and seed")],
)
def test_state_of_another_run_is_refused(begin, stack, changes, what):
    finish(begin([stack], minutes=0))

    with pytest.raises(TrainingError, match=f"of a run with other {what}"):
        begin([stack], **changes)


def test_state_of_other_labels_is_refused(begin, stack, blobs):
    finish(begin([stack], minutes=0))
    labels = blobs[1].copy()
    labels[0, 5:20, 100:120] = 7

    with pytest.raises(TrainingError, match="of a run with other data"):
        begin([AnnotatedStack(blobs[0], labels, name="blobs")])


def test_taken_name_is_refused_unless_it_may_be_overwritten(begin, stack, models):
    finish(begin([stack]))

    with pytest.raises(ValueError, match="There is a model my-cells already"):
        begin([stack])
    run = begin([stack], overwrite=True)
    assert isinstance(run, FineTuning)


@pytest.mark.parametrize("name", ["", "a/b", "..", "sam2.1_hiera_nano", "cells.yaml", "my cells"])
def test_name_that_cannot_be_a_model_is_refused(begin, stack, name):
    with pytest.raises(ValueError, match=r"name"):
        begin([stack], name=name)


def test_time_left_is_told_and_falls(begin, stack):
    left = [p.seconds_left for p in finish(begin([stack])) if p.stage == "training"]

    assert left[0] > left[-1] >= 0
