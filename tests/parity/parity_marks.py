"""What all comparisons with Meta's predictors have in common."""

import pytest

AGAINST_META = [
    pytest.mark.parity,
    pytest.mark.usefixtures("one_thread"),
    # What Meta's transforms do on new releases of torch.
    pytest.mark.filterwarnings("ignore:`torch.jit"),
]
