"""Watching how far an attack of another library is, by counting its calls of the model."""

from __future__ import annotations

from torch import Tensor, nn

from robustvit.attacks.support.outcome import Report
from robustvit.models.passes import forward


class Watch:
    """A callable model that reports how much of an attack's expected work is done.

    Work is counted in forward passes; one with a backward pass counts as three.

    Args:
        model: the model that is called.
        report: gets the finished fraction, at most every hundredth.
    """

    def __init__(self, model: nn.Module, report: Report) -> None:
        self.model, self.report = model, report
        self.total, self.done, self.note = 1.0, 0.0, ""
        self._cost, self._shown = 1.0, 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W] in float32."""
        self._add(self._cost)
        return forward(self.model, images).float()

    def begin(self, note: str, cost: float) -> None:
        """Say what runs next and what one call costs."""
        self.note, self._cost = note, cost

    def finish(self, done: float) -> None:
        """Say that `done` of the total is finished: an attack may end early."""
        self.done = done
        self._add(0.0)

    def _add(self, cost: float) -> None:
        self.done += cost
        fraction = min(self.done / self.total, 1.0)
        if fraction - self._shown >= 0.01 or fraction < self._shown:
            self._shown = fraction
            self.report(fraction, self.note)
