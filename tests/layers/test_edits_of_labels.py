"""Which planes an edit of labels reaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Labels

from napari_sam2._label_layers import planes_of_edit

SHAPE = (3, 4, 6, 5)


@pytest.mark.parametrize("seen", [(2, 3), (1, 3), (0, 2)])
@given(data=st.data())
def test_planes_are_those_with_a_changed_pixel(seen, data):
    changed = np.zeros(SHAPE, dtype=bool)
    for _ in range(data.draw(st.integers(1, 5))):
        changed[tuple(data.draw(st.integers(0, n - 1)) for n in SHAPE)] = True
    others = tuple(axis for axis in range(4) if axis not in seen)

    planes = planes_of_edit([np.nonzero(changed)], SHAPE, seen)

    assert {tuple(p) for p in planes[:, others].tolist()} == {
        tuple(p) for p in np.argwhere(changed.any(axis=seen)).tolist()
    }
    assert not planes[:, seen].any()


@pytest.mark.parametrize(
    ("edit", "frames"),
    [
        (lambda layer: layer.paint((1, 3, 2), 7), {1}),
        (lambda layer: layer.fill((0, 0, 0), 7), {0, 1, 2, 3}),
        (lambda layer: layer.paint_polygon([[2, 0, 0], [2, 4, 0], [2, 4, 4]], 7), {2}),
    ],
    ids=["brush", "fill", "polygon"],
)
def test_what_naparis_tools_paint_is_found(edit, frames):
    layer = Labels(np.zeros(SHAPE[1:], dtype=np.int32))
    layer.brush_size, layer.n_edit_dimensions = 2, 3 if frames == {0, 1, 2, 3} else 2
    atoms = []
    layer.events.paint.connect(lambda event: atoms.extend(event.value))

    edit(layer)

    planes = planes_of_edit([atom[0] for atom in atoms], layer.data.shape, (1, 2))
    assert {frame for frame, _, _ in planes.tolist()} == frames
    assert frames == set(np.flatnonzero(layer.data.any(axis=(1, 2))).tolist())


def test_slices_reach_the_planes_that_they_cut():
    planes = planes_of_edit([(slice(1, 3), 2, slice(0, 2), slice(0, 2))], SHAPE, (2, 3))

    assert planes.tolist() == [[1, 2, 0, 0], [2, 2, 0, 0]]
