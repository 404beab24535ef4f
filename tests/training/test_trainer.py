"""Runs: their stages, stops, states and logs."""

import csv
import dataclasses
import itertools

import pytest
import torch
from safetensors.torch import load_file
from training_steps import gpu

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.transforms import normalize
from napari_sam2.training import recipe as recipes
from napari_sam2.training import steps, trainer
from napari_sam2.training.datasets import Sample
from napari_sam2.training.log import TrainingLog


@pytest.fixture
def recipe(tmp_path, tiny_config, monkeypatch):
    """Two short stages on the small model."""
    monkeypatch.setattr(trainer, "load_config", lambda _: tiny_config)
    common = {"steps": 3, "image_size": 64, "batch_size": 1, "nuclei_share": 0.0}
    return recipes.Recipe(
        model="tiny",
        stages=(
            recipes.Stage(name="dense", kind="dense", **common),
            recipes.Stage(name="memory", kind="sequences", n_frames=2, decay=True, **common),
        ),
    )


WAYS = ("straight", "parts")


OLD_STATE = {"parts", "average", "stage", "step", "optimizer", "seconds"}


def run(recipe, folder, **options):
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=folder, workers=0, **options))
    return one, one.run()


def test_recipe_runs_to_the_end_and_gives_weights_that_load(recipe, tmp_path, tiny_config):
    _, finished = run(recipe, tmp_path)

    assert finished
    weights = load_file(tmp_path / tiny_config.checkpoint)
    assert {w.dtype for w in weights.values()} == {torch.float16}
    SAM2(tiny_config).load_state_dict(weights)
    assert all(w.isfinite().all() for w in weights.values())


@pytest.fixture
def same_samples(batch, monkeypatch):
    """The same sample in every step, also of a run that goes on."""

    def batches(options, batch_size, workers):
        cut = (slice(batch_size), slice(options.n_frames), ..., slice(64), slice(64))
        return itertools.repeat(Sample(*(part[cut] for part in batch)))

    monkeypatch.setattr(trainer, "batches", batches)


def test_run_that_was_stopped_after_every_step_ends_with_the_same_values(
    recipe, tmp_path, same_samples
):
    straight, _ = run(recipe, tmp_path / "straight")
    finished, runs = False, 0
    while not finished:
        stopped, finished = run(recipe, tmp_path / "parts", minutes=0)
        runs += 1

    assert runs == 7, "six steps, and the end"
    for name in ("parts", "average"):
        one, other = (torch.load(tmp_path / where / "state.pt")[name] for where in WAYS)
        assert all(torch.equal(one[key], other[key]) for key in one)
    weights = [load_file(tmp_path / where / stopped.config.checkpoint) for where in WAYS]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert straight.stage_index == stopped.stage_index == 2
    assert not list((tmp_path / "parts").glob("*.partial"))


@pytest.mark.parametrize("device", [gpu])
def test_every_kind_of_stage_trains_on_a_gpu_and_goes_on(recipe, tmp_path, same_samples, device):
    images = dataclasses.replace(recipe.stages[0], name="prompts", kind="images")
    recipe = dataclasses.replace(recipe, stages=(*recipe.stages, images))
    finished = False
    for _ in range(20):
        one, finished = run(recipe, tmp_path, minutes=0, device=device)
        assert {p.device.type for p in one.parts.parameters()} == {device}
        if finished:
            break

    assert finished
    assert one.non_finite == 0


def test_steps_without_a_finite_gradient_are_passed_over_and_counted(
    recipe, tmp_path, same_samples, monkeypatch
):
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=tmp_path, workers=0))
    loss = one._loss

    def loss_that_fails_once(*args):
        result = loss(*args)
        return result._replace(loss=result.loss * torch.nan) if one.step == 1 else result

    monkeypatch.setattr(one, "_loss", loss_that_fails_once)

    assert one.run()
    assert one.non_finite == 2, "one in each stage"
    assert all(p.isfinite().all() for p in one.parts.parameters())
    assert trainer.Trainer(recipe, one.options).non_finite == 2


def test_run_that_diverged_stops_and_keeps_its_last_good_state(
    recipe, tmp_path, same_samples, monkeypatch
):
    monkeypatch.setattr(trainer, "MAX_NON_FINITE", 3)
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=tmp_path, workers=0))
    one.save()
    with torch.no_grad():
        one.parts.heads.predict[1].weight.fill_(torch.nan)

    with pytest.raises(trainer.TrainingError, match=r"3 steps in a row.*step 2 of stage 'dense'"):
        one.run()

    kept = trainer.Trainer(recipe, one.options)
    assert kept.step == 0
    assert all(p.isfinite().all() for p in kept.parts.parameters())


def stopped_in_the_second_stage(recipe, folder):
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=folder, workers=0))
    one.stage_index = 1
    one.save()
    return one.options


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda r: {"model": "other"}, "run for tiny, but the recipe is for other"),
        (lambda r: {"stages": r.stages[1:]}, r"through the stages \['dense \(dense\)'"),
        (lambda r: {"stages": r.stages[::-1]}, "folder of its own"),
    ],
)
def test_state_of_another_recipe_is_refused(recipe, tmp_path, changed, message):
    options = stopped_in_the_second_stage(recipe, tmp_path)

    with pytest.raises(trainer.TrainingError, match=message):
        trainer.Trainer(dataclasses.replace(recipe, **changed(recipe)), options)


