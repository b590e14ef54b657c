"""How many images at a time get through a model fastest; no result depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from robustvit.training.devices import Device

AUTO = "auto"
CPU = 64  # a core gains nothing from more; attacks that drop examples take less by themselves
SMALLEST, LARGEST = 16, 1024
GAIN = 1.05  # doubling that brings less than this is not worth its memory
MEMORY = 0.5  # of a GPU's; attacks keep copies of the images
REPEATS = 3


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
        return CPU
    return fastest(lambda size: _rate(model, (size, *shape), device.device))


def fastest(rate: Callable[[int], float | None]) -> int:
    """Double a batch for as long as more images per second get through.

    Args:
        rate: images per second in batches of a size; None if they do not fit.

    Returns:
        The size, `SMALLEST` if nothing fits.
    """
    best, best_rate, size = SMALLEST, 0.0, SMALLEST
    while size <= LARGEST:
        found = rate(size)
        if found is None or found < best_rate * GAIN:
            break
        best, best_rate, size = size, found, 2 * size
    return best


def _rate(model: nn.Module, shape: tuple[int, ...], device: torch.device) -> float | None:
    """Images per second forwards and backwards; None beyond the share of memory."""
    try:
        torch.cuda.reset_peak_memory_stats(device)
        _pass(model, shape, device)  # chooses kernels
        started = time.perf_counter()
        for _ in range(REPEATS):
            _pass(model, shape, device)
        seconds = time.perf_counter() - started
    except torch.OutOfMemoryError:
        return None
    finally:
        torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(device).total_memory
    fits = torch.cuda.max_memory_allocated(device) <= MEMORY * whole
    return REPEATS * shape[0] / seconds if fits else None


def _pass(model: nn.Module, shape: tuple[int, ...], device: torch.device) -> None:
    images = torch.full(shape, 0.5, device=device, requires_grad=True)
    with torch.enable_grad():
        torch.autograd.grad(model(images).sum(), images)
    torch.cuda.synchronize(device)
