"""A model that a function of the user's own builds, with or without its weights."""

from __future__ import annotations

import inspect

from torch import nn

from robustvit.core.errors import UserError
from robustvit.models.entry_points import load_entry


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Call the user's function.

    Args:
        args: {"entry": "my_models.py:build"} and the function's own keywords.
        num_classes: given to the function if it has a parameter of this name; so are
            `image_size` and `drop_path`.
        image_size: side of the images in pixels.
        drop_path: rate of stochastic depth; a function without it takes 0 only.

    Returns:
        The module that the function returned (or the module that the entry point names). It maps
        pixels in [0, 1] to logits.

    Raises:
        UserError: if there is no such function, it does not take the keywords, or it returns
            anything but a module.
    """
    keywords = dict(args)
    entry = keywords.pop("entry", None)
    target = load_entry(entry)
    if isinstance(target, nn.Module):
        return target
    offered = {"num_classes": num_classes, "image_size": image_size, "drop_path": drop_path}
    model = _call(target, entry, keywords, offered)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"entry point {entry} returned {type(model).__name__}, expected a torch.nn.Module "
            "that maps pixels [B, 3, H, W] in [0, 1] to logits [B, classes]"
        )
    return model


def _call(target: object, entry: str, keywords: dict, offered: dict) -> object:
    if not callable(target):
        raise UserError(f"entry point {entry} is no function but {type(target).__name__}")
    signature = inspect.signature(target)
    known = {k: v for k, v in offered.items() if k in signature.parameters and k not in keywords}
    if offered["drop_path"] and "drop_path" not in {**known, **keywords}:
        raise UserError(
            f"entry point {entry} has no parameter `drop_path`; set the recipe's drop_path to 0"
        )
    try:
        signature.bind(**known, **keywords)
    except TypeError as error:
        raise UserError(f"entry point {entry}{signature} does not take `args`: {error}") from error
    return target(**known, **keywords)
