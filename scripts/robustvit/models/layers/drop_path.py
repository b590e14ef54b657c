"""Stochastic depth (Huang et al. 2016) whose draws belong to the examples.

timm's `DropPath` draws from the global generator: what an example gets depends on its place in
the batch and on the process that holds it. Here every draw is a function of the example's seed,
the forward pass and the layer, so that a batch may be cut between processes in any way.
"""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from robustvit.core.random import fold, uniform


class StochasticDepth:
    """Draws for all stochastic-depth layers of a network.

    Usage: `begin(seeds)` before each part of a batch; every forward pass in training mode that
    follows draws anew, all layers in one call. Before the first `begin` (and after `begin(None)`)
    the layers behave as timm's do. Passes in evaluation mode draw nothing and are not counted.

    Attributes:
        rates: probability to drop, one per layer.
    """

    def __init__(self, layers: list[DropPath]) -> None:
        self.rates = [layer.drop_prob for layer in layers]
        self._gains = [_gain(layer) for layer in layers]
        self._seeds: Tensor | None = None
        self._passes = 0
        self._placed: tuple[Tensor, Tensor] | None = None
        self._scales: tuple[Tensor, ...] | None = None

    def begin(self, seeds: Tensor | None) -> None:
        """Start on a part of a batch.

        Args:
            seeds: int64 [B], one per example of the following forward passes, on their device.
        """
        self._seeds, self._passes, self._scales = seeds, 0, None

    def scale(self, layer: int) -> Tensor | None:
        """Factor of the layer's branch in the current pass, float32 [B]; None without seeds."""
        return None if self._scales is None else self._scales[layer]

    def before_forward(self, module: nn.Module, inputs: tuple) -> None:
        """Draw for a forward pass (a forward pre-hook of the network)."""
        if module.training and self._seeds is not None and self.rates:
            self._scales = self._draw(len(inputs[0]))
            self._passes += 1

    def after_forward(self, module: nn.Module, inputs: tuple, output: object) -> None:
        """Forget the draws of the pass (a forward hook of the network)."""
        self._scales = None

    def _draw(self, size: int) -> tuple[Tensor, ...]:
        """Draw for `size` examples: one tensor [size] of 0 or 1 / (1 - rate) per layer."""
        seeds, device = fold(self._seeds, self._passes), self._seeds.device
        copies, rest = divmod(size, len(seeds))
        if rest:
            raise ValueError(
                f"a forward pass in training mode got {size} examples after "
                f"StochasticDepth.begin() with {len(seeds)} seeds"
            )
        # A loss or an attack may forward several versions of the batch at once, one after another.
        seeds = torch.cat([seeds, *(fold(seeds, copy) for copy in range(1, copies))])
        draws = uniform(seeds, (len(self.rates),)).t().contiguous()
        rates, gains = self._on(device)
        return ((draws >= rates) * gains).unbind(0)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rates and gains of the layers as [layers, 1], moved once: a copy makes a GPU wait."""
        if self._placed is None or self._placed[0].device != device:
            columns = (torch.tensor(values)[:, None] for values in (self.rates, self._gains))
            self._placed = tuple(column.to(device) for column in columns)
        return self._placed


class SeededDropPath(DropPath):
    """timm's layer with the draws of a `StochasticDepth`; without them it is timm's layer."""

    depth: StochasticDepth
    layer: int

    def forward(self, x: Tensor) -> Tensor:
        """Scale each example of x [B, ...] by 0 or 1 / (1 - rate) in training mode."""
        scale = self.depth.scale(self.layer) if self.training else None
        if scale is None:
            return super().forward(x)
        # Some networks work on several rows per example (windows, pixels of a patch).
        scale = scale.repeat_interleave(len(x) // len(scale)) if len(x) > len(scale) else scale
        return x * scale.to(x.dtype).reshape(-1, *(1 for _ in x.shape[1:]))


def install_stochastic_depth(model: nn.Module) -> StochasticDepth:
    """Let timm's `DropPath` layers in `model` draw per example; return what steers them.

    The module tree and the state dict stay as they are. Call it with the module that is called in
    training, and after `torch.compile`, so that the draws stay outside the compiled graph. Without
    stochastic depth nothing is changed and `begin` costs nothing.
    """
    found = [m for m in model.modules() if isinstance(m, DropPath) and m.drop_prob]
    depth = StochasticDepth(found)
    for index, layer in enumerate(found):
        layer.__class__ = SeededDropPath
        layer.depth, layer.layer = depth, index
    if found:
        model.register_forward_pre_hook(depth.before_forward)
        model.register_forward_hook(depth.after_forward)
    return depth


def _gain(layer: DropPath) -> float:
    kept = 1.0 - layer.drop_prob
    return 1.0 / kept if layer.scale_by_keep and kept > 0.0 else 1.0
