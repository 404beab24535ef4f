"""Meta's ``SAM2AutomaticMaskGenerator``: everything in an image, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from napari_sam2.model.prompt_encoder import POSITIVE
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.predictors.everything import GridOptions, distinct, look_everywhere
from napari_sam2.predictors.meta.build import build_sam2_hf, split_arguments, warn_of_unused
from napari_sam2.predictors.meta.image import SAM2ImagePredictor
from napari_sam2.predictors.meta.pictures import read_picture
from napari_sam2.predictors.meta.prompts import Frame, to_input
from napari_sam2.predictors.regions import point_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.everything import Region
    from napari_sam2.predictors.regions import RunLengths
    from napari_sam2.predictors.windows import Window

OutputMode = Literal["binary_mask", "uncompressed_rle", "coco_rle"]


class SAM2AutomaticMaskGenerator:
    """Segments everything on an image, from a grid of points.

    Meta's class of this name, with its arguments and defaults.

    Parameters
    ----------
    model : SAM2
    points_per_side : int, optional
        Of the grid; None if `point_grids` is given.
    points_per_batch : int
        Points asked at once.
    pred_iou_thresh : float
        Masks of a higher predicted quality are kept, in [0, 1]; 0 keeps all.
    stability_score_thresh : float
        Masks at least as stable are kept, in [0, 1]; 0 keeps all.
    stability_score_offset : float
        Logits by which the cut-off is moved, either way, to see how stable a mask is.
    mask_threshold : float
        Logits above it are object.
    box_nms_thresh, crop_nms_thresh : float
        Intersection over union of two bounding boxes above which the masks are the same one,
        within a crop and across crops.
    crop_n_layers : int
        The image is looked at whole, then in 4 crops, then in 16, and so on.
    crop_overlap_ratio : float
        Of the crops, as a part of the image's shorter side.
    crop_n_points_downscale_factor : int
        Each layer's grid has this many times fewer points to a side.
    point_grids : list of np.ndarray, shape (N, 2), optional
        Grids of one's own, one a layer, the first for the whole image: (x, y) in [0, 1].
    min_mask_region_area : float
        Smaller holes and specks are removed, in pixels of the low-resolution mask.
    output_mode : {"binary_mask", "uncompressed_rle", "coco_rle"}
        How masks are given. The last needs pycocotools.
    use_m2m : bool
        Ask again with each mask that was found.
    multimask_output : bool
        Ask for three candidates at each point.
    **kwargs
        Not used, as in Meta's; a warning names them.

    Raises
    ------
    ValueError
        If options exclude each other or are not there.
    ImportError
        If `output_mode` needs pycocotools and it is not installed.
    """

    def __init__(
        self,
        model: SAM2,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[np.ndarray] | None = None,
        min_mask_region_area: float = 0,
        output_mode: OutputMode = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
        **kwargs: Any,
    ) -> None:
        warn_of_unused("SAM2AutomaticMaskGenerator", kwargs)
        if output_mode not in get_args(OutputMode):
            raise ValueError(
                f"There is no output_mode {output_mode!r}: choose from {get_args(OutputMode)}."
            )
        if output_mode == "coco_rle":
            _coco()
        # Meta's cleans masks at a threshold of 0, whatever `mask_threshold` is.
        self.predictor = SAM2ImagePredictor(
            model, max_hole_area=min_mask_region_area, max_sprinkle_area=min_mask_region_area
        )
        self.point_grids = _grids(
            points_per_side, point_grids, crop_n_layers, crop_n_points_downscale_factor
        )
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.mask_threshold = mask_threshold
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self.use_m2m = use_m2m
        self.multimask_output = multimask_output

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> SAM2AutomaticMaskGenerator:
        """Make a generator with a published model; see `SAM2ImagePredictor.from_pretrained`."""
        build, own = split_arguments(kwargs)
        return cls(build_sam2_hf(model_id, **build), **own)

    def generate(self, image: Any) -> list[dict[str, Any]]:
        """Segment everything on an image.

        Parameters
        ----------
        image : np.ndarray or PIL.Image.Image
            See `SAM2ImagePredictor.set_image`.

        Returns
        -------
        list of dict
            For each mask: ``segmentation`` (bool array (H, W), or its run lengths), ``area`` in
            pixels, ``bbox`` (x, y, width, height), ``predicted_iou``, ``point_coords`` ([[x, y]],
            where it was asked for), ``stability_score``, and ``crop_box`` (x, y, width, height).
        """
        picture = read_picture(image)
        options = self._options()
        asker = _Asker(self.predictor, picture)
        grids = [grid[:, ::-1] for grid in self.point_grids]
        shape = (picture.shape[0], picture.shape[1])
        found = [
            region for some in look_everywhere(asker, shape, grids, options) for region in some
        ]
        self.predictor.reset_predictor()
        return [self._record(region) for region in distinct(found, options)]

    def _options(self) -> GridOptions:
        return GridOptions(
            points_at_once=self.points_per_batch,
            multimask=self.multimask_output,
            refine=self.use_m2m,
            min_iou=self.pred_iou_thresh,
            min_stability=self.stability_score_thresh,
            stability_offset=self.stability_score_offset,
            threshold=self.mask_threshold,
            max_overlap=self.box_nms_thresh,
            max_overlap_across=self.crop_nms_thresh,
            crop_layers=self.crop_n_layers,
            crop_overlap=self.crop_overlap_ratio,
        )

    def _record(self, region: Region) -> dict[str, Any]:
        row0, column0, row1, column1 = region.box
        row, column = region.point
        window = region.crop.window
        crop = (window.column, window.row, window.width, window.height)
        return {
            "segmentation": _segmentation(region.runs, self.output_mode),
            "area": region.runs.area,
            "bbox": [float(n) for n in (column0, row0, column1 - column0, row1 - row0)],
            "predicted_iou": region.iou,
            "point_coords": [[column, row]],
            "stability_score": region.stability,
            "crop_box": [float(n) for n in crop],
        }


class _Asker:
    """Asks Meta's predictor about parts of a picture, in (row, column)."""

    def __init__(self, predictor: SAM2ImagePredictor, picture: np.ndarray) -> None:
        self.predictor = predictor
        self.picture = picture
        self.shape = (picture.shape[0], picture.shape[1])

    def look(self, window: Window) -> None:
        self.predictor.embed([self.picture[window.region]])
        self.shape = window.shape

    def ask(
        self, points: Tensor, earlier: Tensor | None, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        predictor = self.predictor
        frame = Frame(self.shape, predictor.model.config.image_size, predictor.device)
        places = to_input(points.flip(-1).to(predictor.device), frame)[:, None]
        labels = torch.full(places.shape[:2], POSITIVE, device=predictor.device)
        return predictor.decode(PromptTensors(places, labels, earlier), multimask=multimask)

    def enlarge(self, logits: Tensor) -> Tensor:
        return self.predictor.enlarge(logits[:, None])[:, 0]


def _grids(
    per_side: int | None, given: Sequence[np.ndarray] | None, layers: int, fewer: int
) -> list[np.ndarray]:  # each (N, 2), (x, y)
    if per_side is not None and given is None:
        sides = [int(per_side / fewer**layer) for layer in range(layers + 1)]
        if 0 in sides:
            raise ValueError(
                f"Expected points in every layer of crops, got {sides} to a side: choose more "
                "points_per_side, or a smaller crop_n_points_downscale_factor."
            )
        return [point_grid(side)[:, ::-1] for side in sides]
    if per_side is not None or given is None:
        raise ValueError(
            "Expected either points_per_side or point_grids: give one, and None for the other."
        )
    grids = [np.asarray(grid, dtype=float) for grid in given]
    usable = all(grid.ndim == 2 and grid.shape[1] == 2 and len(grid) for grid in grids)
    if len(grids) <= layers or not usable:
        raise ValueError(
            f"Expected point_grids of {layers + 1} arrays of shape (N, 2), one for the image and "
            f"one for each layer of crops, got shapes {[grid.shape for grid in grids]}."
        )
    return grids


def _segmentation(runs: RunLengths, mode: OutputMode) -> np.ndarray | dict[str, Any]:
    if mode == "binary_mask":
        return runs.mask()
    encoded: dict[str, Any] = {"size": list(runs.shape), "counts": list(runs.counts)}
    if mode == "coco_rle":
        encoded = _coco().frPyObjects(encoded, *runs.shape)
        encoded["counts"] = encoded["counts"].decode()  # JSON takes no bytes
    return encoded


def _coco() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            "output_mode='coco_rle' needs pycocotools: pip install 'napari-sam2[coco]'. "
            "'uncompressed_rle' needs nothing."
        ) from error
    return mask
