"""Any model of timm by its name."""

from __future__ import annotations

import timm
from timm.layers import get_act_layer
from timm.models.xcit import Xcit
from torch import nn

from robustvit.core.errors import UserError, unknown_name
from robustvit.models.families import xcit
from robustvit.models.layers.xcit import speed_up

__all__ = ["adapt_patch_size", "build", "own_normalization", "speed_up"]


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build a timm model with random weights.

    Args:
        args: {"model": "deit_small_patch16_224"} and further keywords of that model, for instance
            {"act": "gelu"} for every activation or {"init_values": 1.0} for CaiT's LayerScale.
        num_classes: size of the head.
        image_size: side of the images in pixels; given to models whose weights depend on it.
        drop_path: rate of stochastic depth; models without it take 0 only.

    Raises:
        UserError: for an unknown model or a keyword that the model does not take.
    """
    keywords = dict(args)
    name = keywords.pop("model", None)
    if not name or not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models(), "args.model")
    if "act" in keywords:
        keywords["act_layer"] = get_act_layer(keywords.pop("act"))
    if drop_path:
        keywords["drop_path_rate"] = drop_path
    configuration = timm.get_pretrained_cfg(name)
    if configuration is not None and configuration.fixed_input_size:
        keywords["img_size"] = image_size
    try:
        return timm.create_model(name, pretrained=False, num_classes=num_classes, **keywords)
    except TypeError as error:
        raise UserError(f"timm model {name} does not take these `args`: {error}") from error


def own_normalization(args: dict) -> dict:
    """Mean and standard deviation with which timm's released weights were trained."""
    configuration = timm.get_pretrained_cfg(args["model"])
    return {"mean": list(configuration.mean), "std": list(configuration.std)}


def adapt_patch_size(model: nn.Module, patch_size: int) -> None:
    """Adapt the stem of timm's XCiT models to `patch_size` (see `families.xcit`).

    Raises:
        UserError: for a model that is not an XCiT.
    """
    if not isinstance(model, Xcit):
        raise UserError(
            f"patch_size: only XCiT's stem can be adapted, not {type(model).__name__}'s; use null"
        )
    xcit.adapt_patch_size(model, patch_size)
