"""What most tests of a session begin with."""

import numpy as np

SHAPE = (96, 400)


def prompted(session):
    """Two objects: one from the first frame, one from the sixth."""
    first, second = session.add_object("first"), session.add_object("second")
    session.add_points(first, 0, [[30, 40]])
    session.add_box(second, 5, [50, 65, 70, 85])
    return first, second


def run(session, *args, **kwargs):
    return [masks.frame for masks in session.propagate(*args, **kwargs)]


def disc(row, column, radius=12, shape=SHAPE):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def render(masks):
    """Bright objects on a dark, noisy background, uint8."""
    noise = np.random.default_rng(0).integers(0, 25, np.shape(masks))
    return (np.where(masks, 170, 0) + noise).astype(np.uint8)


def ious(found, truth):
    """Compare frame by frame; 1 where both are empty."""
    pairs = zip(found, truth, strict=True)
    return np.array(
        [(a & b).sum() / max((a | b).sum(), 1) if (a | b).any() else 1 for a, b in pairs]
    )
