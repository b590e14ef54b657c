"""Layers computed in another order than their authors do, with the same result but for rounding."""

from __future__ import annotations

from types import MethodType

import torch.nn.functional as F
from timm.models.xcit import XCA
from torch import Tensor, nn

SMALLEST = 1e-24  # square of the length below which `torch.nn.functional.normalize` does not divide


def use_lean_layers(model: nn.Module) -> nn.Module:
    """Change `model` in place, where it has layers that can be computed with less work."""
    for module in model.modules():
        if type(module) is XCA:
            module.forward = MethodType(_cross_covariance_attention, module)
    return model


def _cross_covariance_attention(layer: XCA, tokens: Tensor) -> Tensor:
    """XCiT's attention between channels (El-Nouby et al. 2021, eq. 2), tokens [B, N, C].

    Queries and keys are brought to unit length over the tokens. Dividing the products of two
    channels by the lengths of both is the same, and there are far fewer products than tokens.
    """
    batch, count, width = tokens.shape
    heads = layer.num_heads
    qkv = layer.qkv(tokens)
    squares = qkv[..., : 2 * width].square().sum(dim=1).clamp_min(SMALLEST)
    shrink = squares.rsqrt().reshape(batch, 2, heads, width // heads)
    split = qkv.reshape(batch, count, 3, heads, width // heads).permute(2, 0, 3, 4, 1)
    query, key, value = split.unbind(0)
    products = query @ key.transpose(-2, -1)
    weights = products * (shrink[:, 0, :, :, None] * layer.temperature) * shrink[:, 1, :, None]
    mixed = F.softmax(weights, dim=-1) @ value
    return layer.proj(mixed.permute(0, 3, 1, 2).reshape(batch, count, width))
