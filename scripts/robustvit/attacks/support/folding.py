"""Cheaper ways to compute a frozen network in evaluation mode, as an attack uses it.

While weights and statistics stand still, much can be computed once instead of in every pass:
BatchNorm is a factor and an offset per channel, which a convolution before it takes up. Modules of
torch are found by their type; a module of this project says itself what it can do, by a method
`when_frozen()` that yields `Fold`s. What is not known stays as it is, down to the last bit. Modules
keep their places and hooks: only their `forward` is another one for a while.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from robustvit.models.layers.convolution import frozen_convolution, reads_images

Fold = dict[nn.Module, Callable[..., object]]
"""Modules and what takes the place of their `forward`; they only work together."""

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


@contextlib.contextmanager
def folded(model: nn.Module, exact: bool = False) -> Iterator[None]:
    """Compute `model` in fewer operations within the block, if all of it is frozen there.

    With a module in training mode, a parameter that takes gradients, or a compiler's graph of the
    model nothing is changed.

    Args:
        model: any module.
        exact: only what leaves every result of a forward pass as it is and makes the gradient
            cheaper; otherwise results may differ by rounding.
    """
    changed: list[tuple[nn.Module, object]] = []
    try:
        for fold in _folds(model, exact):
            for module, forward in fold.items():
                changed.append((module, module.__dict__.get("forward")))
                module.forward = _Folded(forward)
        yield
    finally:
        for module, before in reversed(changed):
            if before is None:
                del module.forward
            else:
                module.forward = before


class _Folded:
    """Marks a `forward` as one of this module's."""

    def __init__(self, forward: Callable[..., object]) -> None:
        self.forward = forward

    def __call__(self, *inputs: object) -> object:
        return self.forward(*inputs)


@torch.no_grad()
def _folds(model: nn.Module, exact: bool) -> list[Fold]:
    modules = list(model.modules())
    if not all(map(_is_frozen, modules)):
        return []
    found: list[Fold] = []
    # A `forward` that somebody else has put in place of a module's own stays.
    taken = {module for module in modules if _is_patched(module)}
    for module in modules:
        for fold in _folds_of(module, exact):
            if taken.isdisjoint(fold):
                taken.update(fold)
                found.append(fold)
    return found


def _is_frozen(module: nn.Module) -> bool:
    """Whether the module itself stands still, and may get another `forward`.

    A compiler, as XLA is one, would start again with every new one, and fuses operations itself.
    """
    parameters = [p for p in module._parameters.values() if p is not None]
    moves = any(p.requires_grad or p.device.type == "xla" for p in parameters)
    compiled = module._compiled_call_impl is not None or "_orig_mod" in module._modules
    return not (module.training or moves or compiled)


def _is_patched(module: nn.Module) -> bool:
    return not isinstance(module.__dict__.get("forward"), _Folded | None)


def _folds_of(module: nn.Module, exact: bool) -> Iterator[Fold]:
    kind = type(module)
    if kind is nn.Conv2d:
        if reads_images(module):
            yield {module: frozen_convolution(module)}
    elif exact:
        return
    elif kind is nn.Sequential:
        yield from _fold_sequence(module)
    elif kind in NORMS:
        if module.running_mean is not None:
            yield {module: _normalization(module)}
    elif hasattr(kind, "when_frozen"):
        yield from module.when_frozen()


def _fold_sequence(sequence: nn.Sequential) -> Iterator[Fold]:
    """A convolution takes up the BatchNorm right behind it."""
    for layer, norm in pairwise(sequence):
        if type(layer) is nn.Conv2d and type(norm) in NORMS and norm.running_mean is not None:
            yield {layer: frozen_convolution(layer, *_affine(norm)), norm: _same}


def _same(x: Tensor) -> Tensor:
    return x


def _normalization(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    scale, offset = (value.view(1, -1, 1, 1) for value in _affine(norm))

    def forward(x: Tensor) -> Tensor:
        if x.dtype != scale.dtype:
            return type(norm).forward(norm, x)
        return torch.addcmul(offset, x, scale)

    return forward


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Factor and offset per channel of a BatchNorm with its running statistics, [C] each."""
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    offset = -norm.running_mean * scale
    return scale, offset if norm.bias is None else offset + norm.bias
