"""What several tests of the training use."""

import pytest
import torch

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
gpu = pytest.param("cuda", marks=needs_gpu)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)
