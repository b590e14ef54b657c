"""Seconds of a forward pass on a device, from measured speeds.

A pass is bound by arithmetic or by memory. The time of another model, precision or device is scaled
twice from the nearest measured one: by operations and the devices' greatest arithmetic rate, and by
the numbers written and the devices' memory. These are the bounds; the expected value is their
geometric middle. What that is worth: docs/planning.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from robustvit.core.errors import UserError
from robustvit.planning.facts import Facts, Speed
from robustvit.planning.models import Cost, model_cost
from robustvit.planning.ranges import Range, between

BYTES = {"float32": 4, "bf16": 2}


@dataclass(frozen=True)
class Rate:
    """Seconds of a forward pass on one image, and what they rest on."""

    seconds: Range
    basis: str


class Rates:
    """Speeds on one device.

    Args:
        facts: measured speeds and devices.
        device: name of the device, for instance "a100".
    """

    def __init__(self, facts: Facts, device: str) -> None:
        self.facts, self.device = facts, device
        self.size = facts.device(device)
        calibrated = [speed for speed in facts.speeds if speed.calibrates]
        own = [speed for speed in calibrated if speed.device == device]
        gpus = [speed for speed in calibrated if speed.device not in ("cpu-core", "tpu-v4-core")]
        self.known = own or gpus
        self.measured_here = bool(own)
        if not self.known:
            raise UserError(f"plan.device: no speed was measured for {device} or a device like it.")

    def rate(self, model: Mapping, precision: str) -> Rate:
        """Seconds of a forward pass of MODEL on one image."""
        cost = model_cost(model)
        speed = self._nearest(model, cost)
        factor = "same_device_factor" if self.measured_here else "other_device_factor"
        seconds = self.scaled(speed, cost, precision) * self.facts.price(factor)
        return Rate(seconds, self._basis(speed))

    def _nearest(self, model: Mapping, cost: Cost) -> Speed:
        """The measured model that is most alike, of the same family if there is one."""
        family = [speed for speed in self.known if speed.model["family"] == model["family"]]

        def distance(speed: Speed) -> float:
            other = model_cost(speed.model)
            return abs(math.log(cost.flops / other.flops)) + abs(
                math.log(cost.elements / other.elements)
            )

        return min(family or self.known, key=distance)

    def scaled(self, speed: Speed, cost: Cost, precision: str) -> Range:
        """Seconds of a forward pass, scaled by operations and by memory from one measured speed."""
        before, there = model_cost(speed.model), self.facts.device(speed.device)
        seconds = 1.0 / (speed.images_per_second * speed.passes)
        arithmetic = (
            (cost.flops / before.flops)
            * there["teraflops"][speed.precision]
            / self.size["teraflops"][precision]
        )
        memory = (
            (cost.elements * BYTES[precision])
            / (before.elements * BYTES[speed.precision])
            * there["gigabytes_per_second"]
            / self.size["gigabytes_per_second"]
        )
        return between(seconds * arithmetic, seconds * memory)

    def _basis(self, speed: Speed) -> str:
        carried = "" if self.measured_here else f", carried over from {speed.device}"
        return f"{speed.name}: {speed.source}{carried}"
