"""Class attention (Touvron et al. 2021, CaiT) without keys and values of all tokens.

One query per image reads all tokens. Its scores are q · (W_k x + b) = (W_kᵀ q) · x + q · b, and
the weights sum to one, so that the mean of the values is W_v applied to the mean of the tokens:
two products of tokens × width × heads take the place of two of tokens × width × width.
"""

from __future__ import annotations

import torch
from timm.models.cait import ClassAttn
from torch import Tensor, nn


def class_attention(attention: ClassAttn, query: Tensor, tokens: Tensor) -> Tensor:
    """Let the class token read itself and all other tokens, as timm's `ClassAttn` does.

    Args:
        attention: the layer, without dropout of its weights.
        query: the class token [B, 1, C], normalised.
        tokens: the other tokens [B, N, C], normalised.

    Returns:
        The new class token, [B, 1, C].
    """
    heads, width = attention.num_heads, query.shape[2]
    size = width // heads
    # Heads come first, so that the weights of each head are one matrix of a batch.
    queries = attention.q(query).view(-1, heads, size).transpose(0, 1) * attention.scale
    keys, offset = _by_head(attention.k, heads)
    probes = torch.bmm(queries, keys).transpose(0, 1)
    scores = torch.cat([probes @ query.transpose(1, 2), probes @ tokens.transpose(1, 2)], dim=2)
    if offset is not None:
        scores = scores + (queries * offset).sum(dim=2).t().unsqueeze(2)
    weights = scores.softmax(dim=2).to(tokens.dtype)
    mean = weights[:, :, :1] * query + weights[:, :, 1:] @ tokens
    values, offset = _by_head(attention.v, heads)
    out = torch.bmm(mean.transpose(0, 1), values.transpose(1, 2))
    if offset is not None:
        out = out + offset
    return attention.proj_drop(attention.proj(out.transpose(0, 1).reshape(-1, 1, width)))


def _by_head(layer: nn.Linear, heads: int) -> tuple[Tensor, Tensor | None]:
    """Weights [heads, d, C] and biases [heads, 1, d] of a linear layer."""
    bias = None if layer.bias is None else layer.bias.view(heads, 1, -1)
    return layer.weight.view(heads, -1, layer.in_features), bias
