"""Labels of a frame, as masks of its objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.predictors.frames import FrameSource
from napari_sam2.results.labels import StackLabels, mask_prompts


@given(hnp.arrays(np.int32, (7, 9), elements=st.sampled_from([0, 0, 1, 2, 500, 2**31 - 1])))
def test_labels_are_the_masks_of_their_objects(labels):
    found = mask_prompts(3, labels)

    assert sorted(found) == sorted(set(np.unique(labels).tolist()) - {0})
    for number, prompt in found.items():
        assert prompt.frame == 3
        assert np.array_equal(prompt.mask, labels == number)


@pytest.mark.parametrize("dtype", [bool, np.uint8, ">i2", np.uint64])
def test_labels_may_be_of_any_integers(dtype):
    (prompt,) = mask_prompts(0, np.eye(4, 6).astype(dtype)).values()

    assert np.array_equal(prompt.mask, np.eye(4, 6) > 0)


def test_masks_of_some_objects_are_empty_where_they_are_not():
    stack = np.zeros((2, 6, 8), np.uint8)
    stack[1, 2:4, 3:5], stack[1, 5, 5] = 3, 4
    labels = StackLabels(FrameSource(stack), stack.astype(np.int32))

    found = labels.masks(1, [3, 7])

    assert found.keys() == {3, 7}
    assert np.array_equal(found[3].mask, stack[1] == 3)
    assert found[7].box is None
