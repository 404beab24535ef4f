"""What is asked of an image predictor, Meta's or ours: each call gives the results of predicts.

A result is what ``predict`` gives: masks as logits, predicted IoUs, low-resolution logits.
"""

from __future__ import annotations

from functools import partial

import numpy as np

POINT, POINTS = np.array([[31.0, 20.5]]), np.array([[31.0, 20.5], [70.25, 44.0], [3.0, 9.0]])
BOX = np.array([12.0, 7.5, 66.0, 51.0])

PROMPTS = {
    "point": {"point_coords": POINT, "point_labels": np.array([1])},
    "points": {"point_coords": POINTS, "point_labels": np.array([1, 0, 1])},
    "box": {"box": BOX},
    "box and points": {"box": BOX, "point_coords": POINTS, "point_labels": np.array([1, 0, 0])},
    "padding": {"point_coords": POINTS, "point_labels": np.array([1, 0, -1])},
    "nothing": {},
    "boxes": {"box": np.array([BOX, BOX / 2, BOX[[0, 0, 3, 3]]])},
    "points of objects": {
        "point_coords": np.stack([POINTS, POINTS[::-1]]),
        "point_labels": np.array([[1, 0, 1], [1, 1, 0]]),
    },
    "lists": {"point_coords": POINTS.tolist(), "point_labels": [True, False, True]},
}


def picture(height=61, width=83, seed=0):
    """Smooth colours with an edge, uint8."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(rows / 7 + k) * np.cos(columns / (5 + k)) for k in range(3)], axis=-1)
    noise = np.random.RandomState(seed).normal(0, 0.1, waves.shape)
    edge = (columns > 0.4 * width)[..., None] * 0.4
    return ((waves + noise + edge) * 80 + 100).clip(0, 255).astype(np.uint8)


def prompted(predictor, prompts, **options):
    predictor.set_image(picture())
    yield predictor.predict(**prompts, **options, return_logits=True)


def on_top_of_an_earlier_mask(predictor, prompts):
    predictor.set_image(picture())
    earlier = predictor.predict(**PROMPTS["box"])[2]
    yield predictor.predict(**prompts, mask_input=earlier[1][None], return_logits=True)


def on_top_of_earlier_masks_of_objects(predictor):
    predictor.set_image(picture())
    earlier = predictor.predict(**PROMPTS["boxes"], multimask_output=False)[2]
    assert earlier.shape == (3, 1, 32, 32)
    yield predictor.predict(**PROMPTS["boxes"], mask_input=earlier, return_logits=True)


def positions_in_parts_of_the_image(predictor):
    prompts = {"point_coords": POINTS / 100, "point_labels": np.array([1, 0, 1]), "box": BOX / 100}
    yield from prompted(predictor, prompts, normalize_coords=False)


def image_of_size(predictor, shape):
    predictor.set_image(picture(*shape))
    yield predictor.predict(np.array([[shape[1] / 3, shape[0] / 2]]), [1], return_logits=True)


def batch_of_images(predictor):
    images = [picture(), picture(90, 40, seed=1), picture(128, 128, seed=2)]
    predictor.set_image_batch(images)
    found = predictor.predict_batch(
        point_coords_batch=[POINT, None, np.stack([POINT, POINT / 2])],
        point_labels_batch=[np.array([1]), None, np.array([[1], [1]])],
        box_batch=[None, BOX, np.stack([BOX, BOX / 2])],
        return_logits=True,
    )
    assert [len(part) for part in found] == [3, 3, 3]
    yield from zip(*found, strict=True)
    yield predictor.predict(**PROMPTS["box"], return_logits=True)  # of the last


CALLS = {
    **{
        f"{name}, {'three masks' if three else 'one mask'}": partial(
            prompted, prompts=prompts, multimask_output=three
        )
        for name, prompts in PROMPTS.items()
        for three in (True, False)
    },
    "earlier mask": partial(on_top_of_an_earlier_mask, prompts={}),
    "earlier mask and point": partial(on_top_of_an_earlier_mask, prompts=PROMPTS["point"]),
    "earlier masks of objects": on_top_of_earlier_masks_of_objects,
    "positions in parts of the image": positions_in_parts_of_the_image,
    **{
        f"image of {height} x {width}": partial(image_of_size, shape=(height, width))
        for height, width in ((1, 1), (7, 400), (128, 128), (129, 127), (311, 53))
    },
    "batch of images": batch_of_images,
}
