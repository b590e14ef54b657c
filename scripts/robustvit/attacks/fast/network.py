"""Calls of a frozen model by the fast attacks: even batches, stable bits, counted passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustvit.attacks.fast.preparing import probe_images
from robustvit.models.passes import FEWEST, forward

PROBED = (5, 7, 8, 9, 13, 16, 17, 31, 32)  # sizes of batches that may call different kernels
# Beyond so many rows a CPU only gains cache misses. A question that is asked ahead of its turn is
# asked in vain once in about ten times for the next one, and more often the farther ahead it is.
WIDTH_CPU, MOST_CPU, MOST_CUDA = 48, 4, 16
Measure = Callable[..., Tensor]
"""Maps logits [B, K] and further tensors [B] to one number per example, [B]."""


class Network:
    """A model whose answer for an image does not depend on the other images of the call.

    Kernels are chosen by the size of a batch, and their results differ in the last bit; an
    example's adversarial image would then depend on how many others still stand. On one CPU
    thread that holds for small batches only, which are filled up with copies of their images.

    Args:
        search: frozen model in evaluation mode for the attacks' own questions, images
            [B, C, H, W] to logits [B, K]; it may round differently from `exact`.
        exact: the model that is evaluated.
        width: largest batch.
        smallest: size to which smaller batches are filled up, see `stable_rows`.
        watch: called after every call of the model.
    """

    def __init__(
        self,
        search: nn.Module,
        exact: nn.Module,
        *,
        width: int,
        smallest: int = FEWEST,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self.search, self.exact = search, exact
        self.width, self.smallest, self._watch = max(width, smallest), smallest, watch
        self.passes = torch.zeros(0, dtype=torch.int64)

    def count(self, examples: int) -> None:
        """Count the passes of so many examples from now on, in `passes`, int64 [N]."""
        device = next((p.device for p in self.exact.parameters()), torch.device("cpu"))
        self.passes = torch.zeros(examples, dtype=torch.int64, device=device)

    def note(self, owners: Tensor | None, passes: Tensor | int = 1) -> None:
        """Count `passes` of the model for the examples `owners`, int64 [B]."""
        if owners is not None:
            self.passes.index_add_(0, owners, torch.zeros_like(owners) + passes)
            self._watch()

    def copies(self, rows: int) -> int:
        """How many batches of so many rows make one that the device works well on."""
        most = MOST_CUDA if self.passes.is_cuda else MOST_CPU
        return max(1, min(most, self.width // rows))

    @torch.no_grad()
    def classify(self, images: Tensor, owners: Tensor | None = None) -> Tensor:
        """Return the logits [B, K] of the evaluated model, float32; B at least 1."""
        self.note(owners)
        return torch.cat([self._forward(self.exact, part) for part in self._parts(images)])

    @torch.no_grad()
    def logits(self, images: Tensor, owners: Tensor | None = None) -> Tensor:
        """Return the logits [B, K] of the search, float32.

        Args:
            images: float32 [B, C, H, W], B at least 1.
            owners: int64 [B], the examples whose passes these are.
        """
        self.note(owners)
        return torch.cat([self._forward(self.search, part) for part in self._parts(images)])

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
            logits = self._forward(self.search, point)
            values = measure(logits, *arguments)
            (gradient,) = torch.autograd.grad(values.sum(), point)
        return logits.detach(), values.detach(), gradient

    def _forward(self, model: nn.Module, images: Tensor) -> Tensor:
        return forward(model, images, self.smallest).float()

    def _parts(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return tensor.tensor_split(math.ceil(len(tensor) / self.width))


def stable_rows(model: nn.Module, shape: tuple[int, ...], width: int, device: object) -> int:
    """Return the smallest batch from which on a row's bits do not depend on the batch's size.

    Args:
        model: frozen, in evaluation mode.
        shape: of one image, (C, H, W).
        width: largest batch; returned if the bits always depend on the size.
        device: where the model is.
    """
    images = probe_images(shape, max(width, FEWEST), device)
    network = Network(model, model, width=len(images), smallest=1)
    sizes = [FEWEST, *(size for size in PROBED if size < len(images)), len(images)]
    expected = network.gradient(images, _first_and_last)
    for place in range(len(sizes) - 2, -1, -1):
        found = network.gradient(images[: sizes[place]], _first_and_last)
        if any(not torch.equal(a, b[: len(a)]) for a, b in zip(found, expected, strict=True)):
            return sizes[place + 1]
    return sizes[0]


def _first_and_last(logits: Tensor) -> Tensor:
    return logits[:, 0] - logits[:, -1]
