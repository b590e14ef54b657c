"""From the configuration's description of a model to the model."""

from __future__ import annotations

import torch
from torch import nn

from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.models.normalization import Normalize

FAMILIES = "robustvit.models.families"


def build_model(spec: dict, seed: int | None = None) -> nn.Module:
    """Build the model that `spec` describes, with its normalisation as first layer.

    Args:
        spec: MODEL of the configuration: `family` (a module of `robustvit.models.families`),
            `args` (its constructor's keywords), `num_classes`, `image_size` in pixels,
            `patch_size` (the stem is adapted to it if not null), `drop_path`, `normalization`.
        seed: seed of the initial weights; the global random state is left as it was. Without it
            the global state is used, which is right when weights are loaded afterwards.

    Returns:
        A module in training mode that maps float32 pixels [B, 3, H, W] in [0, 1] to logits [B, K].

    Raises:
        UserError: for an unknown family, wrong `args` or an impossible patch size.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network = build_network(spec)
        _speed_up(network, spec)
        return normalized(network, spec)


def build_network(spec: dict) -> nn.Module:
    """Build the network of `spec` without its normalisation layer (see `build_model`).

    Its layers compute as their papers and timm have it, for instance to count operations.
    """
    family = plugins.load(FAMILIES, spec["family"])
    model = family.build(
        dict(spec.get("args") or {}),
        spec["num_classes"],
        spec["image_size"],
        spec.get("drop_path") or 0.0,
    )
    patch_size = spec.get("patch_size")
    if patch_size is not None:
        _adapt(family, model, patch_size, spec)
    return model


def normalized(model: nn.Module, spec: dict) -> nn.Module:
    """Put the normalisation layer of `spec` in front of `model`, or nothing if it has none.

    Raises:
        UserError: for "own" where the family does not know what its models were trained with.
    """
    values = spec.get("normalization")
    if values == "own":
        values = _own_normalization(spec)
    return model if values is None else Normalize(model, values["mean"], values["std"])


def _own_normalization(spec: dict) -> dict:
    find = getattr(plugins.load(FAMILIES, spec["family"]), "own_normalization", None)
    if find is None:
        raise UserError(
            f'normalization: "own" is for models of timm, not of family "{spec["family"]}"; give '
            "{mean: [...], std: [...]}, or null for raw pixels"
        )
    return find(dict(spec.get("args") or {}))


def _speed_up(network: nn.Module, spec: dict) -> None:
    """Let the family give layers a faster `forward`, if it has one: same names, same results."""
    speed_up = getattr(plugins.load(FAMILIES, spec["family"]), "speed_up", None)
    if speed_up is not None:
        speed_up(network)


def _adapt(family: object, model: nn.Module, patch_size: int, spec: dict) -> None:
    adapt = getattr(family, "adapt_patch_size", None)
    if adapt is None:
        raise UserError(
            f"models.{spec.get('name')}.patch_size: models of family "
            f'"{spec["family"]}" cannot change their patch size; set it to null'
        )
    adapt(model, patch_size)
