"""Compiled models: the same numbers, and compiled a few times at most."""

import pytest
import torch
from torch._dynamo.utils import counters

from napari_sam2.model.sam2 import SAM2, Memories, PromptTensors
from napari_sam2.predictors.compiling import compile_parts

pytestmark = pytest.mark.usefixtures("one_thread")

#: Torch's own compiler takes minutes; what it is given to compile, and when, is the same.
BACKEND = "eager"


@pytest.fixture
def compiled(tiny_config, tiny_model):
    torch.compiler.reset()
    counters.clear()
    model = SAM2(tiny_config).eval()
    model.load_state_dict(tiny_model.state_dict())
    compile_parts(model, backend=BACKEND)
    return model


@torch.inference_mode()
def follow(model, *, objects, memories, clicks):
    """Embed a frame, click on it, attend to memories, remember."""
    numbers = torch.Generator().manual_seed(0)
    grid, dim = model.config.grid_size, model.config.d_model
    features = model.encode_image(torch.randn(1, 3, 128, 128, generator=numbers))
    points = 128 * torch.rand(objects, clicks, 2, generator=numbers)
    prompts = PromptTensors(points, torch.ones(objects, clicks, dtype=torch.int64))
    clicked = model.segment(model.without_memory(features), features, prompts, multimask=True)
    kept = model.encode_memory(features, clicked.logits, clicked.object_score, binarize=False)
    attended = Memories(
        kept[:, None].expand(-1, memories, -1, grid, grid),
        tuple(range(memories)),
        clicked.pointer[:, None].expand(-1, memories, dim),
        torch.linspace(0, 1, memories).expand(objects, -1),
    )
    embedding = model.with_memory(features, attended)
    nothing = PromptTensors.none(objects, model.device)
    return model.segment(embedding, features, nothing, multimask=True).logits


def test_compiled_model_gives_the_same_masks(tiny_model, compiled):
    how = {"objects": 2, "memories": 3, "clicks": 2}

    torch.testing.assert_close(follow(compiled, **how), follow(tiny_model, **how))
    assert counters["stats"]["unique_graphs"]


def test_counts_of_objects_memories_and_clicks_are_not_compiled_each(compiled):
    counts = [(1, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1), (5, 7, 2), (1, 6, 8), (16, 3, 3)]
    for objects, memories, clicks in counts:
        follow(compiled, objects=objects, memories=memories, clicks=clicks)
    before = counters["stats"]["unique_graphs"]

    for objects, memories, clicks in ((3, 4, 4), (7, 5, 1), (1, 3, 6), (9, 2, 5)):
        follow(compiled, objects=objects, memories=memories, clicks=clicks)

    # One or several objects, one or several memories, of each part.
    assert counters["stats"]["unique_graphs"] == before < 14


def test_names_of_weights_stay(tiny_model, compiled):
    assert compiled.state_dict().keys() == tiny_model.state_dict().keys()
