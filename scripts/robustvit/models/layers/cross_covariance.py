"""Cross-covariance attention (El-Nouby et al. 2021) without normalised queries and keys in memory.

softmax(τ · q̂ᵀ k̂) v with q̂ and k̂ of unit length over the tokens. The lengths are divided out of
the small d × d product instead of q and k, which spares four passes over memory forwards and eight
backwards. All tensors keep the layout that the linear layers around them use.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_LENGTH = 1e-12  # as `torch.nn.functional.normalize`


def cross_covariance_attention(qkv: Tensor, temperature: Tensor, heads: int) -> Tensor:
    """Attend between channels.

    Args:
        qkv: queries, keys and values side by side, [B, N, 3 · C].
        temperature: τ per head, [heads, 1, 1].
        heads: number of heads; C is a multiple of it.

    Returns:
        [B, N, C], contiguous.
    """
    if qkv.device.type == "cpu" and qkv.dtype == torch.float32:
        return _CrossCovariance.apply(qkv, temperature, heads)
    return _plain(qkv, temperature, heads)


def _plain(qkv: Tensor, temperature: Tensor, heads: int) -> Tensor:
    """In differentiable operations: for accelerators and half precision."""
    count, tokens, width = qkv.shape
    split = qkv.reshape(count, tokens, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    queries, keys, values = split.contiguous().unbind(0)
    scale_q, scale_k = _inverse_length(queries) * temperature.transpose(1, 2), _inverse_length(keys)
    products = (queries.transpose(2, 3) @ keys) * scale_q.transpose(2, 3) * scale_k
    weights = products.softmax(dim=-1)
    out = values @ weights.transpose(2, 3).to(values.dtype)
    return out.transpose(1, 2).reshape(count, tokens, width // 3)


def _inverse_length(channels: Tensor) -> Tensor:
    """1 / length over the tokens of [B, heads, N, d]: float32 [B, heads, 1, d]."""
    squares = channels.float().square().sum(dim=2, keepdim=True)
    # Clamped before the root, whose derivative at zero is infinite.
    return squares.clamp(min=SMALLEST_LENGTH**2).rsqrt()


class _CrossCovariance(torch.autograd.Function):
    """The same for float32 on the CPU: one product per head and image, nothing is copied first.

    Heads come first in the small tensors ([heads, B, d, d]): so each head's products are contiguous
    as the batched product of matrices needs its result.
    """

    @staticmethod
    def forward(ctx, qkv: Tensor, temperature: Tensor, heads: int) -> Tensor:
        """Compute the attention; see `cross_covariance_attention`."""
        qkv = qkv.contiguous()
        count, tokens, width = qkv.shape
        size = width // 3 // heads
        queries, keys, values = _heads(qkv, heads)
        lengths = qkv[..., : 2 * heads * size].square().sum(dim=1).sqrt_()
        inverse = lengths.clamp_(min=SMALLEST_LENGTH).reciprocal_()
        inverse = inverse.view(count, 2, heads, size).permute(1, 2, 0, 3)
        logits = qkv.new_empty(heads, count, size, size)
        for head in range(heads):
            torch.bmm(queries[head].transpose(1, 2), keys[head], out=logits[head])
        _scale_(logits, inverse, temperature)
        weights = logits.softmax(dim=-1)
        out = qkv.new_empty(count, tokens, heads, size)
        for head in range(heads):
            out[:, :, head] = torch.bmm(values[head], weights[head].transpose(1, 2))
        ctx.save_for_backward(qkv, inverse, logits, weights, temperature)
        return out.view(count, tokens, width // 3)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        """Return the gradients with respect to qkv and the temperature."""
        qkv, inverse, logits, weights, temperature = ctx.saved_tensors
        heads = len(weights)
        queries, keys, values = _heads(qkv, heads)
        upstream = _split(gradient.contiguous(), heads)
        out = torch.empty_like(qkv)
        to_queries, to_keys, to_values = _heads(out, heads)
        to_weights = torch.empty_like(weights)
        for head in range(heads):
            to_values[head].copy_(torch.bmm(upstream[head], weights[head]))
            torch.bmm(upstream[head].transpose(1, 2), values[head], out=to_weights[head])
        to_logits = torch._softmax_backward_data(to_weights, weights, -1, torch.float32)
        products = torch.mul(to_logits, logits, out=to_weights)
        to_temperature = None
        if ctx.needs_input_grad[1]:
            to_temperature = products.sum(dim=(1, 2, 3)).view_as(temperature) / temperature
        # A longer query or key turns no head: its gradient has no part along itself.
        along_q = (products.sum(dim=3) * inverse[0].square()).unsqueeze(2)
        along_k = (products.sum(dim=2) * inverse[1].square()).unsqueeze(2)
        _scale_(to_logits, inverse, temperature)
        for head in range(heads):
            towards = torch.bmm(keys[head], to_logits[head].transpose(1, 2))
            _project_out(towards, queries[head], along_q[head], to_queries[head])
            towards = torch.bmm(queries[head], to_logits[head])
            _project_out(towards, keys[head], along_k[head], to_keys[head])
        return out, to_temperature, None


def _split(tokens: Tensor, heads: int) -> list[Tensor]:
    """Views of the heads' channels, each [B, N, d], of tokens [B, N, heads · d]."""
    return list(tokens.chunk(heads, dim=2))


def _heads(qkv: Tensor, heads: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Views of queries, keys and values by head, each [B, N, d], of [B, N, 3 · heads · d]."""
    pieces = _split(qkv, 3 * heads)
    return pieces[:heads], pieces[heads : 2 * heads], pieces[2 * heads :]


def _scale_(products: Tensor, inverse: Tensor, temperature: Tensor) -> None:
    """Multiply [heads, B, d, d] by τ / (|query| · |key|), inverse lengths [2, heads, B, d]."""
    products.mul_((inverse[0] * temperature.view(-1, 1, 1)).unsqueeze(3))
    products.mul_(inverse[1].unsqueeze(2))


def _project_out(towards: Tensor, along: Tensor, share: Tensor, out: Tensor) -> None:
    """Write `towards - share · along` to `out`, all [B, N, d] but share [B, 1, d]."""
    torch.addcmul(towards, along, share, value=-1.0, out=out)
