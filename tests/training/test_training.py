"""Simulated hands, losses and the training loop."""

import csv
import dataclasses
import itertools

import pytest
import torch
from safetensors.torch import load_file

from napari_sam2.model.mask_decoder import DecodedMasks
from napari_sam2.model.prompt_encoder import BOTTOM_RIGHT, NEGATIVE, PADDING, POSITIVE, TOP_LEFT
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.transforms import normalize
from napari_sam2.training import recipe as recipes
from napari_sam2.training import steps, trainer
from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.datasets import Sample, SampleStream, StreamOptions
from napari_sam2.training.dense import DenseHeads, dense_loss, dense_targets
from napari_sam2.training.initialize import level
from napari_sam2.training.log import TrainingLog
from napari_sam2.training.losses import LossWeights, decoder_loss, dice_loss, focal_loss, mask_iou
from napari_sam2.training.simulate import boxes, corrections, first_clicks, pick_pixels

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
gpu = pytest.param("cuda", marks=needs_gpu)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def discs():
    """Twenty discs of several sizes, (N, H, W)."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(80), indexing="ij")
    drawn = generator(1)
    masks = []
    for _ in range(20):
        row, column = (int(torch.randint(10, 50, (), generator=drawn)) for _ in range(2))
        radius = int(torch.randint(2, 12, (), generator=drawn))
        masks.append((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)
    return torch.stack(masks)


@pytest.fixture
def batch(blobs):
    """Two sequences of four frames, 128 pixels square."""
    images = torch.zeros(2, 4, 3, 128, 128, dtype=torch.uint8)
    labels = torch.zeros(2, 4, 128, 128, dtype=torch.int32)
    images[..., :96, :] = torch.from_numpy(blobs[0])[None, :4, None]
    labels[..., :96, :] = torch.from_numpy(blobs[1])[None, :4].int()
    return Sample(images, labels)


def test_pixels_are_drawn_in_proportion_to_their_weight():
    weights = torch.tensor([[[0.0, 1.0], [0.0, 3.0]]]).expand(4000, -1, -1)

    x, y = pick_pixels(weights, generator()).unbind(dim=1)

    assert (x == 1).all()
    assert 0.7 < y.mean() < 0.8


def test_rows_and_columns_of_drawn_pixels_belong_together():
    weights = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 1.0]])

    x, y = pick_pixels(weights.expand(4000, -1, -1), generator()).long().unbind(dim=1)

    shares = torch.bincount(3 * y + x, minlength=6).view(2, 3) / 4000
    torch.testing.assert_close(shares, weights / 4, atol=0.03, rtol=0)
    assert (shares[weights == 0] == 0).all()


@pytest.mark.parametrize("device", [gpu])
def test_hands_do_the_same_on_every_device(discs, device):
    there = discs.to(device)
    for draw in (first_clicks, boxes):
        here, other = draw(discs, generator()), draw(there, generator())
        assert other.points.device.type == device
        torch.testing.assert_close(other.points.cpu(), here.points)
    for one, other in zip(
        corrections(discs, discs.roll(4, 2), generator()),
        corrections(there, there.roll(4, 2), generator()),
        strict=True,
    ):
        assert torch.equal(one, other.cpu())


def test_first_click_is_on_the_object(discs):
    clicks = first_clicks(discs, generator())
    x, y = clicks.points[:, 0].long().unbind(dim=1)

    assert discs[torch.arange(20), y, x].all()
    assert (clicks.labels == POSITIVE).all()


def test_box_without_jitter_is_the_extent(discs):
    drawn = boxes(discs, generator(), jitter=0)
    for mask, corners in zip(discs, drawn.points, strict=True):
        rows, columns = mask.nonzero().unbind(dim=1)
        expected = [[columns.min(), rows.min()], [columns.max(), rows.max()]]
        assert corners.tolist() == expected
    assert drawn.labels[0].tolist() == [TOP_LEFT, BOTTOM_RIGHT]


def test_jittered_box_stays_near_and_on_the_image(discs):
    exact, jittered = boxes(discs, generator(), jitter=0), boxes(discs, generator())
    extent = (exact.points[:, 1] - exact.points[:, 0] + 1)[:, None]

    assert ((exact.points - jittered.points).abs() <= 0.1 * extent + 1e-4).all()
    assert not torch.equal(exact.points, jittered.points)


def test_corrections_fall_into_the_error_with_its_sign(discs):
    found = discs.roll(4, dims=2)
    points, labels = corrections(discs, found, generator())
    x, y = points.long().unbind(dim=1)
    index = torch.arange(20)

    assert (discs ^ found)[index, y, x].all()
    assert torch.equal(labels == POSITIVE, discs[index, y, x])
    assert {POSITIVE, NEGATIVE} == set(labels.tolist())


def test_perfect_mask_gets_no_correction(discs):
    assert (corrections(discs, discs, generator())[1] == PADDING).all()


def test_small_and_large_objects_weigh_alike(discs):
    areas = discs.flatten(1).sum(dim=1)
    small, large = discs[areas.argmin()].float(), discs[areas.argmax()].float()
    assert large.sum() > 10 * small.sum()
    blind = torch.full((2, 64, 80), -3.0)

    losses = focal_loss(blind, torch.stack((small, large)))

    assert losses.max() < 4 * losses.min()


def test_losses_fall_towards_the_truth(discs):
    target = discs.float()
    right, wrong = (12 * (2 * t - 1) for t in (target, 1 - target))

    assert (focal_loss(right, target) < 0.01).all()
    assert (dice_loss(right, target) < 0.05).all()
    assert (focal_loss(wrong, target) > 1).all()
    assert (dice_loss(wrong, target) > 0.9).all()
    assert (mask_iou(right, target) == 1).all()


def test_only_the_best_candidate_is_pulled(discs):
    truth = discs[:1].float()
    logits = torch.stack([truth[0] * 2 - 1, *(-torch.ones(3, 64, 80))])[None]
    logits[0, 2] = 3 * truth[0] - 1  # the best of the three
    logits.requires_grad_()
    decoded = DecodedMasks(logits, torch.rand(1, 4), torch.zeros(1, 4, 8), torch.zeros(1, 1))

    decoder_loss(decoded, truth, LossWeights())[0].backward()

    moved = logits.grad.flatten(2).abs().sum(dim=2)[0] > 0
    assert moved.tolist() == [True, False, True, False]


def test_absent_object_counts_for_the_object_score_alone():
    logits = torch.zeros(1, 4, 16, 16, requires_grad=True)
    score = torch.ones(1, 1, requires_grad=True)
    decoded = DecodedMasks(logits, torch.rand(1, 4), torch.zeros(1, 4, 8), score)

    decoder_loss(decoded, torch.zeros(1, 16, 16), LossWeights())[0].backward()

    assert not logits.grad.any()
    assert score.grad > 0, "a step down lowers the score"


def test_dense_targets_point_to_the_centre(blobs):
    labels = torch.from_numpy(blobs[1][:1]).int()
    targets = dense_targets(labels)

    assert targets.foreground.shape == (1, 1, 24, 32)
    diameter = float((labels == 1).sum()) ** 0.5
    row, column = 26, 46  # centre of the pixel at [6, 11], on the first disc
    centre = torch.tensor([30.0, 40.0])
    expected = (centre - torch.tensor([row, column])) / diameter
    torch.testing.assert_close(targets.offset[0, :, 6, 11], expected, atol=0.01, rtol=0)
    assert targets.edge[0, 0, 4, 10] == 1
    assert targets.edge[0, 0, 7, 10] == 0


def test_dense_loss_is_lowest_at_the_targets(blobs):
    targets = dense_targets(torch.from_numpy(blobs[1][:2]).int())
    sure = [30 * (t.round() - 0.5) for t in targets[:2]]
    exact = torch.cat([*sure, targets.offset, targets.size], dim=1)

    assert dense_loss(exact, targets) < 0.3 < dense_loss(torch.zeros_like(exact), targets)


def test_views_keep_labels_on_their_pixels(blobs):
    images = torch.from_numpy(blobs[0]).float()[:, None].expand(-1, 3, -1, -1) / 255
    labels = torch.from_numpy(blobs[1]).int()
    for seed in range(8):
        view, seen = random_view(images, labels, 64, (0.5, 2.0), generator(seed))
        assert view.shape == (8, 3, 64, 64)
        if (seen > 0).any() and (seen == 0).any():
            assert view[:, 0][seen > 0].mean() > view[:, 0][seen == 0].mean() + 0.4


def test_light_keeps_images_in_range():
    images = torch.rand(2, 3, 16, 16, generator=generator())
    changed = [random_light(images, generator(seed)) for seed in range(20)]

    assert all(one.shape == images.shape and one.isfinite().all() for one in changed)
    assert all(one.min() >= 0 and one.max() <= 1 for one in changed)
    assert sum(not torch.equal(one, images) for one in changed) > 10


@pytest.mark.parametrize("n_frames", [1, 3])
def test_stream_is_the_same_for_the_same_seed(n_frames):
    options = StreamOptions(size=64, n_frames=n_frames, pool=2, echo=2)
    first, again = iter(SampleStream(options)), iter(SampleStream(options))
    for _ in range(4):
        one, other = next(first), next(again)
        assert one.images.shape == (n_frames, 3, 64, 64)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_kept_out_images_are_never_drawn(tmp_path, blobs):
    import tifffile
    from skimage.io import imsave

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name, value in (("train", 200), ("test", 50)):
        imsave(tmp_path / "images" / f"{name}.png", blobs[0][0] * 0 + value, check_contrast=False)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", blobs[1][0])
    options = StreamOptions(
        size=64, nuclei=tmp_path, nuclei_share=1.0, kept_out=frozenset({"test"})
    )
    stream = SampleStream(options)

    assert [path.stem for path in stream._nuclei] == ["train"]
    assert next(iter(stream)).labels.any()


@pytest.fixture
def parts(tiny_config):
    torch.manual_seed(0)
    return SAM2(tiny_config).train(), DenseHeads(tiny_config.d_model)


@pytest.mark.parametrize("step", [steps.image_step, steps.sequence_step])
def test_every_part_that_a_step_uses_learns(step, parts, batch):
    model, heads = parts
    for seed in range(6):
        options = steps.StepOptions(dense_weight=0.1)
        step(model, heads, batch, options, generator(seed)).loss.backward()

    def part(name):
        return name.split(".")[0]

    names = [name for name, _ in model.named_parameters()]
    learning = {part(n) for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    idle = {part(name) for name in names} - learning
    idle -= {"no_obj_ptr", "no_obj_embed_spatial"}  # for objects that leave: these do not
    expected = {"no_mem_pos_enc"}  # which no model reads
    if step is steps.image_step:
        expected |= {"memory_attention", "memory_encoder", "maskmem_tpos_enc", "mask_downsample"}
        expected |= {"obj_ptr_proj", "obj_ptr_tpos_proj"}
    assert idle == expected


@pytest.mark.parametrize("step", [steps.image_step, steps.sequence_step])
def test_batch_without_objects_is_passed_over(step, parts, batch):
    empty = Sample(batch.images, torch.zeros_like(batch.labels))

    assert step(*parts, empty, steps.StepOptions(), generator()) is None


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


def test_levelled_features_are_of_unit_size_and_mean_the_same(parts):
    pixels = torch.randn(2, 3, 64, 64, generator=generator())
    model, heads = parts
    encoder = model.image_encoder
    for lateral in encoder.neck.convs:
        lateral[0].weight.data *= 30
    before = heads(encoder(pixels))

    level(encoder, heads, pixels)

    pyramid = encoder(pixels)
    torch.testing.assert_close(torch.stack([x.std() for x in pyramid]), torch.ones(3))
    torch.testing.assert_close(heads(pyramid), before, atol=1e-3, rtol=1e-3)


def test_features_are_levelled_after_dense_targets(recipe, tmp_path, same_samples, batch):
    still = dataclasses.replace(recipe.stages[1], learning_rate=0.0)
    recipe = dataclasses.replace(recipe, stages=(recipe.stages[0], still))
    encoder = run(recipe, tmp_path)[0].parts.model.image_encoder

    pixels = normalize(batch.images[:1, :2, :, :64, :64].flatten(0, 1))
    assert float(encoder(pixels).stride16.detach().std()) == pytest.approx(1, abs=0.01)


def test_trunk_with_a_rate_of_zero_stays_as_it_is(recipe, tmp_path):
    trained = run(recipe, tmp_path / "one")[0].parts.state_dict()
    last = dataclasses.replace(recipe.stages[1], name="more", trunk_learning_rate=0)
    longer = dataclasses.replace(recipe, stages=(*recipe.stages, last))
    further = run(longer, tmp_path / "two")[0].parts.state_dict()

    changed = {key for key, value in further.items() if not value.equal(trained[key])}
    assert not any("image_encoder" in key for key in changed)
    assert any("memory_attention" in key for key in changed)


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


def test_embedded_recipe_reads_and_keeps_images_out():
    recipe = recipes.find_recipe("nano")

    assert recipe.model == "sam2.1_hiera_nano"
    assert len(recipe.kept_out_stems()) == 167
    assert len({stage.name for stage in recipe.stages}) == len(recipe.stages)


def test_images_that_are_kept_out_are_listed_beside_the_recipe(tmp_path):
    (tmp_path / "own.yaml").write_text("model: x\nkept_out: test.txt\nstages: []\n")
    (tmp_path / "test.txt").write_text("one\ntwo\n")

    recipe = recipes.find_recipe(tmp_path / "own.yaml")

    assert recipe.kept_out_stems() == {"one", "two"}


def test_unknown_recipe_names_those_there_are():
    with pytest.raises(ValueError, match=r"no recipe 'macro'.*nano"):
        recipes.find_recipe("macro")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: x\nspeed: 3\nstages: []\n", r"Recipe has no \['speed'\]"),
        ("model: x\nstages: [{name: a, kind: b, steps: 1, image_size: 64}]\n", "of kind 'b'"),
        (
            "model: x\nstages: [{name: a, kind: sequences, steps: 1, image_size: 64}]\n",
            "needs n_frames",
        ),
        ("model: [x\n", "recipe.yaml is not a recipe: while parsing"),
        ("", "A recipe is keys and values, got None"),
        ("stages: []\n", r"Recipe needs \['model'\]"),
        ("model: x\n", r"Recipe needs \['stages'\]"),
        ("model: x\nstages: dense\n", "stages must be a list"),
        ("model: x\nstages: [dense]\n", "A stage is keys and values"),
        ("model: x\nstages: [{name: a}]\n", r"Stage needs \['image_size', 'kind', 'steps'\]"),
        (
            "model: x\nstages: [{name: a, kind: dense, steps: 1, image_size: 64, options: 3}]\n",
            "options is keys",
        ),
    ],
)
def test_wrong_recipe_says_why(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        recipes.find_recipe(path)


def test_learning_rate_rises_and_falls():
    stage = recipes.Stage(name="a", kind="dense", steps=1000, image_size=64, decay=True)
    kept = dataclasses.replace(stage, decay=False)
    rates = [trainer._schedule(stage, step) for step in (0, 199, 500, 999)]

    assert rates[0] < 0.01 < rates[3] + 0.01 < rates[2] < rates[1] <= 1
    assert trainer._schedule(kept, 999) == 1
