"""Normalisation as the first layer of a model, so that inputs are always pixels in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Run `model` on `(images - mean) / std`.

    The attack, the ball and every data set work on pixels in [0, 1]; what a model wants to see is
    its own affair. Mean and standard deviation are not saved with the weights: they belong to the
    configuration, and files hold the keys of the inner model only, as timm knows them.

    Args:
        model: maps normalised images [B, 3, H, W] to logits [B, K].
        mean: per channel, in units of [0, 1] pixels.
        std: per channel, in units of [0, 1] pixels.
    """

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] for pixels in [0, 1], float32 [B, 3, H, W]."""
        return self.model((images - self.mean) / self.std)


def inner_model(model: nn.Module) -> nn.Module:
    """Return the network inside the normalisation layer and other wrappers (DDP, compile, …)."""
    while True:
        if isinstance(model, Normalize):
            model = model.model
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model
