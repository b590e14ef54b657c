"""Forward passes whose input gradients can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def forward(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits [B, K] of images [B, C, H, W]; never differentiates a batch of one.

    On the CPU, torch 2.9 silently computes wrong gradients in BatchNorm's backward pass if the
    batch has one image and its upstream gradient comes from a token layout (strides (C, 1, W·C,
    C), as from XCiT's patch embedding): it reads channels-last memory as contiguous. An attack on
    a single image would fail and the model look robust. A second copy of the image avoids it.
    """
    if len(images) == 1 and images.requires_grad and torch.is_grad_enabled():
        return model(torch.cat([images, images]))[:1]
    return model(images)
