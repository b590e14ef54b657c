"""Running a model inside an attack without leaving a trace on it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from robustvit.attacks.support.folding import folded

_inside: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # models within a block of `attack_mode`


@contextlib.contextmanager
def attack_mode(
    model: nn.Module, mode: Literal["eval", "train"] | None = "eval"
) -> Iterator[nn.Module]:
    """Put `model` in `mode` with frozen parameters; undo everything at the end.

    Frozen parameters spare the weight gradients, which no attack needs. Within the block the
    model works on copies of its buffers, and afterwards it gets its own tensors back: BatchNorm
    statistics stay as they were even in "train" mode (the released code let attacked validation
    images leak into them on TPU), and graphs that were recorded before the block stay valid.
    Gradients (`.grad`) and the global random state are left as they were.

    Args:
        model: any module.
        mode: "eval", "train", or None to keep every module's mode.
    """
    if mode is None and model in _inside:
        yield model
        return
    modules = list(model.modules())
    modes = [module.training for module in modules]
    parameters = [p for m in modules for p in m._parameters.values() if p is not None]
    trainable = [p for p in parameters if p.requires_grad]
    buffers = _swap_in_copies(modules)
    outermost = model not in _inside
    try:
        _inside.add(model)
        if mode is not None:
            model.train(mode == "train")
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=_cuda_devices(parameters)), folded(model, exact=True):
            yield model
    finally:
        if outermost:
            _inside.discard(model)
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, name, buffer in buffers:
            module._buffers[name] = buffer
        for module, training in zip(modules, modes, strict=True):
            object.__setattr__(module, "training", training)  # past torch's slow checks


def _swap_in_copies(modules: list[nn.Module]) -> list[tuple[nn.Module, str, Tensor]]:
    """Replace every buffer by a copy (shared ones by one copy) and return the originals."""
    copies: dict[int, Tensor] = {}
    originals = []
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is None:
                continue
            originals.append((module, name, buffer))
            module._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
    return originals


def _cuda_devices(parameters: list[nn.Parameter]) -> list[int]:
    devices = {p.device.index or 0 for p in parameters if p.device.type == "cuda"}
    return sorted(devices)
