"""Times, memory and operations of training steps."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from robustvit.benchmarks.cases import Case
from robustvit.benchmarks.stepping import Stepper
from robustvit.models.counting import count_macs, on_meta_device
from robustvit.training.devices import Device

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def interleave(
    steppers: dict[str, Stepper], rounds: int, clock: Callable[[], float], seconds: float
) -> dict[str, float]:
    """Time all kinds of steps by turns, so that a noisy machine hurts all alike.

    Args:
        steppers: by name.
        rounds: turns after each kind has been warmed up.
        clock: gives seconds.
        seconds: no turn begins later than that, once each kind has been timed.

    Returns:
        The median time of each, in seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in steppers}
    begun = time.perf_counter()
    for stepper in steppers.values():
        stepper.warm_up()
    for turn in range(rounds):
        for name, stepper in steppers.items():
            if turn % stepper.variant.every == 0:
                started = clock()
                stepper()
                times[name].append(clock() - started)
        if time.perf_counter() - begun > seconds:
            break
    return {name: statistics.median(found) for name, found in times.items()}


def step_clock(device: Device) -> Callable[[], float]:
    """Time of the process on a CPU, which other processes disturb least; else the wall's."""
    return time.perf_counter if device.is_cuda else time.process_time


def peak_memory(stepper: Stepper, steps: int = 2) -> float:
    """MB that steps need beyond the model, its optimiser's state and the batch.

    On a CPU it has to run in a process of its own, on Linux: the peak is the process'.
    """
    if stepper.device.is_cuda:
        stepper()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        stepper()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    _small_step(stepper)
    _forget_peak()
    before = _status("VmRSS")
    for _ in range(steps):
        stepper()
    return (_status("VmHWM") - before) / 1e6


def _forget_peak() -> None:
    """Give free memory back and let the kernel forget the peak so far."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


def _small_step(stepper: Stepper) -> None:
    """Load libraries and make the optimiser's state by a step on a few images."""
    whole = stepper.batch
    stepper.batch = whole.split(max(len(whole.images) // 2, 1))[0]
    stepper()
    stepper.batch = whole


def _status(field: str) -> int:
    """A size in /proc/self/status, in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{STATUS} has no {field}")


def floors(case: Case) -> dict[str, float]:
    """What steps cost at least, in multiples of a clean step, counted in multiplications.

    Each pass that a loss is defined by counts once, with timm's layers. A gradient costs a layer
    with weights as much as its forward pass for the input, and as much again for the weights; a
    product of two activations costs it twice, whatever is asked for.
    """
    macs = count_macs(on_meta_device(case.model), case.model["image_size"])
    layers, products = macs["convolution"] + macs["linear"], macs["attention"]
    forward = layers + products
    clean, attack = 3 * forward, 2 * layers + 3 * products
    return {
        "clean": 1.0,
        "fgsm": (clean + attack) / clean,
        "trades": (2 * clean + 10 * attack + forward) / clean,
    }
