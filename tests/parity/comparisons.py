"""The same computation by us and by Meta, part by part: pairs of results to compare."""

from __future__ import annotations

import numpy as np
import parity_reference as reference
import torch
from sam2.modeling import position_encoding, sam2_utils
from sam2.modeling.backbones import utils as windows
from sam2.modeling.sam.prompt_encoder import PromptEncoder as MetasPromptEncoder
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam.transformer import TwoWayTransformer as MetasTwoWay

from napari_sam2.model import layers, positions
from napari_sam2.model.hiera import Hiera
from napari_sam2.model.mask_decoder import MaskDecoder, candidates, single
from napari_sam2.model.memory_attention import MemoryAttention
from napari_sam2.model.memory_encoder import MemoryEncoder
from napari_sam2.model.neck import FpnNeck
from napari_sam2.model.prompt_encoder import PromptEncoder
from napari_sam2.model.sam2 import PromptTensors
from napari_sam2.model.transformer import RotaryAttention, TwoWayTransformer
from napari_sam2.predictors.frames import FrameSource, View
from napari_sam2.predictors.segmenter import TrackerOptions
from napari_sam2.predictors.tracker import Tracker
from napari_sam2.predictors.transforms import frame_to_pixels
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

share = reference.share_weights


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer_norm_2d(config):
    ours, theirs = share(layers.LayerNorm2d(6), sam2_utils.LayerNorm2d(6))
    # So faint that the epsilon matters.
    x = 1e-3 * noise(2, 6, 5, 7)
    yield ours(x), theirs(x)


def mlp(config):
    ours, theirs = share(layers.MLP(6, 10, 10, 3), sam2_utils.MLP(6, 10, 3, 3))
    x = noise(4, 6)
    yield ours(x), theirs(x)


def window_partition(config):
    x = noise(2, 9, 14, 3)
    ours, (theirs, padded) = layers.to_windows(x, 4), windows.window_partition(x, 4)
    yield ours, theirs
    yield layers.from_windows(ours, 9, 14), windows.window_unpartition(theirs, 4, padded, (9, 14))


def sine_positions(config):
    theirs = position_encoding.PositionEmbeddingSine(config.d_model)
    yield positions.sine_grid(config.d_model, 6, 9), theirs(noise(1, 1, 6, 9))
    times = torch.tensor([-0.4, 0.0, 0.2, 1.0])
    yield positions.sine_line(times, 12), sam2_utils.get_1d_sine_pe(times, 12)


def fourier_positions(config):
    ours = positions.RandomFourierPositions(12)
    theirs = position_encoding.PositionEmbeddingRandom(6)
    ours.load_state_dict(theirs.state_dict())
    points = noise(2, 3, 2)
    yield ours(points), theirs.forward_with_coords(points, (1, 1))
    yield ours.grid(4, 7)[0], theirs((4, 7))


def hiera_trunk(config):
    ours, theirs = share(Hiera(config.hiera), reference.trunk(config.hiera))
    pixels = noise(1, 3, config.image_size, config.image_size)
    yield from zip(ours(pixels), theirs(pixels), strict=True)


