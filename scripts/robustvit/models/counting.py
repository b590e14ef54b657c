"""How large a model is and what a forward pass of it costs, without memory or computation."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from robustvit.models.factory import build_network


def count_parameters(model: nn.Module) -> int:
    """Number of trainable numbers in `model`."""
    return sum(parameter.numel() for parameter in model.parameters())


def on_meta_device(spec: dict) -> nn.Module:
    """Build the network of MODEL `spec` without memory: its shapes are right, its values are not.

    Raises:
        UserError: as `build_model` does.
    """
    with torch.device("meta"):
        # Without gradients torch's counter needs no hooks on tensors, which fail on this device.
        return build_network(spec).eval().requires_grad_(False)


def count_macs(model: nn.Module, image_size: int) -> dict[str, int]:
    """Multiply-accumulates of a forward pass on one image, by the operation that makes them.

    Counted are convolutions and matrix products, as in the papers; activations, normalisation,
    softmax and pooling are not. torch's counter says two operations for each multiplication
    with its addition, so its sums are halved.

    Args:
        model: on the meta device, see `on_meta_device`.
        image_size: side of the image in pixels.

    Returns:
        {"convolution", "linear", "attention", "total"}: `attention` are the products of two
        activations (queries with keys, weights with values), which some tools leave out.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.empty(1, 3, image_size, image_size, device="meta"))
    aten = torch.ops.aten
    found = counter.get_flop_counts()["Global"]
    products = {aten.convolution: "convolution", aten.addmm: "linear", aten.mm: "linear"}
    macs = {"convolution": 0, "linear": 0, "attention": 0}
    for operation, flops in found.items():
        macs[products.get(operation, "attention")] += flops // 2
    return {**macs, "total": sum(macs.values())}
