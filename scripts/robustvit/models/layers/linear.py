"""A linear layer whose large float32 products on the CPU are oneDNN's instead of MKL's.

oneDNN takes 5 to 20% less time for them on the processors measured (`docs/benchmarks.md`), if the
second matrix lies in memory as it is multiplied. Everything else is torch's own layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = 1 << 26  # multiplications; below that the calls cost more than they save


class FastLinear(nn.Linear):
    """`torch.nn.Linear` with the same parameters and results."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out]."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute `x Wᵀ + b`, differentiable: x [..., in], weight [out, in], bias [out] or None."""
    if torch.compiler.is_compiling() or not _suits(x, weight):
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


def _suits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * weight.shape[0] >= LARGE
        and not torch.is_autocast_enabled("cpu")
        and _available()
    )


def _available() -> bool:
    """Whether this torch has the operation, which its compiler uses but nothing documents."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute `x Wᵀ + b` of matrices in any order of memory."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Keep only what the gradients that are asked for need: in an attack not even x."""
        rows = x.reshape(-1, x.shape[-1])
        to_x, to_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(rows if to_weight else None, weight if to_x else None)
        across = weight.t().contiguous().t()  # the order of memory that is multiplied fastest
        return _product(rows, across, bias).view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients with respect to x, weight and bias."""
        rows, weight = ctx.saved_tensors
        upstream = gradient.reshape(-1, gradient.shape[-1]).contiguous()
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = _product(upstream, weight.t()).view(*gradient.shape[:-1], -1)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(upstream, rows)
        if ctx.needs_input_grad[2]:
            to_bias = upstream.sum(dim=0)
        return to_x, to_weight, to_bias


def _weight_gradient(upstream: Tensor, rows: Tensor) -> Tensor:
    """Compute upstreamᵀ · rows, [out, in], in the order that is faster for its shape."""
    if rows.shape[1] < upstream.shape[1]:
        return _product(rows.t(), upstream.t()).t()
    return _product(upstream.t(), rows.t())
