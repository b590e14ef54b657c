"""How a model is laid out in memory and executed, without a change of what it computes."""

from __future__ import annotations

import importlib.util
import os
import shutil

import torch
from torch import nn

from robustvit.core.errors import UserError


def prepare_model(
    model: nn.Module, channels_last: bool | None = False, compile: bool | None = False
) -> nn.Module:
    """Apply the recipe's keys `channels_last` and `compile` to a model on its device.

    Weights, their names and the module tree stay; `models.normalization.inner_model` finds the
    network inside a compiled one. XLA lays out and compiles everything itself: both keys do
    nothing there, so that one recipe serves every device.

    Args:
        model: on the device it is trained on, with everything that changes its modules done.
        channels_last: keep convolutions' weights, and with them images and maps between layers,
            with the channels of a pixel next to each other.
        compile: translate the model with torch.compile at its first passes: one graph for training,
            one for the passes of an attack (frozen weights, evaluation mode), one for evaluation.

    Returns:
        The model, or a compiled module around it.

    Raises:
        UserError: to compile without a compiler.
    """
    kind = next((p.device.type for p in model.parameters()), "cpu")
    if kind == "xla":
        return model
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    if compile:
        _require_compiler(kind)
        # Sizes are the same in every step; a graph for each is faster than one for all.
        model = torch.compile(model, dynamic=False)
    return model


def _require_compiler(kind: str) -> None:
    wanted = [os.environ.get("CXX"), "g++", "clang++"]
    if kind != "cpu":
        wanted = [os.environ.get("CC"), "gcc", "clang"]
        if importlib.util.find_spec("triton") is None:
            raise UserError("recipe.compile: a GPU needs the package triton; set it to false")
    if not any(name and shutil.which(name) for name in wanted):
        raise UserError(
            f"recipe.compile: no compiler found ({', '.join(filter(None, wanted))}). Install one, "
            "for instance `apt install g++`, or set recipe.compile to false"
        )
