"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from robustvit.models.normalization import inner_model


class AveragedModel:
    """Keep `decay · average + (1 - decay) · weights` after every step (timm's ModelEmaV2).

    BatchNorm statistics are averaged too; counters are copied. The average is what is evaluated
    and saved at the end.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of `model`."""
        pairs = zip(self._state().values(), inner_model(model).state_dict().values(), strict=True)
        averages, values = [], []
        for average, value in pairs:
            if average.dtype.is_floating_point:
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1.0 - self.decay)

    def _state(self) -> dict:
        return inner_model(self.model).state_dict()
