import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam2 import SAM2ImagePredictor

POINT = {"point_coords": [[12, 9]], "point_labels": [1]}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture
def predictor(tiny_model, image):
    predictor = SAM2ImagePredictor(tiny_model)
    predictor.set_image(image)
    return predictor


def test_results_have_the_shapes_of_one_object(predictor):
    masks, ious, logits = predictor.predict(**POINT)

    assert (masks.shape, ious.shape, logits.shape) == ((3, 40, 50), (3,), (3, 32, 32))
    assert masks.dtype == ious.dtype == logits.dtype == np.float32
    assert set(np.unique(masks)) <= {0, 1}


def test_objects_asked_at_once_are_each_as_alone(predictor):
    boxes = np.array([[3, 4, 20, 30], [10, 2, 45, 22]])
    together = predictor.predict(box=boxes, multimask_output=False, return_logits=True)
    alone = predictor.predict(box=boxes[1], multimask_output=False, return_logits=True)

    assert together[0].shape == (2, 1, 40, 50)
    np.testing.assert_allclose(together[0][1], alone[0], atol=1e-4)


def test_positions_are_x_and_y(predictor):
    inside = predictor.predict([[45, 5]], [1], return_logits=True)[0]
    swapped = predictor.predict([[5, 45]], [1], return_logits=True)[0]
    as_parts = predictor.predict(
        [[45 / 50, 5 / 40]], [1], normalize_coords=False, return_logits=True
    )[0]

    np.testing.assert_allclose(inside, as_parts, atol=1e-5)
    assert np.abs(inside - swapped).max() > 1e-4


def test_embedding_is_of_the_image(predictor):
    assert predictor.get_image_embedding().shape == (1, 32, 8, 8)
    assert predictor.device == torch.device("cpu")


def test_holes_and_specks_up_to_the_area_are_gone(predictor):
    logits = torch.full((1, 1, 32, 32), 3.0)
    logits[0, 0, 4:6, 4:6] = -2
    logits[..., 20:] = -4
    logits[0, 0, 10, 25] = 5

    predictor.max_hole_area = predictor.max_sprinkle_area = 3
    left = predictor.enlarge(logits)[0, 0] > 0
    predictor.max_hole_area = 4
    filled = predictor.enlarge(logits)[0, 0] > 0

    assert not left[6, 7]  # 4 pixels are more than 3
    assert filled[6, 7]
    assert not left[:, 36:].any()


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: p.predict(**POINT),
        lambda p: p.get_image_embedding(),
        lambda p: p.predict_batch([[[1, 1]]], [[1]]),
    ],
    ids=["predict", "embedding", "batch"],
)
def test_asking_before_there_is_an_image_says_what_to_call(tiny_model, image, ask):
    predictor = SAM2ImagePredictor(tiny_model)
    with pytest.raises(ValueError, match=r"no (batch of images|image) yet: call set_image"):
        ask(predictor)

    predictor.set_image_batch([image])
    predictor.reset_predictor()
    with pytest.raises(ValueError, match="call set_image"):
        ask(predictor)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"point_coords": [[1, 2]]}, "point_labels with point_coords, got none"),
        ({"point_coords": [1, 2], "point_labels": [1]}, r"got \(2,\). A single point is \[\[x, y"),
        ({"point_coords": [[1, 2, 3]], "point_labels": [1]}, r"shape \(P, 2\).*got \(1, 3\)"),
        ({"point_coords": [], "point_labels": []}, "leave out what is empty"),
        ({"point_coords": [[1, 2]], "point_labels": [1, 0]}, r"labels of shape \(1,\).*\(2,\)"),
        ({"point_coords": [[1, 2]], "point_labels": [7]}, r"1 \(on the object\).*got \[7"),
        ({"point_coords": [[np.nan, 2]], "point_labels": [1]}, "finite numbers in point_coords"),
        ({"point_coords": "here", "point_labels": [1]}, "point_coords as an array of numbers"),
        ({"box": [1, 2, 3]}, r"\[x0, y0, x1, y1\].*got shape \(3,\)"),
        ({"box": np.zeros((0, 4))}, "Leave box out"),
        ({"box": [[1, 2, 3, 4]] * 2} | POINT, "as many objects in points as in box, got 1 and 2"),
        ({"mask_input": np.zeros((1, 64, 64))}, r"shape \(1, 32, 32\).*got \(1, 64, 64\)"),
        ({"mask_input": np.zeros((3, 32, 32))}, r"got \(3, 32, 32\).*logits\[best\]\[None\]"),
        ({"mask_input": np.zeros((2, 1, 32, 32))} | POINT, "in points as in mask_input"),
    ],
)
def test_prompts_that_do_not_fit_say_what_was_expected(predictor, prompts, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompts)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 9, 3), np.uint16), r"uint8.*got uint16.*Scale the image"),
        (np.zeros((8, 9), bool), "got bool"),
        (np.zeros((8, 9, 3), np.complex64), "got complex64"),
        (np.zeros((3, 8, 9), np.uint8), r"got \(3, 8, 9\).*moveaxis"),
        (np.zeros((8, 9, 2), np.uint8), r"got \(8, 9, 2\).*one or three"),
        (np.zeros((4, 8, 9, 3), np.uint8), "one image at a time"),
        (np.zeros((0, 9, 3), np.uint8), r"got \(0, 9, 3\)"),
        (np.full((8, 9, 3), np.nan), "NaN or infinity"),
        (torch.zeros(3, 8, 9), r"a Pillow image, got Tensor.*numpy\.asarray"),
        (Image.fromarray(np.zeros((8, 9), np.uint16)), "8 bits a channel, got mode 'I;16'"),
    ],
)
def test_image_that_cannot_be_read_says_what_to_do(tiny_model, image, message):
    with pytest.raises(ValueError, match=message):
        SAM2ImagePredictor(tiny_model).set_image(image)


def test_float_image_out_of_range_is_warned_of(tiny_model):
    with pytest.warns(UserWarning, match=r"in \[0, 1\], got 0 to 255.*Divide by 255"):
        SAM2ImagePredictor(tiny_model).set_image(np.array([[0.0, 255.0]]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 9, 3), np.uint8), "list of images, got ndarray: use set_image"),
        ([], "list of images, got list"),
    ],
)
def test_batch_that_is_no_list_of_images_is_named(tiny_model, images, message):
    with pytest.raises(ValueError, match=message):
        SAM2ImagePredictor(tiny_model).set_image_batch(images)


def test_batch_of_prompts_is_as_long_as_that_of_images(tiny_model, image):
    predictor = SAM2ImagePredictor(tiny_model)
    predictor.set_image_batch([image, image[:20]])

    with pytest.raises(ValueError, match="box_batch with one entry for each of 2 images, got 1"):
        predictor.predict_batch(box_batch=[[1, 2, 3, 4]])


def test_model_of_another_library_is_named():
    with pytest.raises(ValueError, match=r"model of napari_sam2, got torch.*Linear"):
        SAM2ImagePredictor(torch.nn.Linear(1, 1))
