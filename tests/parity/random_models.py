"""A small model, and random weights that Meta's modules and ours get alike."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from napari_sam2.model.config import HieraConfig, SAM2Config


def small_architecture():
    """Give the architecture, whole, in few channels: 20 ms a frame."""
    return SAM2Config(
        name="tiny",
        checkpoint="tiny.safetensors",
        image_size=128,
        hiera=HieraConfig(
            embed_dim=16, stages=(1, 1, 2, 1), windows=(8, 4, 8, 4), global_blocks=(3,)
        ),
        d_model=32,
        memory_dim=16,
        memory_layers=1,
        memory_mlp_dim=32,
        decoder_mlp_dim=32,
        iou_head_dim=16,
    )


@torch.no_grad()
def randomize(module, seed=0):
    """Give every parameter a value that matters: fresh ones are often 0, 1 or 1e-6.

    Matrices keep the size of what they multiply, so that no softmax or sigmoid saturates;
    mask logits reach about 30, like those of trained models. What a tensor gets depends on its
    name and the seed, by a generator whose numbers numpy promises never to change.
    """
    for name, parameter in module.named_parameters():
        parameter.copy_(_scaled(_noise(name, parameter.shape, seed), name))
    for name, buffer in module.named_buffers():
        if "gaussian" in name:  # the frequencies of positions
            buffer.copy_(_noise(name, buffer.shape, seed))
    return module


def set_presence(model, *, appears=True):
    """Have every object found, or none: with random weights it would be a coin toss.

    Masks of absent objects are all the same.
    """
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    torch.nn.init.constant_(score, 20.0 if appears else -20.0)
    return model


def _noise(name, shape, seed):
    numbers = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    return torch.from_numpy(numbers.standard_normal(tuple(shape))).float()


def _scaled(noise, name):
    if noise.ndim >= 2 and "embed" not in name and "token" not in name:
        gain = 0.3 if "output_hypernetworks_mlps" in name and "layers.2" in name else 1.0
        return gain * noise / noise[0].numel() ** 0.5
    if name.endswith(("norm.weight", "gamma")) or (".norm" in name and "weight" in name):
        return 1 + 0.2 * noise
    return 0.3 * noise