def feature_pyramid(config):
    ours = FpnNeck(config.hiera.stage_dims, config.d_model)
    ours, theirs = share(ours, reference.neck(config))
    grid = config.image_size // 4
    maps = [
        noise(1, dim, grid // 2**i, grid // 2**i) for i, dim in enumerate(config.hiera.stage_dims)
    ]
    yield from zip(ours(maps), theirs(maps)[0][:3], strict=True)


def prompt_encoder(config):
    dim, size, grid = config.d_model, config.image_size, config.grid_size
    ours, theirs = share(
        PromptEncoder(dim, size), MetasPromptEncoder(dim, (grid, grid), (size, size), 16)
    )
    points = torch.rand(2, 6, 2, generator=torch.Generator().manual_seed(0)) * size
    labels = torch.tensor([[2, 3, 1, 0, -1, 1], [1, 1, 0, 0, 1, -1]])
    mask = noise(2, 1, 4 * grid, 4 * grid)
    for prompts in ((points, labels, None), (points, labels, mask), (None, None, mask)):
        clicks = None if prompts[0] is None else prompts[:2]
        yield from zip(
            ours(*prompts), theirs(points=clicks, boxes=None, masks=prompts[2]), strict=True
        )
    yield ours.dense_positions(), theirs.get_dense_pe()


def two_way_transformer(config):
    dim, hidden = config.d_model, config.decoder_mlp_dim
    ours, theirs = share(TwoWayTransformer(dim, 8, hidden), MetasTwoWay(2, dim, 8, hidden))
    image, where, tokens = noise(2, dim, 4, 5), noise(1, dim, 4, 5, seed=2), noise(2, 7, dim)
    found, seen = ours(image, where, tokens)
    metas_found, metas_seen = theirs(image, where.expand(2, -1, -1, -1), tokens)
    yield found, metas_found
    yield seen.flatten(2).transpose(1, 2), metas_seen


def rotary_attention(config):
    ours = RotaryAttention(32, heads=1, memory_dim=16)
    theirs = RoPEAttention(32, 1, kv_in_dim=16, rope_k_repeat=True, feat_sizes=(4, 4))
    ours, theirs = share(ours, theirs)
    query, key, value = noise(2, 16, 32), noise(2, 35, 16), noise(2, 35, 16, seed=2)
    rotary = positions.AxialRotary(32, 4, 4)
    yield (
        ours(query, key, value, rotary, off_grid=3),
        theirs(query, key, value, num_k_exclude_rope=3),
    )


def mask_decoder(config):
    dim, grid = config.d_model, config.grid_size
    ours, theirs = share(MaskDecoder(config), reference.mask_decoder(config))
    image, where = noise(1, dim, grid, grid), noise(1, dim, grid, grid, seed=2)
    fine = (noise(1, dim // 8, 4 * grid, 4 * grid), noise(1, dim // 4, 2 * grid, 2 * grid))
    sparse, dense = noise(3, 4, dim), noise(3, dim, grid, grid, seed=3)
    decoded = ours(image, where, fine, sparse, dense)
    for multimask in (True, False):
        chosen = candidates(decoded) if multimask else single(decoded, config)
        metas = theirs(
            image_embeddings=image,
            image_pe=where,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=True,
            high_res_features=fine,
        )
        yield from zip(chosen, metas, strict=True)


def memory_attention(config):
    dim, memory_dim, tokens = config.d_model, config.memory_dim, config.grid_size**2
    ours, theirs = share(MemoryAttention(config), reference.memory_attention(config))
    image, where = noise(1, tokens, dim), noise(1, tokens, dim, seed=2)
    length = 3 * tokens + 8
    memory, places = noise(2, length, memory_dim), noise(2, length, memory_dim, seed=3)
    metas = theirs(
        curr=image.expand(2, -1, -1).transpose(0, 1),
        curr_pos=where.expand(2, -1, -1).transpose(0, 1),
        memory=memory.transpose(0, 1),
        memory_pos=places.transpose(0, 1),
        num_obj_ptr_tokens=8,
    )
    yield ours(image, where, memory, places, 8), metas.transpose(0, 1)


def memory_encoder(config):
    ours, theirs = share(MemoryEncoder(config), reference.memory_encoder(config))
    image = noise(1, config.d_model, config.grid_size, config.grid_size)
    mask = noise(2, 1, config.image_size, config.image_size)
    metas = theirs(image.expand(2, -1, -1, -1), mask, skip_mask_sigmoid=True)
    yield ours(image, mask), metas["vision_features"]


PARTS = (
    layer_norm_2d,
    mlp,
    window_partition,
    sine_positions,
    fourier_positions,
    hiera_trunk,
    feature_pyramid,
    prompt_encoder,
    two_way_transformer,
    rotary_attention,
    mask_decoder,
    memory_attention,
    memory_encoder,
)


def image_path(config, models=None):
    """Features, masks from every kind of prompt, pointers and memories of one frame."""
    ours, theirs = models or reference.pair(config)
    size = config.image_size
    pixels = noise(1, 3, size, size)
    features, metas = ours.encode_image(pixels), theirs.forward_image(pixels)
    fine = metas["backbone_fpn"][:2]
    coarse = metas["backbone_fpn"][-1]
    yield from zip((*features.high_resolution, features.embedding), (*fine, coarse), strict=True)
    embedding = ours.without_memory(features)
    labels = torch.tensor([[1, 0, 2, 3]])
    points = torch.rand(1, 4, 2, generator=torch.Generator().manual_seed(0)) * size
    earlier = noise(1, 1, size // 4, size // 4)
    for count, mask, multimask in ((1, None, True), (4, earlier, False), (2, None, False)):
        output = ours.segment(
            embedding,
            features,
            PromptTensors(points[:, :count], labels[:, :count], mask),
            multimask=multimask,
        )
        metas = theirs._forward_sam_heads(
            coarse + theirs.no_mem_embed.view(1, -1, 1, 1),
            {"point_coords": points[:, :count], "point_labels": labels[:, :count]},
            mask,
            fine,
            multimask,
        )
        yield from _outputs(output, metas)
    mask = (noise(1, 1, size, size) > 0).float()
    accepted = ours.accept_mask(features, mask)
    yield from _outputs(accepted, theirs._use_mask_as_output(coarse, fine, mask))


def _outputs(ours, theirs):
    candidate_logits, _, ious, logits, _, pointer, score = theirs
    yield ours.candidates, candidate_logits
    yield ours.candidate_ious, ious
    yield ours.logits, logits
    yield ours.pointer, pointer
    yield ours.object_score, score


def memory_path(config, n_frames=11, models=None, ids=(1, 2, 3, 4)):
    """Objects prompted in every way over frames that follow: logits, pointers and scores of each.

    One click (1); a click and a correction (2); a box (3); masks on two frames (4).
    """
    ours, theirs = models or reference.pair(config)
    tracker, state = _on_noise(ours, theirs, n_frames)
    for object_id in ids:
        _PROMPTS[object_id](tracker, theirs, state, config.image_size)
    yield from _propagated(tracker, theirs, state, ids)


def backwards(config, models):
    """An object followed from the last of 9 frames to the first."""
    ours, theirs = models
    tracker, state = _on_noise(ours, theirs, 9)
    _click(tracker, theirs, state, config.image_size, frame=8)
    yield from _propagated(tracker, theirs, state, [1], start_frame_idx=8, reverse=True)


def corrected(config, models):
    """Two objects followed over 12 frames, one corrected on frame 6, both followed again.

    Meta's predictor is to be built with ``add_all_frames_to_correct_as_cond``.
    """
    ours, theirs = models
    size = config.image_size
    tracker, state = _on_noise(ours, theirs, 12)
    _click(tracker, theirs, state, size)
    _click_and_correct(tracker, theirs, state, size)
    yield from _propagated(tracker, theirs, state, [1, 2])
    theirs.add_new_points_or_box(state, 6, 1, points=_xy(size, OTHER), labels=[0])
    tracker.prompt(1, 6, [PointPrompt(6, OTHER[0] * size, OTHER[1] * size, positive=False)])
    yield from _propagated(tracker, theirs, state, [1, 2])


def _on_noise(ours, theirs, n_frames):
    size = ours.config.image_size
    video = np.random.default_rng(0).random((n_frames, size, size, 3), dtype=np.float32)
    state = reference.metas_state(
        theirs, torch.cat([frame_to_pixels(frame, size, torch.device("cpu")) for frame in video])
    )
    source = FrameSource(video, View(contrast_limits=(0, 1)))
    return Tracker(ours, source, options=TrackerOptions(field="frame", fill_hole_area=0)), state


def _propagated(tracker, theirs, state, ids, *, reverse=False, **options):
    for frame, metas_ids, _ in theirs.propagate_in_video(state, reverse=reverse, **options):
        assert metas_ids == list(ids)
        outputs = tracker.step(ids, frame, reverse=reverse)
        for index, object_id in enumerate(ids):
            metas = reference.metas_output(state, index, frame)
            yield outputs[object_id].logits, metas["pred_masks"]
            yield outputs[object_id].pointer, metas["obj_ptr"]
            yield outputs[object_id].object_score, metas["object_score_logits"]


CLICK, OTHER = (0.3, 0.4), (0.6, 0.5)  #: (row, column), over the image's edge


def _xy(size, *positions):
    return np.float32([[column * size, row * size] for row, column in positions])


def _click(tracker, theirs, state, size, frame=0):
    theirs.add_new_points_or_box(state, frame, 1, points=_xy(size, CLICK), labels=[1])
    tracker.prompt(1, frame, [PointPrompt(frame, CLICK[0] * size, CLICK[1] * size)])


def _click_and_correct(tracker, theirs, state, size):
    theirs.add_new_points_or_box(state, 0, 2, points=_xy(size, CLICK), labels=[1])
    theirs.add_new_points_or_box(state, 0, 2, points=_xy(size, CLICK, OTHER), labels=[1, 0])
    correction = PointPrompt(0, OTHER[0] * size, OTHER[1] * size, positive=False)
    tracker.prompt(2, 0, [PointPrompt(0, CLICK[0] * size, CLICK[1] * size), correction])


def _box(tracker, theirs, state, size):
    theirs.add_new_points_or_box(state, 0, 3, box=np.float32([0.2, 0.3, 0.7, 0.8]) * size)
    tracker.prompt(3, 0, [BoxPrompt(0, 0.3 * size, 0.2 * size, 0.8 * size, 0.7 * size)])


def _masks(tracker, theirs, state, size):
    mask = np.random.default_rng(1).random((size, size)) > 0.5
    for frame, one in ((0, mask), (5, ~mask)):
        theirs.add_new_mask(state, frame, 4, one)
        tracker.prompt(4, frame, [MaskPrompt(frame, one)])


_PROMPTS = {1: _click, 2: _click_and_correct, 3: _box, 4: _masks}
