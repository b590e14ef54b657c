"""How many images at a time get through a model fastest, measured on the spot.

Nothing that is computed depends on it (see `robustvit.models.stable`), so a noisy clock costs time
and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

SMALLEST, LARGEST = 16, 1024
GAIN = 1.05  # doubling that brings less than this is not worth its memory
MEMORY = 0.5  # of a GPU's; attacks keep copies of the images
CPU_LARGEST, CPU_PIXELS = 128, 1 << 20  # beyond, a CPU only gains cache misses; of one channel
REPEATS = 3


@dataclass(frozen=True)
class Speed:
    """A model's speed on a device.

    Attributes:
        width: images in a batch that gets most of them through.
        overhead: what a batch takes besides, in images.
    """

    width: int
    overhead: float

    def time(self, images: int) -> float:
        """Time of a batch, in the time of an image of a large one."""
        return images + self.overhead


def cpu_batch(shape: tuple[int, ...]) -> int:
    """Images [3, H, W] of a batch that a CPU works well on, its memory considered."""
    return max(SMALLEST, min(CPU_LARGEST, CPU_PIXELS // (shape[-1] * shape[-2])))


def measure(model: nn.Module, shape: tuple[int, ...], device: torch.device, largest: int) -> Speed:
    """Time forward passes in batches of up to `largest` images of the shape (3, H, W)."""

    def seconds(size: int) -> float | None:
        return pass_seconds(model, (size, *shape), device, gradient=False)

    return fastest(seconds, largest)


def fastest(seconds: Callable[[int], float | None], largest: int = LARGEST) -> Speed:
    """Double a batch for as long as more images per second get through.

    Args:
        seconds: a pass of a batch of a size takes; None if it does not fit.
        largest: size that is not exceeded.
    """
    size, taken = min(SMALLEST, largest), {}
    while size <= largest:
        found = seconds(size)
        if found is None or (taken and _rate(taken) * GAIN > size / found):
            break
        taken[size] = found
        size *= 2
    if len(taken) < 2:
        return Speed(max(taken, default=min(SMALLEST, largest)), 0.0)
    (few, short), *_, (many, long) = taken.items()
    per_image = max(long - short, 1e-9) / (many - few)
    return Speed(many, max(0.0, short / per_image - few))


def _rate(taken: dict[int, float]) -> float:
    size = max(taken)
    return size / taken[size]


def pass_seconds(
    model: nn.Module, shape: tuple[int, ...], device: torch.device, gradient: bool
) -> float | None:
    """Least seconds of a pass of images [B, 3, H, W]; None beyond the share of a GPU's memory."""
    if device.type != "cuda":
        return _least(model, shape, device, gradient)
    try:
        torch.cuda.reset_peak_memory_stats(device)
        seconds = _least(model, shape, device, gradient)
    except torch.OutOfMemoryError:
        return None
    finally:
        torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(device).total_memory
    return seconds if torch.cuda.max_memory_allocated(device) <= MEMORY * whole else None


def _least(model: nn.Module, shape: tuple[int, ...], device: torch.device, gradient: bool) -> float:
    images = torch.full(shape, 0.5, device=device, requires_grad=gradient)
    # Other processes on the same core do not count.
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock, found = (time.thread_time if alone and not gradient else time.perf_counter), []
    for _ in range(1 + REPEATS):  # the first one chooses kernels
        started = clock()
        with torch.set_grad_enabled(gradient):
            logits = model(images)
            if gradient:
                torch.autograd.grad(logits.sum(), images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(clock() - started)
    return max(min(found[1:]), 1e-9)
