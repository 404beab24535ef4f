"""What learns, and what is done where memory runs out."""

import copy

import pytest
import torch
from torch.nn.utils import parametrize

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictors.batches import DeviceMemoryError
from napari_sam2.training import learner
from napari_sam2.training.adapt import adapt, learnt_weights, recompute
from napari_sam2.training.annotated import Part
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.views import ViewDrawer

TRUNK = "image_encoder.trunk."


@pytest.fixture
def views(stack):
    drawer = ViewDrawer([Part(stack, stack.frames)], 128, {0})
    return [drawer.draw(seed) for seed in range(4)]


def learn(model, views, steps=3, **options):
    taught = learner.Learner(copy.deepcopy(model), FineTuneOptions(name="x", **options))
    remarks = [taught.learn(step, views) for step in range(steps)]
    return taught, [remark for remark in remarks if remark]


@pytest.mark.parametrize(
    ("learning", "parts"), [("frozen", set()), ("lora", {"weight"}), ("all", {"weight", "bias"})]
)
def test_trunk_learns_as_it_is_told(tiny_model, views, learning, parts):
    taught, _ = learn(tiny_model, views, learning=learning, learning_rate=1e-2)
    before = tiny_model.state_dict()
    changed = {k for k, v in learnt_weights(taught.model).items() if not torch.equal(v, before[k])}

    blocks = {name for name in changed if name.startswith(f"{TRUNK}blocks.")}
    assert {name.rpartition(".")[2] for name in blocks} == parts
    assert any(name.startswith("sam_mask_decoder.") for name in changed)
    assert changed <= before.keys()


def test_low_rank_changes_begin_as_nothing_and_come_out_as_plain_weights(tiny_model, tiny_config):
    model = copy.deepcopy(tiny_model)
    adapt(model, "lora", rank=2)
    pixels = torch.randn(1, 3, 128, 128)
    assert torch.equal(
        model.encode_image(pixels).embedding, tiny_model.encode_image(pixels).embedding
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.02)

    plain = SAM2(tiny_config).eval()
    plain.load_state_dict({**tiny_model.state_dict(), **learnt_weights(model)})
    expected = model.encode_image(pixels).embedding
    torch.testing.assert_close(plain.encode_image(pixels).embedding, expected)
    assert not any(parametrize.is_parametrized(module) for module in plain.modules())
    block = model.image_encoder.trunk.blocks[0].attn.qkv.parametrizations.weight
    changed = learnt_weights(model)[f"{TRUNK}blocks.0.attn.qkv.weight"]
    assert torch.linalg.matrix_rank((changed - block.original).detach(), atol=1e-5) == 2


def test_recomputing_gives_the_same_gradients(tiny_model):
    gradients = []
    for again in (False, True):
        model = copy.deepcopy(tiny_model).train()
        if again:
            recompute(model)
        torch.manual_seed(0)
        pixels = torch.randn(1, 3, 128, 128)
        model.encode_image(pixels).embedding.square().mean().backward()
        gradients.append([p.grad for p in model.image_encoder.parameters()])

    torch.testing.assert_close(*gradients)


def test_recomputing_holds_less_for_the_gradients(tiny_model):
    held = []
    for again in (False, True):
        model = copy.deepcopy(tiny_model).train()
        if again:
            recompute(model)
        sizes = []

        def pack(x, sizes=sizes):
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model.image_encoder.trunk(torch.randn(1, 3, 128, 128))
        held.append(sum(sizes))

    assert held[1] < held[0] / 2


@pytest.fixture
def little_memory(monkeypatch):
    """Steps that need more than so many objects at once, or hold the trunk, find no memory."""
    limit = {"views": 0, "asked": []}
    step = learner.image_step

    def limited(model, heads, batch, options, generator):
        limit["asked"].append((len(batch.labels), options.objects))
        if len(batch.labels) > limit["views"]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return step(model, heads, batch, options, generator)

    monkeypatch.setattr(learner, "image_step", limited)
    return limit


def test_lack_of_memory_is_met_by_fewer_views_at_once(tiny_model, views, little_memory):
    little_memory["views"] = 1
    taught, remarks = learn(tiny_model, views, steps=2)

    assert [views for views, _ in little_memory["asked"]] == [4, 2, *[1] * 8]
    assert remarks == [
        "Memory ran out: from here on 1 views and 8 objects of each are computed at once."
    ]
    assert taught.loss is not None


def test_fewer_views_at_once_give_nearly_the_same_step(tiny_model, views, little_memory):
    little_memory["views"] = 4
    whole, _ = learn(tiny_model, views, steps=1)
    little_memory["views"] = 2
    halves, _ = learn(tiny_model, views, steps=1)

    assert whole.budget.views == 4
    assert halves.budget.views == 2
    assert halves.loss == pytest.approx(whole.loss, rel=0.5)


def test_no_memory_at_all_is_an_error_that_says_what_to_do(tiny_model, views, little_memory):
    with pytest.raises(DeviceMemoryError, match="Begin with a smaller model"):
        learn(tiny_model, views, steps=1)

    assert little_memory["asked"][-1] == (1, 1)


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny_model, views, monkeypatch):
    def fail(*args):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(learner, "image_step", fail)
    with pytest.raises(RuntimeError, match="of ours"):
        learn(tiny_model, views, steps=1)


def test_run_that_goes_on_needs_no_more_memory_than_before(begin, stack, little_memory):
    little_memory["views"] = 1
    run = begin([stack], minutes=0)
    list(run.steps())

    assert begin([stack])._learner.budget.views == 1
