"""Calls of a frozen model by the fast attacks: even batches and counted passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustvit.attacks._forward import forward
from robustvit.models.speed import Speed

MOST_AHEAD = 16  # questions that an example asks at a time
Measure = Callable[..., Tensor]
"""Maps logits [B, K] and further tensors [B] to one number per example, [B]."""


class Network:
    """The two models that the attacks ask, in batches of a size that the device works well on.

    An example's adversarial image does not depend on how many others still stand if neither
    model's answer for an image depends on the others of its batch (`robustvit.models.stable`).

    Args:
        search: frozen model in evaluation mode for the attacks' own questions, images
            [B, C, H, W] to logits [B, K]; it may round differently from `exact`.
        exact: the model that is evaluated.
        speed: of `search`; no batch is larger than its width.
        watch: called after every call of the model.
    """

    def __init__(
        self,
        search: nn.Module,
        exact: nn.Module,
        *,
        speed: Speed,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self.search, self.exact = search, exact
        self.speed, self._watch = speed, watch
        self.passes = torch.zeros(0, dtype=torch.int64)

    def count(self, labels: Tensor) -> None:
        """Count the passes of the examples [N] with these labels from now on, in `passes` [N]."""
        self.passes = torch.zeros_like(labels)

    def note(self, owners: Tensor | None, passes: Tensor | int = 1) -> None:
        """Count `passes` of the model for the examples `owners`, int64 [B]."""
        if owners is not None:
            self.passes.index_add_(0, owners, torch.zeros_like(owners) + passes)
            self._watch()

    def ahead(self, rows: int, refused: float) -> int:
        """How many questions in a row each of so many examples should ask in one batch.

        Those after an accepted one are asked in vain, but a small batch wastes the device.

        Args:
            rows: examples that ask.
            refused: share of the questions that change nothing, so that the next one counts.
        """
        most = max(1, min(MOST_AHEAD, self.speed.width // rows))
        useful, counted = 0.0, []
        for count in range(1, most + 1):
            useful += refused ** (count - 1)
            counted.append(useful / self.speed.time(rows * count))
        return 1 + counted.index(max(counted))

    @torch.no_grad()
    def classify(self, images: Tensor, owners: Tensor | None = None) -> Tensor:
        """Return the logits [B, K] of the evaluated model, float32; B at least 1."""
        self.note(owners)
        return torch.cat([self.exact(part).float() for part in self._parts(images)])

    @torch.no_grad()
    def logits(self, images: Tensor, owners: Tensor | None = None) -> Tensor:
        """Return the logits [B, K] of the search, float32.

        Args:
            images: float32 [B, C, H, W], B at least 1.
            owners: int64 [B], the examples whose passes these are.
        """
        self.note(owners)
        return torch.cat([self.search(part).float() for part in self._parts(images)])

    def gradient(
        self, images: Tensor, measure: Measure, *more: Tensor, owners: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Differentiate `measure(logits, *more)` with respect to the images, in one pass.

        Returns:
            Logits [B, K], the measure [B] and its gradients [B, C, H, W], detached.
        """
        self.note(owners)
        results = [
            self._differentiate(part, measure, arguments)
            for part, *arguments in zip(self._parts(images), *map(self._parts, more), strict=True)
        ]
        logits, values, gradients = (torch.cat(column) for column in zip(*results, strict=True))
        return logits, values, gradients

    def _differentiate(self, images: Tensor, measure: Measure, arguments: list[Tensor]) -> tuple:
        point = images.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = forward(self.search, point).float()
            values = measure(logits, *arguments)
            (gradient,) = torch.autograd.grad(values.sum(), point)
        return logits.detach(), values.detach(), gradient

    def _parts(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return tensor.tensor_split(math.ceil(len(tensor) / self.speed.width))
