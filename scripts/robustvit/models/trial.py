"""A first pass of a model: what it returns is what an evaluation needs, or a message says why."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from robustvit.core.errors import UserError

EXPECTED = "expected one tensor of logits [B, classes]"


@torch.no_grad()
def require_classifier(model: nn.Module, spec: dict, where: str) -> None:
    """Stop unless `model` maps images to finite logits of the right shape.

    Args:
        model: in evaluation mode; it sees two images, grey and a slope from black to white.
        spec: MODEL, of which `image_size` and `num_classes` are read.
        where: named by the message.

    Raises:
        UserError: for a model that fails on the images, changes them, or returns a tuple, another
            shape, another number of classes, or a value that is not finite.
    """
    size = spec["image_size"]
    tensors = itertools.chain(model.parameters(), model.buffers())
    device = next((tensor.device for tensor in tensors), torch.device("cpu"))
    slope = torch.linspace(0, 1, size, device=device).expand(3, size, size)
    images = torch.stack([torch.full_like(slope, 0.5), slope])
    before = images.clone()
    try:
        output = model(images)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise UserError(
            f"{where} fails on images [2, 3, {size}, {size}]: {str(error).splitlines()[0]}. "
            "Check `image_size` of its data set."
        ) from error
    if not torch.equal(images, before):
        raise UserError(
            f"{where} changes its input in place, and with it the images that are evaluated. "
            "Write `x = x - mean` instead of `x -= mean` in the model."
        )
    require_logits(output, 2, spec["num_classes"], where)


def require_logits(output: object, count: int, num_classes: int, where: str) -> None:
    """Stop unless `output` is a tensor of `count` × `num_classes` finite logits.

    Raises:
        UserError: naming what it is instead.
    """
    if not isinstance(output, Tensor):
        hint = ""
        if isinstance(output, tuple | list | dict):
            hint = ". Return the logits alone, for instance by a small wrapper around the model"
        raise UserError(f"{where} returns {type(output).__name__}; {EXPECTED}{hint}.")
    if output.ndim != 2 or len(output) != count:
        shape = list(output.shape)
        raise UserError(f"{where} returns the shape {shape} for {count} images; {EXPECTED}.")
    if output.shape[1] != num_classes:
        raise UserError(
            f"{where} has {output.shape[1]} classes, but its data set has {num_classes}. Name the "
            "data set that it was trained for as `dataset`."
        )
    broken = int((~torch.isfinite(output)).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{where}: the logits of {broken} of {count} images are not finite. The training has "
            "diverged, or the weights are of another architecture."
        )
