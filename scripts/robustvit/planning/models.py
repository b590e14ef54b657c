"""What a forward pass of a model costs: operations, and numbers written to memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from robustvit.models.counting import count_macs, count_parameters, on_meta_device

KEYS = ("family", "args", "num_classes", "image_size", "patch_size")


@dataclass(frozen=True)
class Cost:
    """A forward pass on one image.

    Attributes:
        flops: two for each multiplication with its addition.
        elements: numbers that its operations write, views not counted.
        attack: an attack's step (forward, and the gradient of the image alone) in forward passes.
        parameters: of the model.
    """

    flops: float
    elements: float
    attack: float
    parameters: int


class _Written(TorchDispatchMode):
    """Counts the numbers that operations write."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and not func.is_view:
            self.elements += found.numel()
        return found


def model_cost(model: Mapping) -> Cost:
    """Count a forward pass of MODEL without computing it.

    A gradient costs a layer with weights as much as its forward pass for the input, and as much
    again for the weights; a product of two activations costs it twice, whatever is asked for.

    Raises:
        UserError: if the model cannot be built.
    """
    wanted = {key: model.get(key) for key in KEYS}
    return _count(json.dumps(wanted, sort_keys=True))


@cache
def _count(text: str) -> Cost:
    spec = {**json.loads(text), "name": "planned", "drop_path": 0.0, "normalization": None}
    network, size = on_meta_device(spec), spec["image_size"]
    macs = count_macs(network, size)
    with torch.no_grad(), _Written() as written:
        network(torch.empty(1, 3, size, size, device="meta"))
    products = macs["attention"] / macs["total"]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(
        flops=2.0 * macs["total"], elements=float(written.elements),
        attack=2.0 + products, parameters=parameters or count_parameters(network),
    )  # fmt: skip
