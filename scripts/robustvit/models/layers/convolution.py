"""Convolutions of a network whose weights stand still: an attack differentiates its input only."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGE_CHANNELS = 4
_CHUNK = 1 << 20  # numbers that are scattered at a time: they fit into a cache


def reads_images(layer: nn.Conv2d) -> bool:
    """Whether `image_convolution` can take the layer's place."""
    return (
        layer.in_channels <= IMAGE_CHANNELS
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def frozen_convolution(
    layer: nn.Conv2d, scale: Tensor | None = None, offset: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """A frozen layer with its output times `scale` plus `offset`, both [C] or None."""
    weight, bias = layer.weight, layer.bias
    if scale is not None:
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = None if bias is None else bias * scale
    if offset is not None:
        bias = offset if bias is None else bias + offset
    if reads_images(layer):
        return partial(image_convolution, layer, weight=weight, bias=bias)
    return partial(layer._conv_forward, weight=weight, bias=bias)


def image_convolution(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute `layer` with frozen `weight` and `bias` on images x [B, C, H, W].

    The result is torch's. oneDNN's gradient with respect to an input of three channels takes half
    the time of a whole layer; as a product of matrices whose result is scattered to the pixels it
    takes half of that.
    """
    plain = x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32
    if plain or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return layer._conv_forward(x, weight, bias)
    return _ImageConvolution.apply(x, weight, bias, layer.stride, layer.padding, layer.dilation)


class _ImageConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry) -> Tensor:
        """Keep the weights only."""
        ctx.geometry, ctx.size = geometry, x.shape
        ctx.save_for_backward(weight)
        stride, padding, dilation = geometry
        return F.conv2d(x, weight, bias, stride, padding, dilation)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient with respect to the images."""
        (weight,) = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        size, kernel = ctx.size[2:], weight.shape[2:]
        matrix = weight.flatten(1).t()
        numbers = matrix.shape[0] * math.prod(gradient.shape[2:])
        pieces = [
            F.fold(
                torch.bmm(matrix.expand(len(part), -1, -1), part.flatten(2)),
                size, kernel, dilation, padding, stride,
            )
            for part in gradient.split(max(_CHUNK // max(numbers, 1), 1))
        ]  # fmt: skip
        return torch.cat(pieces), None, None, None, None, None
