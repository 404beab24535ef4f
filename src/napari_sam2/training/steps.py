"""One training step of each kind: a batch in, a loss and what to log out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2.model.mask_decoder import best_index, pick
from napari_sam2.model.sam2 import LOGIT_LIMIT, SAM2, ImageFeatures, ObjectOutput, PromptTensors
from napari_sam2.predictors.memory import FrameMemory, ObjectMemory, collate
from napari_sam2.predictors.transforms import normalize
from napari_sam2.training.dense import DenseHeads, dense_loss, dense_targets
from napari_sam2.training.draws import below, chance
from napari_sam2.training.losses import LossWeights, decoder_loss
from napari_sam2.training.simulate import Clicks, boxes, corrections, first_clicks

if TYPE_CHECKING:
    from napari_sam2.model.mask_decoder import DecodedMasks
    from napari_sam2.training.datasets import Sample

LOSS_STRIDE = 4  #: masks are compared at the resolution the decoder gives them


class StepResult(NamedTuple):
    """A loss to go down from, and numbers to log."""

    loss: Tensor
    metrics: dict[str, float]


class Objects(NamedTuple):
    """N objects out of a batch."""

    image: Tensor  #: (N,), which image (or sequence) of the batch each is on
    masks: Tensor  #: (N, T, H, W), bool
    known: Tensor | None = None  #: (N, T, H, W), bool; None if every pixel is

    def known_at(self, frame: int) -> Tensor | None:  # (N, H, W)
        """Mark the pixels of a frame that are object or not, and not just unlabelled."""
        return None if self.known is None else self.known[:, frame]


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How much of a batch is looked at."""

    objects: int = 16  #: an image or sequence, at most
    min_area: int = 24  #: pixels of the smallest object that is prompted
    corrections: int = 2  #: correcting clicks, at most
    dense_weight: float = 0.0  #: of the dense loss beside the others


def pick_objects(
    labels: Tensor, options: StepOptions, generator: torch.Generator
) -> Objects | None:
    """Choose objects that are on the first frame, at random.

    Parameters
    ----------
    labels : Tensor, shape (B, T, H, W), integers
        0 is no object, a negative number is a pixel of which nothing is known.
    options : StepOptions
    generator : torch.Generator
        Of the host, like all generators here; see `napari_sam2.training.draws`.

    Returns
    -------
    Objects or None
        None if no image has an object that is large enough.
    """
    images, masks = [], []
    for number, sequence in enumerate(labels):
        ids, areas = sequence[0].unique(return_counts=True)
        ids = ids[(ids > 0) & (areas >= options.min_area)]
        shuffled = torch.randperm(len(ids), generator=generator)[: options.objects]
        for identity in ids[shuffled.to(ids.device)]:
            images.append(number)
            masks.append(sequence == identity)
    if not masks:
        return None
    index = torch.tensor(images, device=labels.device)
    known = (labels >= 0)[index] if bool((labels < 0).any()) else None
    return Objects(index, torch.stack(masks), known)


def dense_step(model: SAM2, heads: DenseHeads, batch: Sample) -> StepResult:
    """Train the trunk on dense targets."""
    pyramid = model.image_encoder(normalize(batch.images.flatten(0, 1)))
    loss = dense_loss(heads(pyramid), dense_targets(batch.labels.flatten(0, 1)))
    return StepResult(loss, {"dense": float(loss.detach())})


def image_step(
    model: SAM2,
    heads: DenseHeads | None,
    batch: Sample,
    options: StepOptions,
    generator: torch.Generator,
) -> StepResult | None:
    """Prompt objects on single images, then correct what is wrong.

    The heads are for the dense loss, if the options want it.

    Returns
    -------
    StepResult or None
        None if the batch has no object.
    """
    objects = pick_objects(batch.labels, options, generator)
    if objects is None:
        return None
    features, dense = _encode(model, heads, batch, options)
    features = features.at(objects.image)
    embedding = model.without_memory(features)
    truth, known = objects.masks[:, 0], objects.known_at(0)
    with_box = chance(0.35, generator)
    clicks = boxes(truth, generator) if with_box else first_clicks(truth, generator)
    rounds = 1 + below(options.corrections + 1, generator)
    loss, metrics, previous = dense, {}, None
    for number in range(rounds):
        decoded = model.decode(embedding, features, clicks.as_prompts(previous))
        one, ious = _loss(decoded, truth, known)
        loss = loss + one / rounds
        if number == 0:
            name = "box" if with_box else "click"
            metrics = {name: float(_chosen_iou(decoded, ious, single=with_box))}
        if number + 1 < rounds:
            clicks, previous = _correct(truth, decoded, clicks, generator, known)
    return StepResult(loss, metrics)


