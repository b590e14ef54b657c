"""Optimisers with the paper's parameter groups."""

from __future__ import annotations

import torch
from torch import nn

from robustvit.core.errors import unknown_name
from robustvit.models.normalization import inner_model

NEVER_DECAYED = ("pos_embed", "cls_token")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Split the parameters into those with and those without weight decay.

    Without: parameters of at most one dimension, biases, `pos_embed`, `cls_token`, and the exact
    names in the model's `no_weight_decay()`. So XCiT's LayerScale and norms are not decayed, while
    its attention temperature (heads × 1 × 1) and the 1 × 1 convolution of its positional encoding
    are. timm 1.0.31 lists "pos_embed.*" for XCiT, which would spare that convolution: patterns are
    not followed, because the paper's models were trained with a timm that matched names only.
    """
    network = inner_model(model)
    listed = getattr(network, "no_weight_decay", set)()
    spared = {*listed, *NEVER_DECAYED}
    decayed, kept = [], []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        spare = parameter.ndim <= 1 or name.endswith(".bias") or name in spared
        (kept if spare else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(model: nn.Module, settings: dict) -> torch.optim.Optimizer:
    """Build the recipe's optimiser over the parameters of `model`.

    Args:
        settings: {"name": "adamw", "lr", "weight_decay", "betas", "eps"} or
            {"name": "sgd", "lr", "weight_decay", "momentum", "nesterov"}.

    Raises:
        UserError: for an unknown optimiser.
    """
    groups = parameter_groups(model, settings.get("weight_decay") or 0.0)
    if settings["name"] == "adamw":
        betas = tuple(settings.get("betas") or (0.9, 0.999))
        return torch.optim.AdamW(
            groups, lr=settings["lr"], betas=betas, eps=settings.get("eps") or 1e-8, foreach=True
        )
    if settings["name"] == "sgd":
        momentum = settings.get("momentum", 0.9) or 0.0
        nesterov = bool(settings.get("nesterov", True)) and momentum > 0
        return torch.optim.SGD(
            groups, lr=settings["lr"], momentum=momentum, nesterov=nesterov, foreach=True
        )
    raise unknown_name("optimizer", settings["name"], ("adamw", "sgd"), "recipe.optimizer.name")


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the learning rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate
