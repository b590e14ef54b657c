"""BatchNorm's running statistics when a batch is computed in parts, one after the other or apart.

Every part of a batch starts from the statistics of the step's start, as if it had a device of its
own; at the end of the step they are put together as if the parts had come one after the other. So
neither an attack in eval mode nor the final statistics depend on who computed which part.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from robustvit.core.errors import UserError
from robustvit.training.sharing import Share


class PartStatistics:
    """Running statistics of all BatchNorm layers of a model during one step.

    Args:
        model: the network.
        rank: place of this process among `world_size`; parts are dealt out in the order of ranks.
        world_size: processes that each compute the same number of parts.
        total: sums a tensor over all processes.
    """

    def __init__(
        self,
        model: nn.Module,
        rank: int = 0,
        world_size: int = 1,
        total: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.momentum]
        if any(m.momentum is None for m in model.modules() if isinstance(m, _BatchNorm)):
            raise UserError(
                "recipe.accumulation, or several processes, and a BatchNorm layer with a cumulative"
                " average (momentum None) do not go together; give the layer a momentum of 0.1"
            )
        self.rank, self.world_size, self.total = rank, world_size, total

    @torch.no_grad()
    def begin_step(self) -> None:
        """Remember the statistics that all parts start from."""
        self._start = [_read(layer) for layer in self.layers]
        self._sums = [torch.zeros_like(value) for value in self._start]
        self._counts = [layer.num_batches_tracked.clone() for layer in self.layers]
        self._seen = [torch.zeros_like(count) for count in self._counts]

    @torch.no_grad()
    def end_part(self) -> None:
        """Take what a part has added, and put the statistics of the step's start back."""
        for i, layer in enumerate(self.layers):
            # Counted on the device: nothing here waits for it.
            passes = layer.num_batches_tracked - self._counts[i] - self._seen[i]
            self._seen[i] = self._seen[i] + passes
            keep = (1.0 - layer.momentum) ** passes
            self._sums[i] = self._sums[i] * keep + (_read(layer) - keep * self._start[i])
            _write(layer, self._start[i])

    @torch.no_grad()
    def end_step(self) -> None:
        """Put the parts of all processes together, in their order."""
        if not self.layers:
            return
        for i, layer in enumerate(self.layers):
            later = self._seen[i] * (self.world_size - 1 - self.rank)
            self._sums[i] = self._sums[i] * (1.0 - layer.momentum) ** later
        sums = torch.cat([value.flatten() for value in self._sums])
        if self.total is not None:
            sums = self.total(sums)
        pieces = sums.split([value.numel() for value in self._sums])
        for i, layer in enumerate(self.layers):
            passes = self._seen[i] * self.world_size
            kept = self._start[i] * (1.0 - layer.momentum) ** passes
            _write(layer, kept + pieces[i].reshape(kept.shape))
            layer.num_batches_tracked.copy_(self._counts[i] + passes)


def part_statistics(
    model: nn.Module, share: Share, total: Callable[[Tensor], Tensor]
) -> PartStatistics:
    """The statistics of a model whose batches are cut like `share`; of no layer if in one part."""
    if share.parts == 1:
        return PartStatistics(nn.Module())
    # Processes that share a part all hold its statistics, which count once.
    groups = 1 if share.together else share.world_size // share.sharing
    rank = 0 if share.together else share.rank // share.sharing
    average = (lambda value: total(value) / share.sharing) if groups > 1 else None
    return PartStatistics(model, rank, groups, average)


def _read(layer: _BatchNorm) -> Tensor:
    return torch.stack([layer.running_mean, layer.running_var])


def _write(layer: _BatchNorm, values: Tensor) -> None:
    layer.running_mean.copy_(values[0])
    layer.running_var.copy_(values[1])
