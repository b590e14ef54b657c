"""Running sums of an epoch, on the device, so that counting never waits for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustvit.training.contracts import Batch, LossOutput


@dataclass
class Tallies:
    """Sums since the start of an epoch.

    Attributes:
        sums: float64 scalars on the device: `loss` (times examples), `examples`, and `clean`,
            `adversarial` (correct predictions), with `clean_seen`, `adversarial_seen`.
        seconds: wall time of the training steps.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @torch.no_grad()
    def add(self, batch: Batch, output: LossOutput) -> None:
        """Count the logits that the loss returned."""
        size = len(batch.images)
        self._add("examples", torch.tensor(float(size), device=batch.images.device))
        self._add("loss", output.loss.detach() * size)
        for kind, logits in output.logits.items():
            self._add(kind, (logits.argmax(dim=1) == batch.labels).sum())
            self._add(f"{kind}_seen", torch.tensor(float(size), device=batch.images.device))

    def _add(self, name: str, value: Tensor) -> None:
        # float32 on devices without float64 would do as well: counts stay far below 2**24 there.
        value = value.to(torch.float64)
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def mean_loss(self) -> float:
        """Mean training loss per example so far; NaN before the first batch or after a NaN."""
        if "examples" not in self.sums:
            return math.nan
        return (self.sums["loss"] / self.sums["examples"]).item()

    def accuracy(self, kind: str) -> float | None:
        """Share of correct predictions on "clean" or "adversarial" images; None if not counted."""
        if kind not in self.sums:
            return None
        return (self.sums[kind] / self.sums[f"{kind}_seen"]).item()

    def examples(self) -> float:
        """Examples counted so far."""
        return self.sums["examples"].item() if "examples" in self.sums else 0.0

    def reduced(self, total: Callable[[Tensor], Tensor]) -> Tallies:
        """These tallies over all processes; `total` sums a tensor over them."""
        if not self.sums:
            return self
        names = sorted(self.sums)
        sums = total(torch.stack([self.sums[name] for name in names]))
        return Tallies(dict(zip(names, sums, strict=True)), self.seconds)

    def state(self) -> dict:
        """Everything that a resumed run needs, as tensors and numbers."""
        return {"sums": {k: v.cpu() for k, v in self.sums.items()}, "seconds": self.seconds}

    @classmethod
    def from_state(cls, state: dict, device: torch.device) -> Tallies:
        """Rebuild tallies from `state()`."""
        return cls({k: v.to(device) for k, v in state["sums"].items()}, state["seconds"])