def sequence_step(
    model: SAM2,
    heads: DenseHeads | None,
    batch: Sample,
    options: StepOptions,
    generator: torch.Generator,
) -> StepResult | None:
    """Prompt objects on the first frame and follow them, with a correction now and then.

    Returns
    -------
    StepResult or None
        None if no sequence has an object on its first frame.
    """
    objects = pick_objects(batch.labels, options, generator)
    if objects is None:
        return None
    n_frames = batch.labels.shape[1]
    every, loss = _encode(model, heads, batch, options)
    memory = ObjectMemory()
    tracked = []
    corrected = 1 + below(2 * n_frames, generator)
    for frame in range(n_frames):
        features = every.at(objects.image * n_frames + frame)
        truth, known = objects.masks[:, frame], objects.known_at(frame)
        if frame == 0:
            output, one = _first_frame(model, features, truth, generator, known)
        else:
            attended = memory.attended(frame, n_frames=n_frames)
            memories = collate([attended], n_frames, model.config.d_model, model.device)
            embedding = model.with_memory(features, memories)
            decoded = model.decode(
                embedding, features, PromptTensors.none(len(truth), truth.device)
            )
            one, ious = _loss(decoded, truth, known)
            tracked.append(float(_chosen_iou(decoded, ious, single=False)))
            if frame == corrected:
                nothing = Clicks.none(len(truth), truth.device)
                clicks, previous = _correct(truth, decoded, nothing, generator, known)
                decoded = model.decode(embedding, features, clicks.as_prompts(previous))
                again, _ = _loss(decoded, truth, known)
                one = (one + again) / 2
            output = model.choose(decoded, multimask=True)
        loss = loss + one / n_frames
        prompted = frame in (0, corrected)
        features_kept = model.encode_memory(
            features, output.logits, output.object_score, binarize=prompted
        )
        where = memory.prompted if prompted else memory.tracked
        where[frame] = FrameMemory(features_kept, output.pointer)
    return StepResult(loss, {"track": sum(tracked) / len(tracked)})


def _encode(
    model: SAM2, heads: DenseHeads | None, batch: Sample, options: StepOptions
) -> tuple[ImageFeatures, Tensor]:
    """Encode every frame of a batch; with the dense loss on them if it is wanted."""
    pixels = normalize(batch.images.flatten(0, 1))
    if heads is None or not options.dense_weight:
        return model.encode_image(pixels), pixels.new_zeros(())
    pyramid = model.image_encoder(pixels)
    dense = dense_loss(heads(pyramid), dense_targets(batch.labels.flatten(0, 1)))
    return model.features(pyramid), options.dense_weight * dense


def _first_frame(
    model: SAM2,
    features: ImageFeatures,
    truth: Tensor,
    generator: torch.Generator,
    known: Tensor | None,
) -> tuple[ObjectOutput, Tensor]:
    """Prompt by mask, box or click, corrected half of the time."""
    kind = below(4, generator)
    if kind == 0:
        accepted = model.accept_mask(features, truth[:, None].float())
        return accepted, torch.zeros((), device=truth.device)
    with_box = kind == 1
    clicks = boxes(truth, generator) if with_box else first_clicks(truth, generator)
    embedding = model.without_memory(features)
    decoded = model.decode(embedding, features, clicks.as_prompts())
    loss, _ = _loss(decoded, truth, known)
    if chance(0.5, generator):
        clicks, previous = _correct(truth, decoded, clicks, generator, known)
        decoded = model.decode(embedding, features, clicks.as_prompts(previous))
        again, _ = _loss(decoded, truth, known)
        return model.choose(decoded, multimask=False), (loss + again) / 2
    return model.choose(decoded, multimask=not with_box), loss


def _loss(
    decoded: DecodedMasks, truth: Tensor, known: Tensor | None
) -> tuple[Tensor, Tensor]:  # (N, H, W), (N, H, W) -> (), (N, 4)
    seen = None if known is None else _target(known)
    return decoder_loss(decoded, _target(truth), LossWeights(), seen)


def _correct(
    truth: Tensor,
    decoded: DecodedMasks,
    clicks: Clicks,
    generator: torch.Generator,
    known: Tensor | None,
) -> tuple[Clicks, Tensor]:
    """Click into the error of the mask the user would see; hand that mask back as logits."""
    with torch.no_grad():
        shown = decoded.logits[:, :1]
        if clicks.points.shape[1] < 2:  # the best candidate is shown
            shown = pick(decoded.logits, best_index(decoded.ious[:, 1:]) + 1)
        shown = shown.float().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        found = F.interpolate(shown, truth.shape[-2:], mode="bilinear", align_corners=False) > 0
        found = found[:, 0]
        if known is not None:  # nobody corrects where nobody knows
            found = torch.where(known, found, truth)
        return clicks.then(*corrections(truth, found, generator)), shown


def _chosen_iou(decoded: DecodedMasks, ious: Tensor, *, single: bool) -> Tensor:
    """Mean IoU of the masks a user would be shown."""
    if single:
        return ious[:, 0].mean()
    return pick(ious, best_index(decoded.ious[:, 1:]) + 1).mean()


def _target(masks: Tensor) -> Tensor:  # (N, H, W) -> (N, H / 4, W / 4)
    return F.avg_pool2d(masks.float()[:, None], LOSS_STRIDE)[:, 0]
