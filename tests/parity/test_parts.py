"""Every part of the network gives what Meta's gives, on shared random weights."""

import pytest
import torch

comparisons = pytest.importorskip("comparisons")
reference = pytest.importorskip("parity_reference")
pytestmark = pytest.mark.parity


@pytest.mark.parametrize("part", comparisons.PARTS, ids=lambda part: part.__name__)
def test_part_gives_metas_numbers(part, tiny_config):
    with torch.inference_mode():
        differences = [reference.largest_difference(*both) for both in part(tiny_config)]

    assert max(differences) < 1e-5


def test_norms_have_metas_epsilon(tiny_config):
    ours, theirs = reference.pair(tiny_config)

    def epsilons(model):
        return {name: m.eps for name, m in model.named_modules() if hasattr(m, "eps")}

    assert epsilons(ours) == epsilons(theirs)
