"""The batch size of an evaluation job; no result depends on it."""

from __future__ import annotations

from torch import nn

from robustvit.models.speed import cpu_batch, fastest, pass_seconds
from robustvit.training.devices import Device

AUTO = "auto"


def choose_batch_size(
    asked: int | str, model: nn.Module, shape: tuple[int, ...], device: Device
) -> int:
    """Return `asked`, or what suits the device if that is "auto".

    Args:
        asked: a number of images, or "auto".
        model: frozen, in evaluation mode, on the device.
        shape: of one image, (3, H, W).
        device: where the model is.
    """
    if asked != AUTO:
        return int(asked)
    if not device.is_cuda:
        return cpu_batch(shape)
    return fastest(lambda n: pass_seconds(model, (n, *shape), device.device, gradient=True)).width