def test_rates_lengths_and_later_stages_may_change_while_a_run_is_stopped(recipe, tmp_path):
    options = stopped_in_the_second_stage(recipe, tmp_path)
    stages = [dataclasses.replace(s, steps=9, learning_rate=1e-3) for s in recipe.stages]
    more = dataclasses.replace(stages[1], name="more")

    again = trainer.Trainer(dataclasses.replace(recipe, stages=(*stages, more)), options)

    assert again.stage_index == 1


def test_a_finished_run_goes_on_with_further_stages(recipe, tmp_path):
    run(recipe, tmp_path)
    more = dataclasses.replace(recipe.stages[1], name="more")

    again, finished = run(dataclasses.replace(recipe, stages=(*recipe.stages, more)), tmp_path)

    assert finished
    assert again.stage_index == len(recipe.stages) + 1


def test_states_that_do_not_name_their_recipe_are_gone_on_with(recipe, tmp_path):
    options = stopped_in_the_second_stage(recipe, tmp_path)
    state = torch.load(tmp_path / "state.pt")
    torch.save({k: v for k, v in state.items() if k in OLD_STATE}, tmp_path / "state.pt")

    assert trainer.Trainer(recipe, options).stage_index == 1


def test_truncated_state_is_named(recipe, tmp_path):
    options = stopped_in_the_second_stage(recipe, tmp_path)
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:1000])

    with pytest.raises(trainer.TrainingError, match=r"state\.pt cannot be read.*Move it away"):
        trainer.Trainer(recipe, options)


def test_interrupted_run_loses_nothing(recipe, tmp_path, monkeypatch):
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=tmp_path, workers=0))
    train = one._train

    def interrupted(*args):
        if one.step == 2:
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(one, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    again = trainer.Trainer(recipe, trainer.RunOptions(folder=tmp_path, workers=0))

    assert (again.stage_index, again.step) == (0, 2)
    for key, value in one.parts.state_dict().items():
        torch.testing.assert_close(again.parts.state_dict()[key], value)
    assert again.run()


def test_training_moves_the_weights_and_their_average(recipe, tmp_path):
    torch.manual_seed(recipe.seed)
    one = trainer.Trainer(recipe, trainer.RunOptions(folder=tmp_path, workers=0))
    before = {k: v.clone() for k, v in one.parts.state_dict().items()}
    one.run()
    name = "model.image_encoder.trunk.blocks.0.attn.qkv.weight"

    assert not torch.equal(one.parts.state_dict()[name], before[name])
    assert not torch.equal(one.average[name], before[name])
    assert not torch.equal(one.average[name], one.parts.state_dict()[name])


def test_features_are_levelled_after_dense_targets(recipe, tmp_path, same_samples, batch):
    still = dataclasses.replace(recipe.stages[1], learning_rate=0.0)
    recipe = dataclasses.replace(recipe, stages=(recipe.stages[0], still))
    encoder = run(recipe, tmp_path)[0].parts.model.image_encoder

    pixels = normalize(batch.images[:1, :2, :, :64, :64].flatten(0, 1))
    assert float(encoder(pixels).stride16.detach().std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({"trunk_learning_rate": 0}, "image_encoder"),
        ({"frozen": ("sam_mask_decoder",)}, "sam_mask_decoder"),
    ],
)
def test_parts_that_are_not_to_learn_stay_as_they_are(recipe, tmp_path, change, still):
    trained = run(recipe, tmp_path / "one")[0].parts.state_dict()
    last = dataclasses.replace(recipe.stages[1], name="more", **change)
    longer = dataclasses.replace(recipe, stages=(*recipe.stages, last))
    further = run(longer, tmp_path / "two")[0].parts.state_dict()

    changed = {key for key, value in further.items() if not value.equal(trained[key])}
    assert not any(still in key for key in changed)
    assert any("memory_attention" in key for key in changed)


def test_freezing_what_the_model_does_not_have_says_what_it_has(recipe, tmp_path):
    stage = dataclasses.replace(recipe.stages[0], frozen=("decoder",))

    with pytest.raises(ValueError, match=r"no part 'decoder' .*sam_mask_decoder"):
        run(dataclasses.replace(recipe, stages=(stage,)), tmp_path)


def test_log_has_a_line_every_hundred_steps(tmp_path):
    log = TrainingLog(tmp_path / "log.csv")
    log.add(steps.StepResult(torch.tensor(2.0), {"click": 0.5}))
    log.write("clicks", 100, 12.3, 0)
    log.write("clicks", 200, 24.6, 5)

    with (tmp_path / "log.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["clicks", "100", "12", "loss=2.000", "click=0.500"],
            ["clicks", "200", "25", "loss=2.000", "click=0.500", "non-finite=5"],
        ]


def test_learning_rate_rises_and_falls():
    stage = recipes.Stage(name="a", kind="dense", steps=1000, image_size=64, decay=True)
    kept = dataclasses.replace(stage, decay=False)
    rates = [trainer._schedule(stage, step) for step in (0, 199, 500, 999)]

    assert rates[0] < 0.01 < rates[3] + 0.01 < rates[2] < rates[1] <= 1
    assert trainer._schedule(kept, 999) == 1
