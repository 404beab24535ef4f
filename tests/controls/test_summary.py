"""What is read of a session for the plot, the table and the keys."""

from __future__ import annotations

import numpy as np

from napari_sam2 import FrameMasks, MaskPrompt, ObjectMask, Session
from napari_sam2._controls.summary import N_WORST, summarise

CROWD = 10_000


def test_ten_thousand_objects_are_summed_up(tiny_model):
    labels = np.kron(np.arange(1, CROWD + 1).reshape(100, 100), np.ones((3, 3), int))
    session = Session(np.zeros((2, 300, 300), np.uint8), tiny_model)
    ids = session.add_labels(0, labels)
    masks = [ObjectMask.given(i, MaskPrompt(0, np.ones((1, 1), bool))) for i in ids]
    with session._work.step("find them"):
        session.quality.record(FrameMasks(0, (300, 300), tuple(masks)), set(ids))

    summary = summarise(session)

    assert len(summary.rows) == len(summary.prompted) == len(summary.scores(1)) == CROWD
    assert summary.prompted[CROWD] == (0,)
    assert len(summary.worst) == N_WORST
