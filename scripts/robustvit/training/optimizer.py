"""Optimisers with the paper's parameter groups, and layer-wise learning rates."""

from __future__ import annotations

import torch
from timm.optim import (
    create_optimizer_v2,
    get_optimizer_info,
    list_optimizers,
    param_groups_layer_decay,
)
from torch import nn

from robustvit.core.errors import UserError, unknown_name
from robustvit.models.normalization import inner_model

NEVER_DECAYED = ("pos_embed", "cls_token")


def parameter_groups(
    model: nn.Module, weight_decay: float, layer_decay: float | None = None
) -> list[dict]:
    """Split the parameters into those with and those without weight decay, and into layers.

    Without: parameters of at most one dimension, biases, `pos_embed`, `cls_token`, and the exact
    names in the model's `no_weight_decay()`. So XCiT's LayerScale and norms are not decayed, while
    its attention temperature (heads × 1 × 1) and the 1 × 1 convolution of its positional encoding
    are. timm 1.0.31 lists "pos_embed.*" for XCiT, which would spare that convolution: patterns are
    not followed, because the paper's models were trained with a timm that matched names only.

    Args:
        model: with or without its normalisation.
        weight_decay: of the parameters that have one.
        layer_decay: learning rate of a layer relative to that of the layer above it (timm's layers,
            BEiT's rule); None gives all layers the same. The groups then have an `lr_scale`.

    Raises:
        UserError: if the model does not say which layers it has.
    """
    network = inner_model(model)
    spared = {*getattr(network, "no_weight_decay", set)(), *NEVER_DECAYED}
    scales = _layer_scales(network, layer_decay)
    groups: dict[tuple[float, bool], dict] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        spare = parameter.ndim <= 1 or name.endswith(".bias") or name in spared
        scale = scales.get(id(parameter), 1.0)
        empty = {"params": [], "weight_decay": 0.0 if spare else weight_decay}
        empty |= {"lr_scale": scale} if scales else {}
        groups.setdefault((scale, spare), empty)["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def _layer_scales(network: nn.Module, layer_decay: float | None) -> dict[int, float]:
    """Learning rate of each parameter (by `id`) as a factor; nothing without layer decay."""
    if layer_decay is None:
        return {}
    groups = param_groups_layer_decay(network, layer_decay=layer_decay)
    if len({group["lr_scale"] for group in groups}) == 1:
        raise UserError(
            "recipe.optimizer.layer_decay: this model does not say which layers it has (timm's "
            "`group_matcher`); set it to null or use a model of timm's"
        )
    return {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}


def build_optimizer(model: nn.Module, settings: dict) -> torch.optim.Optimizer:
    """Build the recipe's optimiser over the parameters of `model`.

    Args:
        settings: {"name": "adamw", "lr", "weight_decay", "betas", "eps", "layer_decay"},
            {"name": "sgd", "lr", "weight_decay", "momentum", "nesterov", "layer_decay"}, or any
            name that timm has, for instance "lamb"; its own values are used where `betas` or `eps`
            is None.

    Raises:
        UserError: for an unknown optimiser, or betas that it does not take.
    """
    groups = parameter_groups(
        model, settings.get("weight_decay") or 0.0, settings.get("layer_decay")
    )
    if settings["name"] == "adamw":
        betas = tuple(settings.get("betas") or (0.9, 0.999))
        return torch.optim.AdamW(
            groups, lr=settings["lr"], betas=betas, eps=settings.get("eps") or 1e-8, **_way(model)
        )
    if settings["name"] == "sgd":
        momentum = settings.get("momentum", 0.9) or 0.0
        nesterov = bool(settings.get("nesterov", True)) and momentum > 0
        return torch.optim.SGD(
            groups, lr=settings["lr"], momentum=momentum, nesterov=nesterov, **_way(model)
        )
    return _timms_optimizer(groups, settings)


def _way(model: nn.Module) -> dict[str, bool]:
    """How torch's optimisers go over the weights: in one pass over memory where they can."""
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
    return {"fused": True} if fused else {"foreach": True}


def check_name(name: str, where: str) -> None:
    """Check that timm has an optimiser of this name.

    Raises:
        UserError: with the nearest name it has; or for one of second order, whose steps this
            engine does not take.
    """
    known = [known for known in list_optimizers() if not get_optimizer_info(known).second_order]
    if name not in known:
        raise unknown_name("optimizer", name, known, where)


def _timms_optimizer(groups: list[dict], settings: dict) -> torch.optim.Optimizer:
    name, betas, eps = settings["name"], settings.get("betas"), settings.get("eps")
    check_name(name, "recipe.optimizer.name")
    info, options = get_optimizer_info(name), {}
    if info.has_betas and betas is not None:
        if len(betas) != info.num_betas:
            raise UserError(
                f"recipe.optimizer.betas: {name} takes {info.num_betas} values, not {len(betas)}; "
                "null leaves them to it"
            )
        options["betas"] = tuple(betas)
    if eps is not None:  # left out by timm where an optimiser has none
        options["eps"] = eps
    momentum = settings.get("momentum", 0.9) or 0.0
    try:
        return create_optimizer_v2(groups, name, lr=settings["lr"], momentum=momentum, **options)
    except (ImportError, AssertionError) as error:  # of another package, or for GPUs only
        raise UserError(f"recipe.optimizer.name: {name} cannot be used here: {error}") from error


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the learning rate `rate`, times its layer's scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
