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
        sums: float64 scalars on the device: `loss` (times examples), and `clean`, `adversarial`
            (correct predictions).
        counts: examples behind each of them; numbers of the host, as a copy to a GPU would wait.
        seconds: wall time of the training steps.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @torch.no_grad()
    def add(self, batch: Batch, output: LossOutput) -> None:
        """Count the logits that the loss returned."""
        size = len(batch.images)
        self._add("loss", output.loss.detach() * size, size)
        for kind, logits in output.logits.items():
            self._add(kind, (logits.argmax(dim=1) == batch.labels).sum(), size)

    def _add(self, name: str, value: Tensor, size: int) -> None:
        value = value.to(torch.float64)
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0.0) + size

    def mean_loss(self) -> float:
        """Mean training loss per example so far; NaN before the first batch or after a NaN."""
        return math.nan if "loss" not in self.sums else self._mean("loss")

    def accuracy(self, kind: str) -> float | None:
        """Share of correct predictions on "clean" or "adversarial" images; None if not counted."""
        return None if kind not in self.sums else self._mean(kind)

    def _mean(self, name: str) -> float:
        return self.sums[name].item() / self.counts[name]

    def examples(self) -> float:
        """Examples counted so far."""
        return self.counts.get("loss", 0.0)

    def reduced(self, total: Callable[[Tensor], Tensor]) -> Tallies:
        """These tallies over all processes; `total` sums a tensor over them."""
        if not self.sums:
            return self
        names = sorted(self.sums)
        sums = torch.stack([self.sums[name] for name in names])
        counts = torch.tensor([self.counts[name] for name in names], dtype=torch.float64)
        both = total(torch.stack([sums, counts.to(sums.device)]))
        numbers = both[1].tolist()
        return Tallies(
            dict(zip(names, both[0], strict=True)),
            dict(zip(names, numbers, strict=True)),
            self.seconds,
        )

    def state(self) -> dict:
        """Everything that a resumed run needs, as tensors and numbers."""
        sums = {name: value.cpu() for name, value in self.sums.items()}
        return {"sums": sums, "counts": dict(self.counts), "seconds": self.seconds}

    @classmethod
    def from_state(cls, state: dict, device: torch.device, share: float = 1.0) -> Tallies:
        """Rebuild tallies from `state()`.

        Args:
            state: sums of all processes.
            device: where to count on.
            share: 1 in the process that takes the sums, 0 in the others: the names stay, so that
                all processes add up the same.
        """
        sums = {name: value.to(device) * share for name, value in state["sums"].items()}
        counts = {name: value * share for name, value in state["counts"].items()}
        return cls(sums, counts, state["seconds"])
