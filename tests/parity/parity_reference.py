"""Meta's model, built from our config, and weights that both models share."""

from __future__ import annotations

from unittest import mock

from random_models import randomize, set_presence
from sam2 import sam2_video_predictor
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.transformer import RoPEAttention, TwoWayTransformer
from sam2.sam2_video_predictor import SAM2VideoPredictor

from napari_sam2.model.sam2 import SAM2


def trunk(hiera):
    return Hiera(
        embed_dim=hiera.embed_dim,
        num_heads=hiera.num_heads,
        stages=hiera.stages,
        global_att_blocks=hiera.global_blocks,
        window_spec=hiera.windows,
        window_pos_embed_bkg_spatial_size=hiera.pos_embed_grid,
    )


def neck(config):
    return FpnNeck(
        PositionEmbeddingSine(config.d_model),
        d_model=config.d_model,
        backbone_channel_list=list(config.hiera.stage_dims[::-1]),
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )


def memory_attention(config):
    def rotary(**kwargs):
        return RoPEAttention(
            embedding_dim=config.d_model,
            num_heads=1,
            dropout=0.1,
            feat_sizes=(config.grid_size, config.grid_size),
            **kwargs,
        )

    layer = MemoryAttentionLayer(
        activation="relu",
        dim_feedforward=config.memory_mlp_dim,
        dropout=0.1,
        d_model=config.d_model,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        self_attention=rotary(),
        cross_attention=rotary(rope_k_repeat=True, kv_in_dim=config.memory_dim),
    )
    return MemoryAttention(
        d_model=config.d_model, pos_enc_at_input=True, layer=layer, num_layers=config.memory_layers
    )


def memory_encoder(config):
    return MemoryEncoder(
        out_dim=config.memory_dim,
        in_dim=config.d_model,
        mask_downsampler=MaskDownSampler(config.d_model, kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(config.d_model), num_layers=2),
        position_encoding=PositionEmbeddingSine(config.memory_dim),
    )


def video_predictor(config, **options):
    """Meta's whole model with the settings of the published configs."""
    encoder = ImageEncoder(trunk(config.hiera), neck(config), scalp=1)
    options = {
        "dynamic_multimask_via_stability": True,
        "binarize_mask_from_pts_for_mem_enc": True,
        "fill_hole_area": 0,
        **options,
    }
    via_stability = options.pop("dynamic_multimask_via_stability")
    time = config.pointer_time
    model = SAM2VideoPredictor(
        image_encoder=encoder,
        memory_attention=memory_attention(config),
        memory_encoder=memory_encoder(config),
        image_size=config.image_size,
        num_maskmem=7,
        sigmoid_scale_for_mem_enc=20.0,
        sigmoid_bias_for_mem_enc=-10.0,
        use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=time,
        proj_tpos_enc_in_obj_ptrs=time,
        use_signed_tpos_enc_to_obj_ptrs=time,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        no_obj_embed_spatial=config.occlusion_embedding,
        multimask_output_for_tracking=True,
        use_multimask_token_for_obj_ptr=True,
        multimask_min_pt_num=0,
        multimask_max_pt_num=1,
        use_mlp_for_obj_ptr_proj=True,
        sam_mask_decoder_extra_args={"dynamic_multimask_via_stability": via_stability},
        **options,
    )
    _narrow_heads(model, config)
    return model.eval()


def mask_decoder(config):
    dim = config.d_model
    return MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(
            depth=2, embedding_dim=dim, mlp_dim=config.decoder_mlp_dim, num_heads=8
        ),
        transformer_dim=dim,
        iou_head_depth=3,
        iou_head_hidden_dim=config.iou_head_dim,
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
        dynamic_multimask_via_stability=True,
    ).eval()


def _narrow_heads(model, config):
    """Meta's SAM2Base fixes the decoder's hidden widths; ours may be narrower."""
    decoder = mask_decoder(config)
    decoder.dynamic_multimask_via_stability = model.sam_mask_decoder.dynamic_multimask_via_stability
    model.sam_mask_decoder = decoder


def share_weights(ours, theirs, seed=0):
    """Randomise Meta's parameters, then load them into ours, strictly: the same keys."""
    randomize(theirs, seed)
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


def pair(config, *, appears=True, **options):
    """Our whole model and Meta's, with the same random weights; all objects appear, or none."""
    theirs = set_presence(randomize(video_predictor(config, **options)), appears=appears)
    ours = SAM2(config)
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs


def metas_state(theirs, frames):
    """Meta's inference state over frames that are in memory, (T, 3, size, size), normalised."""
    size = frames.shape[-1]
    with mock.patch.object(
        sam2_video_predictor, "load_video_frames", return_value=(frames, size, size)
    ):
        return theirs.init_state("in memory")


def mend_clearing(theirs):
    """Give Meta's predictor the method that it calls, and lacks, to clear around prompts.

    It has the same for all objects at once, of which this is the part for one.
    """

    def clear(state, frame, object_index):
        reach = theirs.num_maskmem * theirs.memory_temporal_stride_for_eval
        tracked = state["output_dict_per_obj"][object_index]["non_cond_frame_outputs"]
        for near in range(frame - reach, frame + reach + 1):
            tracked.pop(near, None)

    theirs._clear_obj_non_cond_mem_around_input = clear


def metas_output(state, object_index, frame):
    """What Meta's predictor keeps of one object on one frame."""
    outputs = state["output_dict_per_obj"][object_index]
    return outputs["cond_frame_outputs"].get(frame) or outputs["non_cond_frame_outputs"][frame]


def largest_difference(ours, theirs):
    """Over all elements of two tensors of the same shape."""
    assert ours.shape == theirs.shape
    return float((ours.float() - theirs.float()).abs().max()) if ours.numel() else 0.0
