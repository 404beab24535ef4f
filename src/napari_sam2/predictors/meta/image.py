"""Meta's ``SAM2ImagePredictor``: (x, y), the whole image, and Meta's numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from napari_sam2.model.mask_decoder import candidates, single, upsample
from napari_sam2.model.sam2 import LOGIT_LIMIT, SAM2
from napari_sam2.predictors.meta.build import build_sam2_hf, split_arguments, warn_of_unused
from napari_sam2.predictors.meta.pictures import read_picture
from napari_sam2.predictors.meta.prompts import Frame, MetasPrompts, to_tensors
from napari_sam2.predictors.postprocess import clean
from napari_sam2.predictors.transforms import frame_to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from napari_sam2.model.sam2 import ImageFeatures, PromptTensors

    Results = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Images, as the network has seen them."""

    shapes: tuple[tuple[int, int], ...]  #: (H, W) of each
    features: ImageFeatures  #: of all
    embedding: Tensor  #: (B, C, H / 16, W / 16), with what stands for no memory


class SAM2ImagePredictor:
    """Segments objects on images.

    Meta's class of this name: embed an image once (`set_image`), ask it often (`predict`).
    For (row, column), prompts as objects, and windows around small objects see
    `napari_sam2.ImagePredictor`.

    Parameters
    ----------
    sam_model : SAM2
    mask_threshold : float
        Logits above it are object.
    max_hole_area, max_sprinkle_area : float
        Holes up to this area are filled, and specks up to it removed; in pixels of the
        low-resolution mask, a quarter of the model's input to a side. 0 leaves them.
    **kwargs
        Not used, as in Meta's; a warning names them.

    Examples
    --------
    >>> predictor = SAM2ImagePredictor.from_pretrained("facebook/sam2.1-hiera-tiny")
    >>> predictor.set_image(image)
    >>> masks, ious, logits = predictor.predict(np.array([[x, y]]), np.array([1]))
    """

    def __init__(
        self,
        sam_model: SAM2,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if not isinstance(sam_model, SAM2):
            raise ValueError(
                f"Expected a model of napari_sam2, got {type(sam_model).__module__}."
                f"{type(sam_model).__name__}. Make it with napari_sam2.build_sam2 or load_model."
            )
        warn_of_unused("SAM2ImagePredictor", kwargs)
        self.model = sam_model
        self.mask_threshold = mask_threshold
        self.max_hole_area = max_hole_area
        self.max_sprinkle_area = max_sprinkle_area
        self._embedded: Embedded | None = None
        self._is_batch = False

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> SAM2ImagePredictor:
        """Make a predictor with a published model.

        Parameters
        ----------
        model_id : str
            See `build_sam2_hf`.
        **kwargs
            For `build_sam2`, or for the constructor.
        """
        build, own = split_arguments(kwargs)
        return cls(build_sam2_hf(model_id, **build), **own)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def set_image(self, image: Any) -> None:
        """Choose the image to ask.

        Parameters
        ----------
        image : np.ndarray or PIL.Image.Image
            (H, W, 3), RGB: uint8, or float in [0, 1]. Grey is repeated, a fourth channel dropped.

        Raises
        ------
        ValueError
            If it is no such image; the message says what to do with it.
        """
        self.reset_predictor()
        self.embed([read_picture(image)])

    def set_image_batch(self, image_list: Sequence[Any]) -> None:
        """Choose several images to ask with `predict_batch`.

        Parameters
        ----------
        image_list : list of np.ndarray or PIL.Image.Image
            See `set_image`; they may differ in size.
        """
        self.reset_predictor()
        if not isinstance(image_list, list | tuple) or not image_list:
            raise ValueError(
                f"Expected a list of images, got {type(image_list).__name__}"
                f"{'' if isinstance(image_list, list | tuple) else ': use set_image for one'}."
            )
        self.embed([read_picture(image) for image in image_list])
        self._is_batch = True

    def reset_predictor(self) -> None:
        """Forget the image."""
        self._embedded = None
        self._is_batch = False

    def get_image_embedding(self) -> Tensor:
        """Give the embedding of the image, shape (1, C, H / 16, W / 16) of the model's input."""
        return self._ready.embedding

    def predict(
        self,
        point_coords: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        box: np.ndarray | None = None,
        mask_input: np.ndarray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> Results:
        """Segment an object, or B at once, on the image.

        After `set_image_batch` it is the last of the images, as in Meta's.

        Parameters
        ----------
        point_coords : np.ndarray, shape (P, 2) or (B, P, 2), optional
            (x, y) in pixels.
        point_labels : np.ndarray, shape (P,) or (B, P), optional
            1 on the object, 0 off it.
        box : np.ndarray, shape (4,) or (B, 4), optional
            x0, y0, x1, y1 in pixels.
        mask_input : np.ndarray, shape (1, h, w) or (B, 1, h, w), optional
            Logits from an earlier call.
        multimask_output : bool
            Give three candidates, rather than a single mask.
        return_logits : bool
            Give logits instead of masks.
        normalize_coords : bool
            Positions are in pixels; if not, in parts of the image's width and height, [0, 1].

        Returns
        -------
        masks : np.ndarray, shape (M, H, W), float32
            0 or 1, or logits; (B, M, H, W) where B > 1.
        ious : np.ndarray, shape (M,) or (B, M), float32
            Predicted quality, in [0, 1].
        low_res_masks : np.ndarray, shape (M, h, w) or (B, M, h, w), float32
            Logits at a quarter of the model's input to a side, from -32 to 32.

        Raises
        ------
        ValueError
            If there is no image, or prompts do not fit.
        """
        prompts = MetasPrompts(point_coords, point_labels, box, mask_input)
        found = self._predict(-1, prompts, multimask_output, normalize_coords)
        return self._results(-1, *found, return_logits=return_logits)

    def predict_batch(
        self,
        point_coords_batch: Sequence[np.ndarray | None] | None = None,
        point_labels_batch: Sequence[np.ndarray | None] | None = None,
        box_batch: Sequence[np.ndarray | None] | None = None,
        mask_input_batch: Sequence[np.ndarray | None] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Segment objects on every image of a batch.

        Parameters
        ----------
        point_coords_batch, point_labels_batch, box_batch, mask_input_batch : list, optional
            What `predict` takes, one for each image.
        multimask_output, return_logits, normalize_coords : bool
            See `predict`.

        Returns
        -------
        masks, ious, low_res_masks : list of np.ndarray
            What `predict` returns, one for each image.
        """
        if not self._is_batch:
            raise ValueError("There is no batch of images yet: call set_image_batch first.")
        count = len(self._ready.shapes)
        given = MetasPrompts(point_coords_batch, point_labels_batch, box_batch, mask_input_batch)
        for name, of_images in given._asdict().items():
            if of_images is not None and len(of_images) != count:
                raise ValueError(
                    f"Expected {name}_batch with one entry for each of {count} images, got "
                    f"{len(of_images)}. An entry may be None."
                )
        results = []
        for index in range(count):
            prompts = MetasPrompts(*(None if each is None else each[index] for each in given))
            found = self._predict(index, prompts, multimask_output, normalize_coords)
            results.append(self._results(index, *found, return_logits=return_logits))
        masks, ious, low = zip(*results, strict=True)
        return list(masks), list(ious), list(low)

    @torch.no_grad()
    def embed(self, pictures: Sequence[np.ndarray]) -> None:
        """Set images that were read already, each (H, W, 3), float32 in [0, 1]."""
        size = self.model.config.image_size
        # Resized on the CPU, as Meta's are, so that GPUs start from the same pixels.
        host = torch.device("cpu")
        pixels = torch.cat([frame_to_pixels(picture, size, host) for picture in pictures])
        features = self.model.encode_image(pixels.to(self.device))
        shapes = tuple((picture.shape[0], picture.shape[1]) for picture in pictures)
        self._embedded = Embedded(shapes, features, self.model.without_memory(features))

    @torch.no_grad()
    def decode(
        self, prompts: PromptTensors, *, multimask: bool, index: int = -1
    ) -> tuple[Tensor, Tensor]:
        """Ask the network about one of the images.

        Returns
        -------
        logits : Tensor, shape (B, M, h, w), float32
        ious : Tensor, shape (B, M), float32
        """
        ready = self._ready
        one = slice(index, index + 1 or None)
        decoded = self.model.decode(ready.embedding[one], ready.features.at(one), prompts)
        if multimask:
            chosen = candidates(decoded)
        else:
            config = self.model.config
            if self.model.training:  # while it is, Meta's keeps every single mask
                config = replace(config, least_stability=0.0)
            chosen = single(decoded, config)
        return chosen.logits.float(), chosen.ious.float()

    @torch.no_grad()
    def enlarge(self, logits: Tensor, *, index: int = -1) -> Tensor:
        """Clean masks and bring them to one of the images: (B, M, h, w) to (B, M, H, W)."""
        cleaned = clean(
            logits,
            self.mask_threshold,
            max_hole_area=self.max_hole_area,
            max_sprinkle_area=self.max_sprinkle_area,
        )
        return upsample(cleaned, self._ready.shapes[index])

    @property
    def _ready(self) -> Embedded:
        if self._embedded is None:
            raise ValueError("There is no image yet: call set_image (or set_image_batch) first.")
        return self._embedded

    def _predict(
        self, index: int, prompts: MetasPrompts, multimask: bool, normalize: bool
    ) -> tuple[Tensor, Tensor]:
        shape = self._ready.shapes[index] if normalize else None
        frame = Frame(shape, self.model.config.image_size, self.device)
        return self.decode(to_tensors(prompts, frame), multimask=multimask, index=index)

    def _results(self, index: int, logits: Tensor, ious: Tensor, *, return_logits: bool) -> Results:
        masks = self.enlarge(logits, index=index)
        if not return_logits:
            masks = (masks > self.mask_threshold).float()
        low = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        return _to_array(masks), _to_array(ious), _to_array(low)


def _to_array(results: Tensor) -> np.ndarray:
    """Give results of one object without their first axis."""
    array: np.ndarray = results.squeeze(0).cpu().numpy()
    return array
