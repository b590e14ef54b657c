"""Forward passes whose results and input gradients can be trusted for any number of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEWEST = 4  # rows below which matrix products on the CPU take other kernels


def forward(model: nn.Module, images: Tensor, fewest: int = FEWEST) -> Tensor:
    """Return the logits [B, K] of images [B, C, H, W], B at least 1; small batches are filled up.

    Two reasons. A product of matrices with less than four rows is rounded differently on the CPU,
    so that an image on a decision boundary could change sides with the size of its batch, that
    is, with the number of shards. And torch 2.9 silently computes wrong gradients in BatchNorm's
    backward pass on the CPU if the batch has one image and its upstream gradient comes from a
    token layout (strides (C, 1, W·C, C), as from XCiT's patch embedding): it reads channels-last
    memory as contiguous, attacks on a single image would fail and the model look robust.

    Args:
        model: any; in training mode, where images may depend on each other, only one is filled up.
        images: float32 [B, C, H, W].
        fewest: size up to which a batch is filled with copies of its images.
    """
    count = len(images)
    if count >= (2 if model.training else fewest):
        return model(images)
    copies = -(-fewest // count)
    return model(torch.cat([images] * copies)[:fewest])[:count]
